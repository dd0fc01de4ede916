"""Test error against the number of training states, with the PCA floor under it (Figures 4 and 6 (b)).

size  →  mean error of each recipe on all test strains ,   mean of ‖f − ℓ(p(f))‖ for the modes found at that size
"""

from __future__ import annotations

from dataclasses import dataclass

from cellfields.reproductions.teh2021.accuracy import PCA_FLOOR, RECIPE_LABELS
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES


@dataclass(frozen=True)
class LearningCurve:
    """Mean errors over the test strains.

    Attributes:
        sizes: numbers of solved training strains.
        images: number of states that each solve gives to the paper's recipe by symmetry.
        test: number of test states.
        errors: engine (both recipes and the PCA floor) → quantity → mean error at each size.
        seconds: recipe → training time at each size.
    """

    sizes: tuple[int, ...]
    images: int
    test: int
    errors: dict[str, dict[str, list[float]]]
    seconds: dict[str, list[float]]


def study(bench: Workbench) -> LearningCurve:
    """Train both recipes with all states, and at each smaller size of the plan for which there are enough states."""
    plan, training, test = bench.plan, bench.training, bench.test
    sizes = sorted({size for size in plan.sizes if MINIMUM_TRAINING_STATES <= size < len(training)} | {len(training)})
    errors: dict[str, dict[str, list[float]]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in RECIPE_LABELS}
    for size in sizes:
        judged = {PCA_FLOOR: bench.judged_baseline(PCA_FLOOR, training[:size], test, plan.paper.modes)}
        for name, recipe in zip(RECIPE_LABELS, (plan.paper, plan.best), strict=True):
            judged[name], spent = bench.judged(name, recipe, training[:size], test)
            seconds[name].append(spent)
        for name, result in judged.items():
            for quantity in result.errors:
                means = errors.setdefault(name, {}).setdefault(quantity, [])
                means.append(result.summary(quantity)["mean"])
    images = bench.training_states_with_images(training[:1])[1]
    return LearningCurve(tuple(sizes), images, len(test), errors, seconds)
