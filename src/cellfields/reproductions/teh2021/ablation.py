"""Errors of the recipe "best" with each of its ingredients left out or changed, on the same strains.

The ingredients are symmetry, stress, degree, length scale, and number of modes. Further rows lead from the paper's
recipe to "best": a more thorough optimisation (L-BFGS), a quadratic trend below the networks ("taylor"), and
polynomials with a prior in place of networks ("best").
"""

from __future__ import annotations

from dataclasses import dataclass

from cellfields.evaluation.accuracy import EngineErrors
from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021.accuracy import BEST, PAPER
from cellfields.reproductions.teh2021.second_order import refine
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate import Polynomials, Recipe, TrendNetworks


@dataclass(frozen=True)
class Row:
    """One variant: its label, quantity → mean error over the test strains, and its training time in seconds."""

    label: str
    errors: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Ablation:
    """The rows of all variants, and the numbers of training and test states."""

    rows: tuple[Row, ...]
    training: int
    test: int


def variants(best: Polynomials) -> dict[str, Polynomials]:
    """Label → the best recipe with one thing changed."""
    changes: dict[str, dict[str, object]] = {
        "without symmetry": {"symmetry": False},
        "without stress": {"slopes": False},
        "without symmetry and stress": {"symmetry": False, "slopes": False},
        "polynomials only": {"members": 0},
        "four networks for the entropy": {"members": 4},
    }
    if best.blend > 1:
        changes["its highest degree alone"] = {"blend": 1}
    for degree in range(max(2, best.degree - 3), best.degree):
        changes[f"degree {degree} alone"] = {"degree": degree, "blend": 1}
    for length in best.lengths if len(best.lengths) > 1 else ():
        changes[f"length {length:g} alone"] = {"lengths": (length,)}
    for modes in (best.modes // 4, best.modes // 2, best.modes * 2, best.modes * 4):
        changes[f"{modes} modes"] = {"modes": modes}
    return {label: best.model_copy(update=change) for label, change in changes.items()}


def study(bench: Workbench) -> Ablation:
    """Train every variant, and compute its errors on the test strains."""
    plan, training, test = bench.plan, bench.training, bench.test
    rows = []
    trend = TrendNetworks(**plan.paper.model_dump(exclude={"name"}))
    recipes: dict[str, Recipe] = {
        PAPER: plan.paper,
        f"{PAPER}, without images": plan.paper.model_copy(update={"symmetry": False}),
        "paper's networks on a quadratic trend (taylor)": trend,
        BEST: plan.best,
        **variants(plan.best),
    }
    for label, recipe in recipes.items():
        judged, seconds = bench.judged(label, recipe, training, test)
        rows.append(_row(label, judged, seconds))
        if label == PAPER and plan.refinements:
            rows.append(_refined(bench, training, test))
    return Ablation(tuple(rows), len(training), len(test))


def _refined(bench: Workbench, training: Samples, test: Samples) -> Row:
    plan = bench.plan
    label = f"{PAPER} + {plan.refinements} steps of L-BFGS"

    def make() -> dict[str, object]:
        surrogate = bench.surrogate(plan.paper, training, PAPER)
        refined, seconds = refine(
            surrogate,
            bench.training_states_with_images(training)[0],
            plan.refinements,
            lambda name, i, n: bench.report_progress(f"L-BFGS: {name}", i, n),
        )
        return bench.held_out_states(test).judge(refined).to_dict() | {"seconds_more": seconds}

    depends_on = [plan.paper.hashed_table(), plan.refinements, training.key, test.key]
    table = bench.keep("refined", depends_on, make)
    _, before = bench.judged(PAPER, plan.paper, training, test)
    return _row(label, EngineErrors.from_dict(table), before + float(table["seconds_more"]))


def _row(label: str, judged: EngineErrors, seconds: float) -> Row:
    return Row(label, {quantity: judged.summary(quantity)["mean"] for quantity in judged.errors}, seconds)
