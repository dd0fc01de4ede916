"""A campaign solves what is missing, records what fails, and gives the same files whoever does the work."""

from __future__ import annotations

import json
import os
import pickle
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, LabelEvent, LabelInterrupted, StoreError, label
from cellfields.errors import CellFieldsError, InputError, SettingsMismatchError
from cellfields.state import CellState
from tests.dataset.engines import TABLE, FragileEngine, ProgramMissing, Unloadable, Unpicklable, strains
from tests.toy import ToyEngine, magnesium


def make_store(directory: Path) -> DatasetStore:
    return DatasetStore.create_or_open(directory, magnesium(), TABLE)


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return make_store(tmp_path / "set")


class CountingEngine(ToyEngine):
    def __init__(self) -> None:
        super().__init__(magnesium())
        self.solved: list[Deformation] = []

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        self.solved.append(deformation)
        return super().solve(deformation)


class PicklingExecutor(Executor):
    """Every task and result crosses a process boundary in spirit, as on a cluster."""

    def __init__(self) -> None:
        self.tasks = 0

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += 1
        future: Future[Any] = Future()
        function, args = pickle.loads(pickle.dumps((function, args)))
        future.set_result(pickle.loads(pickle.dumps(function(*args))))
        return future


def contents(store: DatasetStore) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """name → (tensor bytes, header without provenance) of every sealed state."""
    found = {}
    for path in sorted((store.directory / "states").iterdir()):
        data = path.read_bytes()
        length = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8:length])["__metadata__"]["header"])
        header.pop("provenance")
        found[path.name] = (data[length:], header)
    return found


def test_resuming_solves_only_what_is_missing(store: DatasetStore) -> None:
    events: list[LabelEvent] = []
    first = label(store, CountingEngine(), strains(3), on_event=events.append)
    assert (first.total, first.solved, first.skipped, first.failed) == (3, 3, 0, 0)
    assert [(event.kind, event.done, event.total) for event in events] == [("solved", n, 3) for n in (1, 2, 3)]
    engine = CountingEngine()
    again = label(store, engine, strains(5) + strains(2), on_event=events.append)  # repeated ones count once
    assert (again.total, again.solved, again.skipped) == (5, 2, 3)
    assert engine.solved == strains(5)[3:]
    assert [event.kind for event in events[3:]] == ["skipped"] * 3 + ["solved"] * 2
    assert [event.done for event in events[3:]] == [1, 2, 3, 4, 5]


def test_a_damaged_state_is_solved_anew(store: DatasetStore) -> None:
    label(store, CountingEngine(), strains(3))
    broken = store.directory / "states" / f"{store.key(strains(3)[1])}.safetensors"
    broken.write_bytes(broken.read_bytes()[:100])
    engine = CountingEngine()
    label(store, engine, strains(3))
    assert engine.solved == [strains(3)[1]]
    assert len(list(store.states())) == 3


def test_two_workers_give_the_files_of_one_byte_for_byte(tmp_path: Path) -> None:
    """Whoever works, in whatever order: same names, same bytes of every array, same numbers in the headers."""
    one, two, threads, elsewhere = (make_store(tmp_path / name) for name in ("one", "two", "threads", "elsewhere"))
    engine = FragileEngine(magnesium(), delay=0.02)
    before = dict(os.environ)
    asked: list[Deformation] = []

    def starter(deformation: Deformation) -> Any:
        asked.append(deformation)
        return None if deformation == strains(1)[0] else f"near {deformation.stretches[0]}"

    label(one, engine, strains(8), starter=starter)
    (tmp_path / "meeting").mkdir()
    both = FragileEngine(magnesium(), delay=0.02, meeting=tmp_path / "meeting")
    label(two, both, reversed(strains(8)), workers=2, starter=starter)
    assert asked == strains(8) + strains(8)[::-1]
    with ThreadPoolExecutor(3) as executor:
        label(threads, engine, strains(8), executor=executor)
    pickling = PicklingExecutor()
    label(elsewhere, engine, strains(8), executor=pickling)
    assert pickling.tasks == 8
    assert contents(one) == contents(two) == contents(threads) == contents(elsewhere)
    assert len(contents(one)) == 8
    assert dict(os.environ) == before
    for store in (one, two):  # a start reaches the engine, wherever that works
        starts = [store.read(deformation).provenance["start"] for deformation in strains(8)]
        assert starts == [None, *(f"near {deformation.stretches[0]}" for deformation in strains(8)[1:])]
    workers = {state.provenance["pid"] for state in two.states()}
    assert len(workers) == 2 and os.getpid() not in workers
    assert {state.provenance["threads"] for store in (two, threads) for state in store.states()} == {1}
    assert all(state.provenance["wall_seconds"] >= 0.02 for state in two.states())
    assert all(0 <= state.provenance["cpu_seconds"] < 5 for state in two.states())


def test_solving_in_this_process_uses_one_blas_thread_and_puts_it_back(store: DatasetStore) -> None:
    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info()]

    seen = []

    class Looking(ToyEngine):
        def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
            seen.append(threads())
            return super().solve(deformation)

    with threadpool_limits(2):
        before = threads()
        label(store, Looking(magnesium()), strains(2))
        assert threads() == before and 2 in before
    assert seen and all(count == 1 for counts in seen for count in counts)


@pytest.mark.parametrize("how", ["here", "executor"])
def test_failures_are_recorded_and_the_rest_goes_on(store: DatasetStore, how: str) -> None:
    good, diverging, defective, infinite, wrong = strains(5)
    faults = {diverging: "diverge", defective: "bug", infinite: "nan", wrong: "wrong sample"}
    engine = FragileEngine(magnesium(), faults)
    events: list[LabelEvent] = []

    def run() -> Any:
        if how == "executor":
            with ThreadPoolExecutor(2) as executor:
                return label(store, engine, strains(5), executor=executor, on_event=events.append)
        return label(store, engine, strains(5), on_event=events.append)

    summary = run()
    assert (summary.solved, summary.failed) == (1, 4)
    assert store.has(good) and store.info().solved == 1 and store.info().failed == 4
    listed = {failure.deformation: failure for failure in store.failures()}
    assert {failure.deformation for failure in summary.failures} == set(listed) == set(faults)
    assert listed[diverging].error == "SCFNotConverged" and not listed[diverging].unexpected
    assert listed[diverging].history == ({"step": 1.0, "residual": 0.5}, {"step": 2.0, "residual": "inf"})
    assert listed[defective].error == "ZeroDivisionError" and listed[defective].unexpected
    assert "a defect" in listed[defective].traceback
    assert "free_energy = nan" in listed[infinite].message and not listed[infinite].unexpected
    assert "asked for" in listed[wrong].message
    by_sample = {event.deformation: event for event in events}
    assert by_sample[diverging].kind == "failed" and by_sample[diverging].failure is not None
    assert by_sample[diverging].failure.error == "SCFNotConverged"
    assert sorted(event.done for event in events) == [1, 2, 3, 4, 5]
    assert not any(store.has(deformation) for deformation in faults)


def test_failed_samples_are_retried_unless_told_otherwise(store: DatasetStore) -> None:
    deformation = strains(1)[0]
    label(store, FragileEngine(magnesium(), {deformation: "diverge"}), strains(2))
    engine = CountingEngine()
    assert label(store, engine, strains(2), retry_failed=False).skipped == 2
    assert engine.solved == [] and len(store.failures()) == 1
    summary = label(store, engine, strains(2))
    assert engine.solved == [deformation] and (summary.solved, summary.skipped, summary.failed) == (1, 1, 0)
    assert store.failures() == []


def test_a_killed_worker_loses_nobody_else(store: DatasetStore, tmp_path: Path) -> None:
    """One sample kills its worker the first time only (as when memory ran out beside another), one always."""
    samples = strains(7)
    faults = {samples[0]: "die once", samples[1]: "diverge", samples[2]: "bug", samples[6]: "die"}
    events: list[LabelEvent] = []
    engine = FragileEngine(magnesium(), faults, scratch=tmp_path)
    summary = label(store, engine, samples, workers=2, on_event=events.append)
    assert (summary.solved, summary.failed) == (4, 3)
    assert {state.deformation for state in store.states()} == {samples[0], *samples[3:6]}
    listed = {failure.deformation: failure for failure in store.failures()}
    assert {failure.error for failure in listed.values()} == {"SCFNotConverged", "ZeroDivisionError", "WorkerDied"}
    assert listed[samples[6]].error == "WorkerDied" and "twice" in listed[samples[6]].message
    assert listed[samples[1]].history[0]["residual"] == 0.5  # crosses from the worker to the record
    assert sorted(event.done for event in events) == list(range(1, 8))


def test_interruption_in_this_process_and_in_an_executor(store: DatasetStore) -> None:
    class Interrupted(ToyEngine):
        def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
            if deformation == strains(4)[2]:
                raise KeyboardInterrupt
            return super().solve(deformation)

    with pytest.raises(LabelInterrupted) as caught:
        label(store, Interrupted(magnesium()), strains(4))
    assert caught.value.summary.solved == 2 and store.info().solved == 2

    def interrupt(event: LabelEvent) -> None:
        if event.kind == "solved":
            raise KeyboardInterrupt

    executor = PicklingExecutor()  # has everything finished at once
    with pytest.raises(LabelInterrupted):
        label(store, FragileEngine(magnesium()), strains(6), executor=executor, on_event=interrupt)
    assert store.missing(strains(6)) == []  # also what was finished and not yet looked at


def test_an_engine_with_other_settings_is_refused_before_anything_is_solved(store: DatasetStore) -> None:
    engine = FragileEngine(magnesium(), table={**TABLE, "settings": {"field_cutoff": 9.0, "kmesh": [4, 4, 4]}})
    with pytest.raises(SettingsMismatchError, match=r"field_cutoff was 4.0, now 9.0"):
        label(store, engine, strains(2))
    assert store.info().solved == 0


def test_what_cannot_work_at_all_is_one_sentence_and_no_record(store: DatasetStore) -> None:
    with pytest.raises(InputError, match="workers = 0 must be at least 1"):
        label(store, CountingEngine(), strains(2), workers=0)
    with pytest.raises(InputError, match="engine Unpicklable cannot be sent to worker processes"):
        label(store, Unpicklable(magnesium()), strains(2), workers=2)
    with pytest.raises(CellFieldsError, match="cannot load the engine: OSError: the pseudopotential file"):
        label(store, Unloadable(magnesium()), strains(2), workers=2)

    class Broken(PicklingExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenExecutor("the cluster went away"))
            return future

    with pytest.raises(CellFieldsError, match="the executor broke down"):
        label(store, CountingEngine(), strains(2), executor=Broken())
    assert store.info().failed == store.info().solved == 0


@pytest.mark.parametrize("how", ["here", "pool", "executor"])
def test_a_disk_that_is_full_ends_the_campaign_instead_of_wasting_it(store: DatasetStore, how: str) -> None:
    """A directory in the way of a file stands for the disk: works for root too."""
    blocked = strains(6)[1]
    (store.directory / "states" / f"{store.key(blocked)}.safetensors").mkdir()
    engine = FragileEngine(magnesium(), delay=0.05)
    with pytest.raises(StoreError, match="cannot write"), ThreadPoolExecutor(1) as executor:
        label(
            store,
            engine,
            strains(6),
            workers=2 if how == "pool" else 1,
            executor=executor if how == "executor" else None,
        )
    assert store.failures() == []  # nothing is wrong with the sample


def test_a_read_only_dataset_is_refused_before_anything_is_solved(
    store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    label(store, CountingEngine(), strains(2))
    real = os.access
    states = store.directory / "states"
    monkeypatch.setattr(os, "access", lambda path, mode: path != states and real(path, mode))  # root may write anywhere
    engine = CountingEngine()
    with pytest.raises(StoreError, match=r"cannot write .*states: it is read-only or gone; what was stored before is"):
        label(store, engine, strains(3))
    assert engine.solved == []
    assert label(store, engine, strains(2)).skipped == 2  # nothing to write, nothing to complain about
    monkeypatch.undo()
    (store.directory / "failures").rmdir()
    with pytest.raises(StoreError, match=r"cannot write .*failures"):
        label(store, engine, strains(3))


@pytest.mark.parametrize("how", ["here", "pool", "executor"])
def test_an_error_that_every_sample_would_meet_ends_the_campaign(store: DatasetStore, how: str) -> None:
    engine = FragileEngine(magnesium(), {strains(6)[1]: "no program"}, delay=0.05)
    workers = 2 if how == "pool" else 1
    with pytest.raises(ProgramMissing, match="there is no such program"), ThreadPoolExecutor(1) as executor:
        label(store, engine, strains(6), workers=workers, executor=executor if how == "executor" else None)
    assert store.failures() == []
    assert store.info().solved < 5
