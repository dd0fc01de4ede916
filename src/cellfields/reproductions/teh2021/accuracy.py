"""Errors of both recipes, every baseline and the authors' models on the same unseen strains (paper, sec. 4.4).

    {paper's recipe, best recipe, mean, nearest, linear, polynomials, kernels, PCA floor}  ×  test strains  →  errors

Figures 3, 5, 6 (a) and 8 are drawn from it; Figure 2 from one of its strains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cellfields.evaluation.accuracy import EngineErrors, Evaluation
from cellfields.evaluation.baselines import BASELINES
from cellfields.reproductions.teh2021.published import difference_in_fields
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.state import CellState

PAPER, BEST, PCA_FLOOR = "paper's recipe", "best recipe", "PCA floor"
RECIPE_LABELS = (PAPER, BEST)


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Errors of all engines on the solved test strains.

    Attributes:
        evaluation: its engines are :data:`RECIPE_LABELS`, the authors' (:data:`~.published.MODELS`) where these are
            known, :data:`PCA_FLOOR` and the baselines.
        training, test: numbers of states.
        asked: numbers of training and test strains that the plan asks for.
        training_seconds: recipe → wall time of its training.
        outside: number of test strains outside the best recipe's training domain.
        displacement_difference: mean absolute difference between the displacements of our atoms and the authors', Bohr;
            None without the authors' data.
        figure_2: field → relative L² difference of our label from the authors' fields; None where one is missing.
    """

    evaluation: Evaluation
    training: int
    test: int
    asked: tuple[int, int]
    training_seconds: dict[str, float]
    outside: int
    displacement_difference: float | None
    figure_2: dict[str, float] | None


def study(bench: Workbench) -> Accuracy:
    """Compute the errors of all engines on the test strains that are solved."""
    plan, training, test = bench.plan, bench.training, bench.test
    engines: dict[str, EngineErrors] = {}
    seconds = {}
    for label, recipe in zip(RECIPE_LABELS, (plan.paper, plan.best), strict=True):
        engines[label], seconds[label] = bench.judged(label, recipe, training, test)
    published = {} if plan.published is None else plan.published.engine_errors(test.deformations)
    engines |= published
    for name in (PCA_FLOOR, *BASELINES):
        engines[name] = bench.judged_baseline(name, training, test, plan.paper.modes)
    truth = bench.truth(test)
    displacement_difference = None
    if plan.published is not None:
        authors_displacement = plan.published.displacement[plan.published.rows(test.deformations)]
        displacement_difference = float(abs(truth.displacement - authors_displacement).mean())
    best = bench.surrogate(plan.best, training, BEST)
    return Accuracy(
        evaluation=replace(truth, engines=engines),
        training=len(training),
        test=len(test),
        asked=(len(plan.train), len(plan.test)),
        training_seconds=seconds,
        outside=sum(not best.in_domain(deformation) for deformation in test.deformations),
        displacement_difference=displacement_difference,
        figure_2=_figure_2(bench),
    )


def specimen(bench: Workbench, accuracy: Accuracy) -> tuple[CellState, CellState]:
    """True and predicted state of the strain that is drawn.

    It is the strain of the paper's Figure 2 if that is solved, or else the one with the median error.
    """
    deformation = bench.test.deformations[accuracy.evaluation.typical(BEST)]
    drawn = None if bench.plan.published is None else bench.plan.published.figure_2()
    if drawn is not None and drawn[0] in bench.test.deformations:
        deformation = drawn[0]
    best = bench.surrogate(bench.plan.best, bench.training, BEST)
    return bench.test.store.read(deformation), best.solve(deformation)


def network_beaten_by(accuracy: Accuracy, quantity: str, against: str = PAPER) -> list[str]:
    """Names of the baselines whose mean error in a quantity is smaller than that of a recipe, the best one first."""
    errors = {n: e.summary(quantity)["mean"] for n, e in accuracy.evaluation.engines.items() if quantity in e.errors}
    names = [n for n in BASELINES if n in errors and errors[n] < errors.get(against, 0.0)]
    return sorted(names, key=lambda name: errors[name])


def _figure_2(bench: Workbench) -> dict[str, float] | None:
    drawn = None if bench.plan.published is None else bench.plan.published.figure_2()
    if drawn is None:
        return None
    strain, grids = drawn
    store = bench.test.store
    return difference_in_fields(store.read(strain), grids) if store.has(strain) else None
