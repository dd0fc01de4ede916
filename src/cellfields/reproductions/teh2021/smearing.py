"""Footnote 1 of the paper: the same with Fermi–Dirac smearing, on a smaller set, beside cold smearing on those strains.

S(f) = −f log(f/2) − (2 − f) log(1 − f/2)          entropy of mixing: −TS is then no longer a small number
"""

from __future__ import annotations

from dataclasses import dataclass

from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021.converged import judge
from cellfields.reproductions.teh2021.protocol import in_turn
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES


@dataclass(frozen=True)
class Smearings:
    """Errors with either smearing, learned from and judged on the same strains.

    Attributes:
        training, test: numbers of states.
        errors: smearing → engine → quantity → {mean, median, p99, max}.
        spread: smearing → quantity → standard deviation over the test strains.
    """

    training: int
    test: int
    errors: dict[str, dict[str, dict[str, dict[str, float]]]]
    spread: dict[str, dict[str, float]]


def study(bench: Workbench) -> Smearings | None:
    """Label with the other smearing as far as that is allowed, and compare; None while there are too few labels."""
    engine, most_train, most_test = bench.plan.smearing
    train, test = bench.training[:most_train], bench.test[:most_test]
    store = bench.labels("smearing", engine, in_turn(train.deformations, test.deformations))
    if store is None:
        return None
    other = [Samples.solved(store, part.deformations) for part in (train, test)]
    if len(other[0]) < MINIMUM_TRAINING_STATES or len(other[1]) < 2:
        return None
    cold = [Samples(bench.training.store, part.deformations) for part in other]
    errors, spread = {}, {}
    for name, (training, unseen) in {"cold": cold, "Fermi–Dirac": other}.items():
        judged = judge(bench, training, unseen)
        errors[name] = {engine: {q: e.summary(q) for q in e.errors} for engine, e in judged.items()}
        truth = bench.truth(unseen)
        spread[name] = {quantity: s.standard_deviation for quantity, s in truth.spread.items()}
    return Smearings(len(other[0]), len(other[1]), errors, spread)
