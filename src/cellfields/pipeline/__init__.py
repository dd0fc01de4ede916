"""One study from its file to its report: configuration, strains, labels, model, judgement."""
