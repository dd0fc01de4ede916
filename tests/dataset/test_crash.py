"""kill -9 at any moment loses no state that was reported as solved, and leaves nothing running."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellfields.dataset import DatasetStore, label
from tests.dataset.engines import TABLE, FragileEngine, strains
from tests.toy import magnesium

SCRIPT = """
import sys
from cellfields.dataset import DatasetStore, LabelInterrupted, label
from tests.dataset.engines import TABLE, FragileEngine, strains
from tests.toy import magnesium

if __name__ == "__main__":
    store = DatasetStore.create_or_open(sys.argv[1], magnesium(), TABLE)
    engine = FragileEngine(magnesium(), delay=0.01)
    tell = lambda event: print(event.kind, store.key(event.deformation), flush=True)
    try:
        label(store, engine, strains(400), workers=int(sys.argv[2]), on_event=tell)
    except LabelInterrupted as error:
        print("interrupted", error.summary.solved, flush=True)
"""


@contextlib.contextmanager
def started(tmp_path: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    """The campaign above in a process group of its own."""
    script = tmp_path / "campaign.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    command = [sys.executable, str(script), str(tmp_path / "set"), str(workers)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    campaign = subprocess.Popen(command, **pipes, env=environment, text=True, start_new_session=True)
    try:
        yield campaign
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(campaign.pid, signal.SIGKILL)  # whatever the test found, nothing stays behind
        campaign.communicate()


def read_solved(campaign: subprocess.Popen[str], count: int) -> list[str]:
    """Keys of the first ``count`` samples that the campaign reports as solved."""
    assert campaign.stdout is not None
    solved: list[str] = []
    while len(solved) < count:
        kind, key = campaign.stdout.readline().split()
        if kind == "solved":
            solved.append(key)
    return solved


def wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + 10
    for pid in pids:
        while _alive(pid):
            assert time.monotonic() < deadline, f"worker {pid} outlived its killed parent"
            time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # a process that nobody has waited for yet is dead all the same
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see whether workers are gone")
def test_kill_9_then_resume(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    rng = random.Random(0)
    pids: set[int] = set()
    for workers in (2, 1, 2):
        with started(tmp_path, workers) as campaign:
            acknowledged |= set(read_solved(campaign, 5))
            time.sleep(rng.uniform(0, 0.1))
            campaign.kill()  # the parent alone: its workers must notice
            rest, _ = campaign.communicate(timeout=20)  # ends when the last worker has let go of the pipe
        acknowledged |= {
            line.split()[1] for line in rest.splitlines() if line.startswith("solved ") and len(line) == 71
        }
        store = DatasetStore.open(tmp_path / "set")
        states = list(store.states())  # every sealed file is whole: the hash is checked
        assert acknowledged <= {store.key(state.deformation) for state in states}
        pids |= {state.provenance["pid"] for state in states}
        wait_until_gone(pids)
    store = DatasetStore.create_or_open(tmp_path / "set", magnesium(), TABLE)
    assert not list(store.directory.rglob(".*"))  # leftovers are swept at the start
    before = store.info().solved
    assert before >= len(acknowledged) >= 15
    summary = label(store, FragileEngine(magnesium()), strains(max(30, before + 5)))
    assert summary.failed == 0 and store.missing(strains(max(30, before + 5))) == []
    assert summary.skipped == before  # samples are handed out in order: nothing finished was solved again


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see whether workers are gone")
def test_control_c_reaches_the_group_and_ends_it_cleanly(tmp_path: Path) -> None:
    with started(tmp_path, 2) as campaign:
        solved = set(read_solved(campaign, 5))
        begin = time.monotonic()
        os.killpg(campaign.pid, signal.SIGINT)
        rest, complaints = campaign.communicate(timeout=20)
    assert time.monotonic() - begin < 5  # the other 390 solves are not waited for
    assert campaign.returncode == 0 and "Traceback" not in complaints
    word, count = rest.splitlines()[-1].split()
    store = DatasetStore.open(tmp_path / "set")
    states = list(store.states())
    assert word == "interrupted" and 5 <= int(count) <= len(states) < 300
    assert solved <= {store.key(state.deformation) for state in states}
    wait_until_gone({state.provenance["pid"] for state in states})
