"""What a campaign would take, from what is there or from one trial."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, label
from cellfields.dataset.forecast import Cost, Forecast
from cellfields.errors import CellFieldsError
from cellfields.state import CellState
from tests.dataset.engines import TABLE, FragileEngine, strains
from tests.toy import ToyEngine, magnesium


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore.create_or_open(tmp_path / "set", magnesium(), TABLE)


def test_without_a_dataset_everything_is_missing() -> None:
    plan = Forecast.of(None, strains(3) + strains(2))
    assert (plan.strains, plan.solved, plan.quarantined, plan.missing) == (3, 0, (), tuple(strains(3)))


def test_solved_quarantined_and_missing_make_up_the_whole(store: DatasetStore) -> None:
    samples = strains(6)
    label(store, FragileEngine(magnesium(), {samples[1]: "diverge"}), samples[:3])
    plan = Forecast.of(store, samples)
    assert (plan.strains, plan.solved) == (6, 2)
    assert [failure.deformation for failure in plan.quarantined] == [samples[1]]
    assert plan.missing == tuple(samples[3:])
    again = Forecast.of(store, samples, retry_failed=True)
    assert again.quarantined == () and again.missing == (samples[1], *samples[3:])


def test_the_cost_is_the_median_of_the_states(store: DatasetStore) -> None:
    assert Cost.of_dataset(store) is None
    for deformation, seconds in zip(strains(3), (1.0, 2.0, 60.0), strict=True):
        state = ToyEngine(magnesium()).solve(deformation)
        store.write(replace(state, provenance={"wall_seconds": seconds}))
    cost = Cost.of_dataset(store)
    assert cost is not None and cost.seconds == 2.0 and cost.based_on == "median of 3 solved states"
    assert cost.size == store.info().bytes_on_disk / 3
    plan = Forecast.of(store, strains(10))
    assert [plan.seconds(cost, workers) for workers in (1, 2, 7, 100)] == [14.0, 8.0, 2.0, 2.0]
    assert plan.size(cost) == 7 * cost.size


def test_states_that_say_no_time_or_are_damaged_are_no_estimate(store: DatasetStore) -> None:
    state = ToyEngine(magnesium()).solve(strains(1)[0])
    store.write(state)
    assert Cost.of_dataset(store) is None
    (path,) = (store.directory / "states").iterdir()
    path.write_bytes(b"damaged")
    assert Cost.of_dataset(store) is None


def test_a_trial_solve_is_timed_and_measured_as_it_would_be_stored(store: DatasetStore) -> None:
    deformation = strains(1)[0]
    cost = Cost.of_trial(FragileEngine(magnesium(), delay=0.1), [deformation])
    assert 0.1 <= cost.seconds < 5
    label(store, FragileEngine(magnesium()), [deformation])
    (path,) = (store.directory / "states").iterdir()
    assert cost.size == pytest.approx(path.stat().st_size, abs=400)  # without its record
    with pytest.raises(CellFieldsError, match="could not be solved: SCF stopped after 2 steps"):
        Cost.of_trial(FragileEngine(magnesium(), {deformation: "diverge"}), [deformation])


class Recording(FragileEngine):
    """Remembers what it was asked for; far strains take longer."""

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        asked.append(deformation)
        time.sleep(5 * abs(deformation.stretches[0] - 1))
        return super().solve(deformation)


asked: list[Deformation] = []


def test_a_typical_and_the_farthest_strain_are_tried() -> None:
    asked.clear()
    ladder = [Deformation((1 + 0.01 * i, 1, 1), (90, 90, 90)) for i in (5, 1, 3, 2, 4)]
    cost = Cost.of_trial(Recording(magnesium()), ladder)
    assert [round(100 * (d.stretches[0] - 1)) for d in asked] == [3, 5]
    assert 0.15 <= cost.fastest < cost.seconds < cost.slowest and cost.slowest >= 0.25
