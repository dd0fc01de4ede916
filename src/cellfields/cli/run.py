"""``cellfields run``: label, train, evaluate; a second run goes on where the first one stopped."""

from __future__ import annotations

from cellfields.cli._arguments import ConfigArgument
from cellfields.cli.label import WorkersOption


def run(config: ConfigArgument, workers: WorkersOption = None) -> None:
    """Label, train, evaluate; resumes where it was.

    Example: cellfields run magnesium.toml
    """
    from cellfields.cli._console import note
    from cellfields.cli._study import Study
    from cellfields.cli.evaluate import evaluate_study
    from cellfields.cli.label import label_study
    from cellfields.cli.train import current_model, train_study

    study = Study.load(config)
    store = label_study(study, workers).store
    surrogate = current_model(study, store)
    if surrogate is None:
        surrogate = train_study(study, store)
    else:
        note("the model is up to date")
    evaluate_study(study, store, surrogate)
