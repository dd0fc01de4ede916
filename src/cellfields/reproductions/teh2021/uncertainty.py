"""Coverage of errors by the best recipe's standard deviations σ, on folds that were held out and on test strains.

    coverage(k) = share of strains with  |error| < k σ(D) ,  k = 1, 2, 3        nominal: 68.3 %, 95.4 %, 99.7 %

Each fold is predicted by a model that is trained on the other folds, with the uncertainty of that model; the test
strains are predicted by the model that is trained on all folds. The rank correlation of σ with the error measures
whether σ is larger for strains with larger errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from cellfields._typing import FloatArray
from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021.accuracy import BEST
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate import Surrogate

NOMINAL = {1: 0.683, 2: 0.954, 3: 0.997}
_FOLDS = 4


@dataclass(frozen=True)
class Coverage:
    """Coverage of the errors of one quantity.

    Attributes:
        shares: multiple of σ → share of errors below it.
        correlation: Spearman's rank correlation of σ and error; 0 where either does not vary.
        sigma: mean σ, in the units of an evaluation.
        error: mean error, in the units of an evaluation.
    """

    shares: dict[int, float]
    correlation: float
    sigma: float
    error: float


@dataclass(frozen=True)
class Uncertainties:
    """Coverage of all quantities.

    Attributes:
        held_out: quantity → coverage on the training strains, each in the fold that was held out.
        unseen: quantity → coverage on the test strains.
        training, test: numbers of states.
    """

    held_out: dict[str, Coverage]
    unseen: dict[str, Coverage]
    training: int
    test: int


def study(bench: Workbench) -> Uncertainties:
    """Measure the coverage on four folds, each held out once, and on the test strains."""
    training, test = bench.training, bench.test
    pairs: dict[str, list[list[float]]] = {}
    for fold in range(_FOLDS):
        rows = range(fold, len(training), _FOLDS)
        held = Samples(training.store, tuple(training.deformations[row] for row in rows))
        for quantity, pair in _pairs(bench, training.without(rows), held, f"fold {fold + 1}").items():
            merged = pairs.setdefault(quantity, [[], []])
            merged[0] += pair[0]
            merged[1] += pair[1]
    unseen = _pairs(bench, training, test, BEST)
    return Uncertainties(
        {q: _coverage(*pair) for q, pair in pairs.items()},
        {q: _coverage(*pair) for q, pair in unseen.items()},
        len(training),
        len(test),
    )


def _pairs(bench: Workbench, training: Samples, held: Samples, about: str) -> dict[str, list[list[float]]]:
    """Quantity → [errors, standard deviations] at the held strains."""
    recipe = bench.plan.best

    def make() -> dict[str, Any]:
        surrogate: Surrogate = bench.surrogate(recipe, training, about)
        judged = bench.held_out_states(held).judge(surrogate)
        sigma = [surrogate.uncertainty(deformation) for deformation in held.deformations]
        return {
            quantity: [errors.tolist(), [s[quantity] for s in sigma]]
            for quantity, errors in judged.errors.items()
            if quantity in sigma[0]
        }

    table: dict[str, list[list[float]]] = bench.keep(
        "uncertainty", [recipe.hashed_table(), training.key, held.key], make
    )
    return table


def _coverage(errors: list[float], sigma: list[float]) -> Coverage:
    e: FloatArray = np.array(errors)
    s: FloatArray = np.array(sigma)
    varied = np.ptp(e) > 0 and np.ptp(s) > 0
    return Coverage(
        {k: float((e < k * s).mean()) for k in NOMINAL},
        float(spearmanr(e, s).statistic) if varied else 0.0,
        float(s.mean()),
        float(e.mean()),
    )
