"""Errors against training size: the sizes there are states for, and all of them."""

from __future__ import annotations

import pytest

from cellfields.reproductions.teh2021 import learning_curve
from cellfields.reproductions.teh2021.accuracy import BEST, PCA_FLOOR, RECIPE_LABELS
from cellfields.reproductions.teh2021.learning_curve import LearningCurve
from cellfields.reproductions.teh2021.workbench import Workbench


@pytest.fixture(scope="module")
def curve(toy_bench: Workbench) -> LearningCurve:
    return learning_curve.study(toy_bench)


def test_sizes_are_those_of_the_plan_that_there_are_states_for(toy_bench: Workbench, curve: LearningCurve) -> None:
    assert toy_bench.plan.sizes == (9, 100)
    assert curve.sizes == (9, 12)
    assert (curve.images, curve.test) == (4, 4)
    assert {len(means) for table in curve.errors.values() for means in table.values()} == {2}
    assert {name: len(seconds) for name, seconds in curve.seconds.items()} == dict.fromkeys(RECIPE_LABELS, 2)


def test_each_point_is_the_recipe_on_the_first_strains(toy_bench: Workbench, curve: LearningCurve) -> None:
    for place, size in enumerate(curve.sizes):
        judged, _ = toy_bench.judged(BEST, toy_bench.plan.best, toy_bench.training[:size], toy_bench.test)
        for quantity, means in curve.errors[BEST].items():
            assert means[place] == judged.summary(quantity)["mean"]
    assert curve.errors[BEST]["free_energy"][1] < curve.errors[BEST]["free_energy"][0]


def test_the_floor_lies_under_both(curve: LearningCurve) -> None:
    for quantity in ("density.relative_l2", "entropy_density.nrmse"):
        for place in range(2):
            lowest = curve.errors[PCA_FLOOR][quantity][place]
            assert all(lowest <= curve.errors[name][quantity][place] * (1 + 1e-9) for name in RECIPE_LABELS)
