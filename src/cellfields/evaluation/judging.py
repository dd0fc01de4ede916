"""Judges whether a surrogate is better than plain regressions in a quantity, and whether its error is small.

    e  mean error of the surrogate      b  mean error of the best plain baseline      s  spread of the quantity

    clear difference:   |e − b| > 0.1 b   and   |e − b| > 2 standard errors of the differences strain by strain
    bad                 the baseline is clearly better, or e > 0.5 s (the mean alone errs by about 0.8 s)
    caution             no clear difference from the baseline, or e > 0.2 s
    good                clearly better than every plain baseline, and e ≤ 0.2 s

The baselines are the engines of the evaluation other than the surrogate; the best one is chosen for each quantity
separately. A quantity that is the same in all test strains (the entropy of an insulator) has no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellfields._typing import FloatArray
from cellfields.evaluation.accuracy import QUANTITIES, Evaluation
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.texts import number, percent

Level = Literal["good", "caution", "bad", "not checked"]
Outcome = Literal["better", "equal", "worse", "none"]

HEADLINE = ("free_energy", "density.relative_l2", "position", "stress_gpa")
"""The quantities that are shown in the terminal and on the report's cards, and that decide the overall verdict."""
CLEAR = 0.1
"""A clear difference exceeds this part of the baseline's error."""
STANDARD_ERRORS = 2.0
"""A clear difference also exceeds this number of standard errors of the differences strain by strain."""
LARGE, TOO_LARGE = 0.2, 0.5
"""Ratios of mean error and spread above which a quantity is judged "caution" and "bad"."""

_CONSTANT_RANGE = {"position": 1e-6, "stress_gpa": 1e-6}  # Bohr, GPa; a smaller range is rounding
_CONSTANT_ENERGY_RANGE = 1e-8  # Hartree


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        topic: what was checked.
        level: "good", "caution", "bad", or "not checked".
        sentence: the result in words.
    """

    topic: str
    level: Level
    sentence: str


@dataclass(frozen=True)
class QuantityVerdict(Finding):
    """The result for one quantity; errors are means over the test strains, in the units of the evaluation.

    Attributes:
        quantity: key of the evaluation.
        error: mean error of the surrogate.
        baseline: name of the best plain baseline, or None where no baseline predicts the quantity.
        baseline_error: mean error of that baseline, or None.
        spread: standard deviation of the quantity over the test strains.
        outcome: whether the surrogate is "better" than that baseline, "equal" or "worse"; "none" without a baseline.
    """

    quantity: str
    error: float
    baseline: str | None
    baseline_error: float | None
    spread: float
    outcome: Outcome


def unchanging(evaluation: Evaluation) -> tuple[str, ...]:
    """Names of the quantities that are the same in all test strains within rounding; they are not judged."""
    return tuple(
        name
        for name, spread in evaluation.spread.items()
        if "." not in name and spread.range <= _CONSTANT_RANGE.get(name, _CONSTANT_ENERGY_RANGE)
    )


def judge(evaluation: Evaluation, name: str) -> QuantityVerdict:
    """Judge the engine "surrogate" on one quantity by this module's thresholds.

    Args:
        evaluation: errors of the surrogate and of plain baselines on at least two strains.
        name: quantity of the evaluation that the surrogate predicts and that varies.
    """
    quantity, spread = QUANTITIES[name], evaluation.spread[name].standard_deviation
    errors = evaluation.engines["surrogate"].errors[name]
    error, share = float(errors.mean()), float(errors.mean()) / spread
    baseline = evaluation.best_baseline(name)
    outcome: Outcome = "none"
    baseline_error = None
    sentence = f"Mean error {number(quantity.scale * error)} {quantity.unit}, {percent(share)} of the spread"
    if baseline is not None:
        baseline_errors = evaluation.engines[baseline].errors[name]
        baseline_error = float(baseline_errors.mean())
        outcome = compare(errors, baseline_errors)
        other = f"{label(baseline)} ({number(quantity.scale * baseline_error)} {quantity.unit})"
        sentence += {
            "better": f", {number(baseline_error / error) if error else 'infinitely many'} times less than the best "
            f"plain baseline, {other}.",
            "equal": f"; no clear difference from {other}, which does as well.",
            "worse": f"; {other} is clearly better: use it for this quantity.",
            "none": ".",
        }[outcome]
    else:
        sentence += "; no plain baseline predicts it."
    if share > TOO_LARGE:
        sentence += " So large an error says little more than the mean of the training set."
    level: Level = "good"
    if outcome == "equal" or share > LARGE:
        level = "caution"
    if outcome == "worse" or share > TOO_LARGE:
        level = "bad"
    return QuantityVerdict(quantity.label, level, sentence, name, error, baseline, baseline_error, spread, outcome)


def compare(errors: FloatArray, baseline_errors: FloatArray) -> Outcome:
    """Compare errors (n,) with those of a baseline (n,) on the same n ≥ 2 strains.

    Returns:
        "better" where they are clearly smaller, "worse" where they are clearly larger, otherwise "equal".
    """
    difference = errors - baseline_errors
    mean = float(difference.mean())
    noise = STANDARD_ERRORS * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    if abs(mean) <= max(CLEAR * float(baseline_errors.mean()), noise):
        return "equal"
    return "better" if mean < 0 else "worse"
