"""A campaign that says what it does through a pipe, and the one who listens, kills it at a random moment, and counts.

Described in ``crash_safety.py``. Needs Linux (/proc, fork).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cellfields import CellState, DatasetStore, Deformation, InputError
from cellfields.dataset import label
from cellfields.engines.identity import EngineIdentity
from tests.dataset.engines import TABLE, strains
from tests.toy import ToyEngine, magnesium

STRAINS = strains(90)
NUMBER = {deformation: number for number, deformation in enumerate(STRAINS)}
PARTS = {"pool": 1, "array": 3}  # campaigns in one dataset
WORKERS = {"pool": 2, "array": 1}  # of each
PATIENCE = 60.0  # seconds after which something hangs
NEVER = (
    "acknowledged states lost",
    "corrupt reads",
    "sealed states solved again",
    "leftovers not swept at the next start",
    "campaigns that ended in an error",
    "datasets that differ",
)


# -- what runs in the campaign's processes --------------------------------------------------------------------------


def acknowledge(word: str, deformation: Deformation | None = None) -> None:
    """One line into the pipe, whole or not at all: "begun", "sealed", "solved" or "opened", number, process."""
    os.write(1, f"{word} {-1 if deformation is None else NUMBER[deformation]} {os.getpid()}\n".encode())


class LoudEngine(ToyEngine):
    """Says when it begins; the same strain gives the same bytes every time."""

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(TABLE)

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        acknowledge("begun", deformation)
        state = super().solve(deformation)
        return replace(state, provenance={"wall_seconds": 0.0, "cpu_seconds": 0.0})


class LoudStore(DatasetStore):
    """Says when a state is sealed."""

    def write(self, state: CellState) -> None:
        super().write(state)
        acknowledge("sealed", state.deformation)


def campaign(directory: Path, share: list[Deformation], workers: int) -> None:
    """What a user's script does."""
    store = LoudStore.create_or_open(directory, magnesium(), TABLE)
    acknowledge("opened")
    label(
        store,
        LoudEngine(store.crystal, 2.0),
        share,
        workers=workers,
        on_event=lambda event: acknowledge("solved", event.deformation) if event.kind == "solved" else None,
    )


# -- what watches and kills them ------------------------------------------------------------------------------------


@dataclass
class Process:
    """A running campaign, and all that it and its workers have said."""

    pid: int
    pipe: int
    share: list[Deformation]
    sealed_before: set[int]
    left_before: set[Path]
    lines: list[tuple[str, int, int]] = field(default_factory=list)
    rest: bytes = b""
    ended: bool = False  # and all its workers: the last writer has let go of the pipe
    wounded: bool = False  # one of its workers was killed

    def listen(self, seconds: float = 0.0) -> None:
        """Take in what is said within this time."""
        if self.ended or not select.select([self.pipe], [], [], seconds)[0]:
            return
        data = os.read(self.pipe, 1 << 16)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            word, number, pid = line.decode().split()
            self.lines.append((word, int(number), int(pid)))
        if not data:
            os.close(self.pipe)
            self.ended = True

    def said(self, *words: str) -> list[int]:
        return [number for word, number, _ in self.lines if word in words]

    @property
    def workers(self) -> list[int]:
        """Its processes that have begun to solve, and live."""
        known = {pid for word, _, pid in self.lines if word == "begun"}
        return [pid for pid in known if parent_of(pid) == self.pid]


class Experiment:
    """One dataset in the making, and the count of everything that happens and of what must not happen."""

    def __init__(self, way: str, directory: Path, rng: random.Random, expected: dict[str, bytes], keys: list[str]):
        self.way, self.directory, self.rng, self.expected = way, directory, rng, expected
        self.states = [directory / "states" / f"{key}.safetensors" for key in keys]
        self.counts: Counter[str] = Counter(dict.fromkeys(NEVER, 0))
        self.most_lost, self.slowest_end = 0, 0.0
        self.acknowledged: set[int] = set()  # in the present dataset
        self.store: DatasetStore | None = None  # as it was opened after the last kill

    def make_dataset(self, most_kills: int) -> int:
        """Label all strains, killing all the way, and compare; returns the number of kills."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.with_suffix(".log").unlink(missing_ok=True)
        self.acknowledged = set()
        parts, kills = PARTS[self.way], 0
        running = [self._start(STRAINS[part::parts]) for part in range(parts)]
        try:
            while running:
                self._watch(running)
                what, victims = self._kill(running) if kills < most_kills else ("", [])
                hit = what == "one worker"
                for process in [process for process in running if process.ended or process in victims]:
                    running.remove(process)
                    killed = self._finish(process)
                    hit |= killed and process in victims
                    if killed or self._sealed(process.share) != {NUMBER[strain] for strain in process.share}:
                        running.append(self._start(process.share))
                if hit:
                    kills += 1
                    self.counts[f"kills of {what}"] += 1
                self._check()
        finally:
            for process in running:  # after a complaint
                os.kill(process.pid, signal.SIGKILL)
        self.counts["datasets"] += 1
        self.counts["datasets that differ"] += content(self.directory) != self.expected
        return kills

    def _start(self, share: list[Deformation]) -> Process:
        sealed, left = self._sealed(share), abandoned(self.directory)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.dup2(writer, 1)
                os.dup2(os.open(self.directory.with_suffix(".log"), os.O_CREAT | os.O_APPEND | os.O_WRONLY), 2)
                campaign(self.directory, share, WORKERS[self.way])
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writer)
        return Process(pid, reader, share, sealed, left)

    def _watch(self, running: list[Process]) -> None:
        """Until a random moment: in most cases while states are solved and sealed, in some while it starts."""
        anywhere = self.rng.random() < 0.15
        deadline = time.monotonic() + PATIENCE
        while not anywhere and not any(process.ended or process.said("begun") for process in running):
            for process in running:
                process.listen(0.002)
            require(time.monotonic() < deadline, "campaign does nothing")
        span = {"pool": 0.8 if anywhere else 0.15, "array": 0.02 if anywhere else 0.05}[self.way]
        moment = time.monotonic() + self.rng.uniform(0, span)
        while time.monotonic() < moment:
            for process in running:
                process.listen()
            there = sorted(self._sealed(STRAINS))
            self._read([self.rng.choice(there)] if there else [])
            time.sleep(0.0005)

    def _kill(self, running: list[Process]) -> tuple[str, list[Process]]:
        """What was killed, and the campaigns that end by it."""
        alive = [process for process in running if not process.ended]
        if not alive:
            return "", []
        chance, process = self.rng.random(), self.rng.choice(alive)
        if self.way == "array":
            what, victims = ("all processes", alive) if chance < 0.15 else ("one process", [process])
            pids = [victim.pid for victim in victims]
        elif chance < 0.2 and process.workers and not process.wounded:
            what, victims, pids = "one worker", [], [self.rng.choice(process.workers)]
            process.wounded = True
        elif chance < 0.4:
            what, victims, pids = "all processes", [process], [process.pid, *process.workers]
        else:
            what, victims, pids = "the parent", [process], [process.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return what, victims

    def _finish(self, process: Process) -> bool:
        """Account for a campaign that was killed, or has come to its end; whether it was killed."""
        begin = time.monotonic()
        while not process.ended:
            process.listen(0.1)
            require(process.ended or time.monotonic() - begin < PATIENCE, "a worker outlives its killed parent")
        self.slowest_end = max(self.slowest_end, time.monotonic() - begin)
        status = os.waitpid(process.pid, 0)[1]
        killed = os.WIFSIGNALED(status)
        begun, sealed = Counter(process.said("begun")), self._sealed(process.share)
        told = set(process.said("sealed", "solved"))
        self.acknowledged |= told
        self.counts["states acknowledged"] += len(told)
        unfinished, again = len(begun.keys() - sealed), begun.total() - len(begun)
        limit = WORKERS[self.way]
        require(unfinished <= limit * killed, "more solves lost than were in flight")
        require(again <= limit * process.wounded, "more solves repeated than were in flight")
        self.most_lost = max(self.most_lost, unfinished, again)
        self.counts["solves begun"] += begun.total()
        self.counts["solves lost"] += unfinished + again
        self.counts["kills after a seal, before its acknowledgement"] += killed and bool(begun.keys() & sealed - told)
        self.counts["sealed states solved again"] += len(begun.keys() & process.sealed_before)
        if process.said("opened"):
            self.counts["leftovers not swept at the next start"] += sum(path.exists() for path in process.left_before)
        if killed:
            self.counts["kills inside a write"] += bool(abandoned(self.directory) - process.left_before)
        elif status:
            self.counts["campaigns that ended in an error"] += 1
            print(self.directory.with_suffix(".log").read_text(), file=sys.stderr)
        return killed

    def _check(self) -> None:
        """Every file under a final name is whole, and no acknowledged state is missing."""
        there = self._sealed(STRAINS)
        self.counts["acknowledged states lost"] += len(self.acknowledged - there)
        self.counts["checks"] += 1
        self.store = None
        self._read(there)

    def _read(self, numbers: Iterable[int]) -> None:
        """Read these states, as anybody would who opens the dataset now."""
        for number in numbers:
            self.counts["reads"] += 1
            try:
                self.store = self.store or DatasetStore.open(self.directory)
                self.store.read(STRAINS[number])
            except InputError as error:
                self.counts["corrupt reads"] += 1
                print(error, file=sys.stderr)

    def _sealed(self, share: list[Deformation]) -> set[int]:
        return {NUMBER[deformation] for deformation in share if self.states[NUMBER[deformation]].exists()}


def parent_of(pid: int) -> int:
    """Its process id, 0 where there is no such process (any more)."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return 0


def abandoned(directory: Path) -> set[Path]:
    """Temporary files whose writer is dead: nobody holds their lock."""
    found = set()
    for path in directory.rglob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            found.add(path)
    return found


def content(directory: Path) -> dict[str, bytes]:
    """Every file's bytes by its name."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def require(condition: bool, complaint: str) -> None:
    """End the experiment where a count would not tell what went wrong."""
    if not condition:
        raise SystemExit(f"FAILED: {complaint}")
