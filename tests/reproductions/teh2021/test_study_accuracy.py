"""The main result: every engine on every test strain, beside the authors' numbers on the same strains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.evaluation.baselines import BASELINES
from cellfields.evaluation.evaluate import evaluate
from cellfields.reproductions.teh2021 import accuracy
from cellfields.reproductions.teh2021.accuracy import (
    BEST,
    PAPER,
    PCA_FLOOR,
    RECIPE_LABELS,
    Accuracy,
    network_beaten_by,
    specimen,
)
from cellfields.reproductions.teh2021.workbench import Workbench
from tests.reproductions.teh2021.toy_plan import draw, published


def test_every_engine_is_judged_on_the_same_strains(toy_bench: Workbench, toy_accuracy: Accuracy) -> None:
    evaluation = toy_accuracy.evaluation
    assert list(evaluation.engines) == [*RECIPE_LABELS, PCA_FLOOR, *BASELINES]
    assert (toy_accuracy.training, toy_accuracy.test, toy_accuracy.asked) == (12, 4, (12, 4))
    np.testing.assert_array_equal(evaluation.deformations, [d.as_array() for d in toy_bench.plan.test])
    surrogate = toy_bench.surrogate(toy_bench.plan.best, toy_bench.training, BEST)
    direct = evaluate({"it": surrogate}, toy_bench.test.states, grid=toy_bench.plan.grid).engines["it"]
    for quantity, values in direct.errors.items():
        np.testing.assert_allclose(evaluation.engines[BEST].errors[quantity], values, rtol=1e-6, atol=1e-12)
    assert toy_accuracy.outside == sum(not surrogate.in_domain(d) for d in toy_bench.plan.test)
    assert set(toy_accuracy.training_seconds) == set(RECIPE_LABELS)
    assert toy_accuracy.displacement_difference is None and toy_accuracy.figure_2 is None


def test_nothing_on_these_modes_is_better_than_the_floor(toy_accuracy: Accuracy) -> None:
    floor = toy_accuracy.evaluation.engines[PCA_FLOOR].errors
    assert "free_energy" not in floor  # it predicts nothing but fields
    for name in (PAPER, BEST, *BASELINES):
        errors = toy_accuracy.evaluation.engines[name].errors
        assert (errors["density.relative_l2"] >= floor["density.relative_l2"] * (1 - 1e-9)).all()


def test_a_regression_that_is_better_is_named(toy_accuracy: Accuracy) -> None:
    """A quadratic of a dozen strains with images is better than a network of ten epochs."""
    engines = toy_accuracy.evaluation.engines

    def mean(name: str) -> float:
        return engines[name].summary("free_energy")["mean"]

    beaten = network_beaten_by(toy_accuracy, "free_energy", PAPER)
    assert beaten == sorted((n for n in BASELINES if mean(n) < mean(PAPER)), key=mean) and "quadratic" in beaten
    assert network_beaten_by(toy_accuracy, "free_energy", "nobody") == []


def test_the_authors_numbers_stand_beside_ours(toy_bench: Workbench, toy_accuracy: Accuracy) -> None:
    """Their table is in another order and has more strains than are solved."""
    theirs = published((*draw(3, 9), *toy_bench.plan.test[::-1]))
    theirs.models["published network"]["density.nrmse"][:] = np.arange(7)  # type: ignore[index]
    theirs.displacement[:] = 0.5
    bench = replace(toy_bench, plan=replace(toy_bench.plan, published=theirs))
    found = accuracy.study(bench)
    assert list(found.evaluation.engines)[:5] == [
        *RECIPE_LABELS,
        "published network",
        "published PCA floor",
        "published linear",
    ]
    np.testing.assert_array_equal(found.evaluation.engines["published network"].errors["density.nrmse"], [6, 5, 4, 3])
    moved = toy_accuracy.evaluation.displacement
    assert found.displacement_difference == pytest.approx(np.abs(moved - 0.5).mean())
    assert found.figure_2 is None  # the folder has no such file


def test_the_drawn_strain_is_a_typical_one(toy_bench: Workbench, toy_accuracy: Accuracy) -> None:
    truth, predicted = specimen(toy_bench, toy_accuracy)
    assert truth.deformation == predicted.deformation
    errors = toy_accuracy.evaluation.engines[BEST].errors["density.nrmse"]
    row = toy_bench.plan.test.index(truth.deformation)
    assert errors[row] == np.sort(errors)[len(errors) // 2]
    assert truth.provenance["engine"] == "toy" and predicted.provenance["recipe"] == "best"
