"""The smallest number of states to learn from, shared by everything that learns from solved strains."""

MINIMUM_TRAINING_STATES = 8
"""States that must know a quantity for it to be learned or checked, and that a study must ask for."""
