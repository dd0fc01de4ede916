"""How good an engine is: measures, baselines to beat, evaluation on unseen strains, figures, report.

May import everything up to surrogate; imports of scikit-learn and matplotlib stay inside this folder.
Does not belong here: training, derived mechanics, anything that a user of a surrogate needs without judging it.
"""
