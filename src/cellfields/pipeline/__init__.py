"""What a study file describes, and the three steps that it asks for: label, train, evaluate."""
