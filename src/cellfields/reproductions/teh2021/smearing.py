"""Errors with Fermi–Dirac smearing and with cold smearing on the same, smaller set of strains (paper, footnote 1).

S(f) = −f log(f/2) − (2 − f) log(1 − f/2)          the entropy of Fermi–Dirac smearing, with which −TS is not small
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
    """Errors with labels of either smearing, of engines trained and tested on the same strains.

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
    """Solve labels with Fermi–Dirac smearing, where that is allowed, and compare; None with too few labels."""
    engine, most_train, most_test = bench.plan.smearing
    train, test = bench.training[:most_train], bench.test[:most_test]
    store = bench.labels("smearing", engine, in_turn(train.deformations, test.deformations))
    if store is None:
        return None
    fermi_dirac = [Samples.solved(store, part.deformations) for part in (train, test)]
    if len(fermi_dirac[0]) < MINIMUM_TRAINING_STATES or len(fermi_dirac[1]) < 2:
        return None
    cold = [Samples(bench.training.store, part.deformations) for part in fermi_dirac]
    errors, spread = {}, {}
    for name, (training, unseen) in {"cold": cold, "Fermi–Dirac": fermi_dirac}.items():
        judged = judge(bench, training, unseen)
        errors[name] = {engine: {q: e.summary(q) for q in e.errors} for engine, e in judged.items()}
        truth = bench.truth(unseen)
        spread[name] = {quantity: s.standard_deviation for quantity, s in truth.spread.items()}
    return Smearings(len(fermi_dirac[0]), len(fermi_dirac[1]), errors, spread)
