"""Is the surrogate better than a plain regression in a quantity, and is it good?

    e  mean error of the surrogate      b  mean error of the best plain baseline      s  spread of the quantity

    clear difference:   |e − b| > 0.1 b   and   |e − b| > 2 standard errors of the differences strain by strain
    bad                 the baseline is clearly better, or e > 0.5 s (the mean alone errs by about 0.8 s)
    caution             no clear difference from the baseline, or e > 0.2 s
    good                clearly better than every plain baseline, and e ≤ 0.2 s

The baselines are the engines of the evaluation other than the surrogate; the best one is chosen for each quantity by
itself. A quantity that is the same in all test strains (the entropy of an insulator) has no verdict.
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
"""The quantities that matter most: they stand in the terminal, on the cards, and decide the whole verdict."""
CLEAR = 0.1
"""Part of the baseline's error that a difference must exceed to be called clear."""
STANDARD_ERRORS = 2.0
"""Standard errors of the paired differences that it must exceed as well."""
LARGE, TOO_LARGE = 0.2, 0.5
"""Mean error over spread from which on a quantity asks for caution, or is bad."""

_STILL = {"position": 1e-6, "stress_gpa": 1e-6}  # range below which nothing varies: Bohr, GPa
_STILL_ENERGY = 1e-8  # Hartree


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what.
        level: how it came out.
        sentence: in words.
    """

    topic: str
    level: Level
    sentence: str


@dataclass(frozen=True)
class QuantityVerdict(Finding):
    """The surrogate on one quantity; errors are means over the test strains, in the units of the evaluation.

    Attributes:
        quantity: key of the evaluation.
        error: of the surrogate.
        baseline: name of the best plain baseline, or None where no baseline predicts the quantity.
        baseline_error: its error, or None.
        spread: standard deviation of the quantity.
        outcome: the surrogate against that baseline.
    """

    quantity: str
    error: float
    baseline: str | None
    baseline_error: float | None
    spread: float
    outcome: Outcome


def unchanging(evaluation: Evaluation) -> tuple[str, ...]:
    """Quantities that are the same in all test strains, to rounding: there is nothing to predict about them."""
    return tuple(
        name
        for name, spread in evaluation.spread.items()
        if "." not in name and spread.range <= _STILL.get(name, _STILL_ENERGY)
    )


def judge(evaluation: Evaluation, name: str) -> QuantityVerdict:
    """One quantity, by the thresholds above."""
    quantity, spread = QUANTITIES[name], evaluation.spread[name].standard_deviation
    errors = evaluation.engines["surrogate"].errors[name]
    error, share = float(errors.mean()), float(errors.mean()) / spread
    baseline = evaluation.best_baseline(name)
    outcome: Outcome = "none"
    baseline_error = None
    told = f"Mean error {number(quantity.scale * error)} {quantity.unit}, {percent(share)} of the spread"
    if baseline is not None:
        theirs = evaluation.engines[baseline].errors[name]
        baseline_error = float(theirs.mean())
        outcome = compare(errors, theirs)
        other = f"{label(baseline)} ({number(quantity.scale * baseline_error)} {quantity.unit})"
        told += {
            "better": f", {number(baseline_error / error) if error else 'infinitely many'} times less than the best "
            f"plain baseline, {other}.",
            "equal": f"; no clear difference from {other}, which does as well.",
            "worse": f"; {other} is clearly better: use it for this quantity.",
            "none": ".",
        }[outcome]
    else:
        told += "; no plain baseline predicts it."
    if share > TOO_LARGE:
        told += " So large an error says little more than the mean of the training set."
    level: Level = "good"
    if outcome == "equal" or share > LARGE:
        level = "caution"
    if outcome == "worse" or share > TOO_LARGE:
        level = "bad"
    return QuantityVerdict(quantity.label, level, told, name, error, baseline, baseline_error, spread, outcome)


def compare(errors: FloatArray, theirs: FloatArray) -> Outcome:
    """Whether errors (n,) are clearly smaller ("better") or larger ("worse") than others on the same n ≥ 2 strains."""
    difference = errors - theirs
    mean = float(difference.mean())
    noise = STANDARD_ERRORS * float(difference.std(ddof=1)) / np.sqrt(len(difference))
    if abs(mean) <= max(CLEAR * float(theirs.mean()), noise):
        return "equal"
    return "better" if mean < 0 else "worse"
