"""Coverage: each fold judged by a model that has not seen it, and shares that are counted right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021 import uncertainty
from cellfields.reproductions.teh2021.uncertainty import Uncertainties, _coverage
from cellfields.reproductions.teh2021.workbench import Workbench


def test_shares_are_counted() -> None:
    found = _coverage([0.5, 1.5, 2.5, 9.0], [1.0, 1.0, 1.0, 2.0])
    assert found.shares == {1: 0.25, 2: 0.5, 3: 0.75}
    assert (found.sigma, found.error) == (1.25, 3.375)
    assert found.correlation == pytest.approx(0.7745966692414834)  # of ranks (1, 2, 3, 4) and (2, 2, 2, 4)
    assert _coverage([1.0, 2.0], [0.5, 0.5]).correlation == 0.0  # σ does not vary
    exact = np.abs(np.random.default_rng(0).normal(size=20_000))
    shares = _coverage(exact.tolist(), np.ones(20_000).tolist()).shares
    assert shares == pytest.approx(uncertainty.NOMINAL, abs=0.01)


def test_no_fold_is_judged_by_a_model_that_saw_it(
    toy_bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: list[tuple[Samples, Samples]] = []

    def noted(bench, training, held, about):  # type: ignore[no-untyped-def]
        pairs.append((training, held))
        return {"free_energy": [[float(len(held))] * len(held), [1.0] * len(held)]}

    monkeypatch.setattr(uncertainty, "_pairs", noted)
    found = uncertainty.study(toy_bench)
    *folds, unseen = pairs
    everything = set(toy_bench.plan.train)
    for training, held in folds:
        assert set(training.deformations) == everything - set(held.deformations)
    assert sorted(len(held) for _, held in folds) == [3, 3, 3, 3]
    assert {d for _, held in folds for d in held.deformations} == everything
    assert set(unseen[0].deformations) == everything and unseen[1] is toy_bench.test
    assert found.held_out["free_energy"].error == 3.0 and found.unseen["free_energy"].error == 4.0


@pytest.fixture(scope="module")
def found(toy_bench: Workbench) -> Uncertainties:
    return uncertainty.study(toy_bench)


def test_sigma_is_that_of_the_model_and_the_error_that_of_the_exam(toy_bench: Workbench, found: Uncertainties) -> None:
    assert (found.training, found.test) == (12, 4)
    best = toy_bench.surrogate(toy_bench.plan.best, toy_bench.training, "best")
    sigma = [best.uncertainty(strain) for strain in toy_bench.plan.test]
    judged, _ = toy_bench.judged("best", toy_bench.plan.best, toy_bench.training, toy_bench.test)
    assert set(found.unseen) == set(found.held_out) == set(judged.errors) & set(sigma[0])
    for quantity, coverage in found.unseen.items():
        assert coverage.sigma == pytest.approx(np.mean([s[quantity] for s in sigma]))
        assert coverage.error == pytest.approx(judged.errors[quantity].mean())
