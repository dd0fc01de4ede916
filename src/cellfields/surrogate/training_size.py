"""How few states are too few: one number that everything asks which learns from solved strains."""

MINIMUM_TRAINING_STATES = 8
"""States that must know a quantity for it to be learned or checked, and that a study must ask for."""
