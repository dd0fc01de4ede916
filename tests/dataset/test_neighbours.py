"""The nearest solved state's density starts the next solve."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cellfields import Deformation
from cellfields.dataset import DatasetStore, NeighbourStarter, label
from tests.toy import ToyEngine, magnesium

NEAR = Deformation.from_array([1.01, 1.0, 1.0, 90, 90, 90])
FAR = Deformation.from_array([1.05, 0.95, 1.0, 93, 90, 90])
HERE = Deformation.from_array([1.0, 1.0, 1.0, 90, 90, 90])


def filled(directory: Path, *deformations: Deformation) -> DatasetStore:
    engine = ToyEngine(magnesium())
    store = DatasetStore.create_or_open(directory, engine.crystal, {"engine": "toy"})
    label(store, engine, deformations)
    return store


def test_the_nearest_solved_state_is_taken(tmp_path: Path) -> None:
    store = filled(tmp_path, NEAR, FAR)
    start = NeighbourStarter(store, [FAR, HERE, NEAR])(HERE)
    assert start is not None and start.internal is None
    expected = store.read(NEAR)
    assert np.array_equal(start.positions, expected.positions)
    assert np.array_equal(start.fields.coefficients["density"], expected.fields.coefficients["density"])


def test_what_is_not_solved_or_has_no_density_is_passed_over(tmp_path: Path) -> None:
    store = filled(tmp_path, FAR)
    starter = NeighbourStarter(store, [NEAR, FAR])
    assert np.array_equal(starter(HERE).positions, store.read(FAR).positions)
    store.write(replace(ToyEngine(magnesium()).solve(NEAR), fields=None))
    assert np.array_equal(starter(HERE).positions, store.read(FAR).positions)
    assert NeighbourStarter(store, [])(HERE) is None
    assert NeighbourStarter(store, [HERE])(HERE) is None
