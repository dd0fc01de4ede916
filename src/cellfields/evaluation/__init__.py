"""Measures how accurate an engine is: error measures, baselines, evaluation on unseen strains, figures, report.

scikit-learn and matplotlib are imported in this folder only. Training, derived mechanics, and what users of a surrogate
need without judging it belong elsewhere.
"""
