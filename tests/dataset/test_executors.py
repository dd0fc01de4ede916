"""Executors that somebody else made: losing a worker costs a second attempt, and nothing that was finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from cellfields.dataset import DatasetStore, LabelEvent, label
from cellfields.errors import CellFieldsError
from tests.dataset.engines import TABLE, FragileEngine, Unloadable, strains
from tests.toy import ToyEngine, magnesium

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore.create_or_open(tmp_path / "set", magnesium(), TABLE)


class WorkerLost(Exception):
    """Has the name of Parsl's exception, which is all that the campaign knows of it."""


class ManagerLost(Exception):
    """As above."""


class KilledWorker(Exception):
    """Has the name of Dask's."""


class BadStateException(Exception):
    """Has the name of what Parsl raises when no block of workers can start."""


class Unreliable(Executor):
    """Works in this thread, but loses samples as ``losses`` says: sample → the exceptions of its first attempts."""

    def __init__(self, losses: dict[Any, list[Exception]]) -> None:
        self.losses = {deformation: list(errors) for deformation, errors in losses.items()}
        self.tried: list[Any] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tried.append(args[1])
        if self.losses.get(args[1]):
            future.set_exception(self.losses[args[1]].pop(0))
        else:
            future.set_result(function(*args, **kwargs))
        return future


def test_a_lost_worker_costs_another_attempt_and_the_third_loss_the_sample(store: DatasetStore) -> None:
    once, twice, always, killed = strains(5)[:4]
    network = OSError("connection reset")
    executor = Unreliable(
        {
            once: [WorkerLost("worker 3")],
            twice: [ManagerLost("node 7"), network],
            always: [WorkerLost("worker 1"), network, WorkerLost("worker 2")],
            killed: [KilledWorker("on 4 workers")],  # the executor has repeated it already
        }
    )
    summary = label(store, ToyEngine(magnesium()), strains(5), executor=executor)
    assert (summary.solved, summary.failed) == (3, 2)
    assert [executor.tried.count(sample) for sample in strains(5)] == [2, 3, 3, 1, 1]
    assert {failure.deformation for failure in store.failures()} == {always, killed}
    for failure in summary.failures:
        assert failure.error == "WorkerDied" and "time and again" in failure.message and not failure.unexpected
    assert {state.deformation for state in store.states()} == {once, twice, strains(5)[4]}


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ([BadStateException("no block starts")], "BadStateException: no block starts"),
        ([CancelledError()], "CancelledError"),
        (
            [ModuleNotFoundError("No module named 'cellfields'")] * 3,
            "ModuleNotFoundError: No module named 'cellfields'",
        ),
    ],
)
def test_what_is_no_sample_s_fault_ends_the_campaign_and_is_on_no_record(
    store: DatasetStore, errors: list[Exception], words: str
) -> None:
    executor = Unreliable({strains(3)[1]: errors})
    with pytest.raises(CellFieldsError, match="the executor broke down") as caught:
        label(store, ToyEngine(magnesium()), strains(3), executor=executor)
    assert words in str(caught.value)
    assert store.failures() == []
    assert label(store, ToyEngine(magnesium()), strains(3)).failed == 0  # and goes on from there


def test_an_executor_that_takes_nothing_is_one_clear_error(store: DatasetStore) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        pass
    with pytest.raises(CellFieldsError, match=r"the executor broke down \(RuntimeError: cannot schedule new futures"):
        label(store, ToyEngine(magnesium()), strains(2), executor=executor)
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as executor,
        pytest.raises(CellFieldsError, match="the executor broke down"),
    ):
        label(store, Unloadable(magnesium()), strains(2), executor=executor)
    assert store.info().failed == store.info().solved == 0


class Deaf(Executor):
    """Accepts everything, finishes one sample, and cannot cancel: as Parsl's."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        class NotCancellable(Future[Any]):
            def cancel(self) -> bool:
                raise NotImplementedError

        future: Future[Any] = NotCancellable()
        if args[1] == strains(1)[0]:
            future.set_result(function(*args, **kwargs))
        return future


def test_interrupting_an_executor_that_cannot_cancel(store: DatasetStore) -> None:
    def interrupt(event: LabelEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="interrupted after 1 solves"):
        label(store, ToyEngine(magnesium()), strains(4), executor=Deaf(), on_event=interrupt)
    assert store.info().solved == 1


def with_parsl(test: Any) -> Any:
    """Marks of a test in whose process Parsl forks, which JAX (where another test has loaded it) and Python warn of."""
    for warning in (r"os\.fork\(\) was called:RuntimeWarning", ".*use of fork:DeprecationWarning"):
        test = pytest.mark.filterwarnings(f"ignore:{warning}")(test)
    return test


# -- the real ones ------------------------------------------------------------------------------------------------


@with_parsl
@pytest.mark.slow
@pytest.mark.parametrize(("fault", "blocks", "workers"), [("die once", 1, 2), ("lose the node", 2, 1)])
def test_parsl_with_a_worker_and_with_a_node_killed_on_the_way(
    store: DatasetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, blocks: int, workers: int
) -> None:
    """SIGKILL of one worker process, or of a whole block (the manager of its workers and the worker)."""
    pytest.importorskip("parsl")
    from parsl import Config
    from parsl.concurrent import ParslPoolExecutor
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    executor = HighThroughputExecutor(
        provider=LocalProvider(init_blocks=blocks, min_blocks=blocks, max_blocks=blocks),
        max_workers_per_node=workers,
        cores_per_worker=0.1,
        address="127.0.0.1",
        heartbeat_period=1,
        heartbeat_threshold=4,
    )
    samples = strains(20)
    engine = FragileEngine(magnesium(), {samples[3]: fault, samples[5]: "diverge"}, delay=0.1, scratch=tmp_path)
    events: list[LabelEvent] = []
    with ParslPoolExecutor(Config(executors=[executor], run_dir=str(tmp_path / "parsl"))) as pool:
        summary = label(store, engine, samples, executor=pool, on_event=events.append)
    assert (tmp_path / "died").exists()  # it did happen
    assert (summary.solved, summary.failed) == (19, 1)
    assert [failure.deformation for failure in store.failures()] == [samples[5]]
    assert store.missing(samples) == [samples[5]]
    assert sorted(event.done for event in events) == list(range(1, 21))
    states = list(store.states())
    assert len({state.provenance["pid"] for state in states}) >= 2
    assert {state.provenance["threads"] for state in states} == {1}
    assert all(state.provenance["cpu_seconds"] > 0 for state in states)


@pytest.mark.slow
def test_dask_with_a_worker_killed_on_the_way(
    store: DatasetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    from distributed import Client, LocalCluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    samples = strains(20)
    engine = FragileEngine(magnesium(), {samples[3]: "die once", samples[5]: "diverge"}, delay=0.1, scratch=tmp_path)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        summary = label(store, engine, samples, executor=client.get_executor(pure=False))
    assert (tmp_path / "died").exists()
    assert (summary.solved, summary.failed) == (19, 1)
    assert [failure.deformation for failure in store.failures()] == [samples[5]]
    assert {state.provenance["threads"] for state in store.states()} == {1}


STUDY = """\
[crystal]
lengths = [7.6, 7.6, 7.6]
angles = [90, 90, 90]
species = ["Al", "Al", "Al", "Al"]
positions = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]

[engine]
cutoff = 4
kmesh = [2, 2, 2]
smearing = "cold"

[sampling]
train = 14
test = 2
"""


@pytest.mark.slow
def test_the_example_with_local_blocks_survives_control_c_and_resumes(tmp_path: Path) -> None:
    pytest.importorskip("parsl")
    study = tmp_path / "aluminium.toml"
    study.write_text(STUDY)
    command = [sys.executable, str(ROOT / "examples" / "06_cluster" / "local_blocks.py"), str(study)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    first = subprocess.Popen(command, **pipes, text=True, start_new_session=True)
    try:
        assert first.stdout is not None
        for _ in range(4):
            assert "solved in" in first.stdout.readline()
        begin = time.monotonic()
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does: also what Parsl has started
        _, complaints = first.communicate(timeout=60)
    finally:
        first.kill()
    assert time.monotonic() - begin < 20
    assert first.returncode == 1
    assert complaints.strip().endswith("solves; run the same command again to go on")
    assert "Traceback" not in complaints
    dataset = tmp_path / "run" / "dataset"
    solved = DatasetStore.open(dataset).info().solved
    assert 4 <= solved < 16
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert again.stdout.splitlines()[-1].startswith(f"{16 - solved} solved, {solved} skipped, 0 failed")
    assert len(list(DatasetStore.open(dataset).states())) == 16


@with_parsl
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # Parsl's, as it looks for this machine's names
def test_the_slurm_example_makes_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("parsl")
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "06_cluster"))
    import slurm

    (executor,) = slurm.slurm(tmp_path).executors
    assert executor.provider.walltime == "08:00:00" and executor.drain_period == 27_000
    assert executor.workers_per_node == slurm.CORES
