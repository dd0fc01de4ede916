"""A file system that goes wrong at its n-th call, and a disk that keeps only what was synchronised.

    for every n and every fault:   campaign, call n goes wrong → inspect → resume → power cut → inspect → compare

Faults are put into the calls that :mod:`cellfields.storage.atomic` changes files with. To die is to have no effect
from one call on, whatever the program still tries on its way out. A power cut leaves of each file what it held when
it was last fsynced, and of each directory either the names it had when that was last fsynced, or those it has now
(both happen: a file system may write names early, and content late).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.dataset import DatasetStore, StoreError, label
from cellfields.dataset._codec import decode_state, encode_state
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError, SCFNotConverged
from cellfields.state import CellState
from tests.dataset.engines import TABLE
from tests.toy import ToyEngine

REFUSED = ("ENOSPC", "EIO", "EROFS")
LASTING = ("ENOSPC from then on", "EROFS from then on")
CRASHES = ("dies", "power cut, names lost", "power cut, names kept")
WITHIN_A_WRITE = ("short write", "dies within the write")
FAULTS = (*REFUSED, *LASTING, *CRASHES, *WITHIN_A_WRITE)
_CHANGING = ("create", "write", "mkdir", "replace", "unlink")  # what a full or read-only disk refuses
_ON_A_FULL_DISK = ("create", "write", "mkdir")


class Died(BaseException):
    """The process is no more: nothing of the program may catch this."""


class Disk:
    """Everything below a directory; passes calls on, counts them, and lets one go wrong."""

    def __init__(self, root: Path, fault: str = "", at: int = 0) -> None:
        self.root, self.fault, self.at = root, fault, at
        self.calls: list[str] = []
        self._dead = False
        self._ids = count()
        self._open: dict[int, Path] = {}
        self._now: dict[Path, int] = {path: next(self._ids) for path in sorted(root.rglob("*"))}
        self._synced = dict(self._now)
        self._content = {i: path.read_bytes() if path.is_file() else None for path, i in self._now.items()}

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Put the faults in; afterwards the descriptors of a dead process are closed, as the kernel does."""
        with contextlib.ExitStack() as stack:
            for name in ("open", "write", "fsync", "replace", "close", "mkdir", "unlink"):
                stack.enter_context(patch.object(os, name, self._wrapped(name, getattr(os, name))))
            with contextlib.suppress(ImportError):
                import fcntl

                stack.enter_context(patch.object(fcntl, "flock", self._wrapped("flock", fcntl.flock)))
            yield
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    def repair(self) -> None:
        """From now on nothing goes wrong."""
        self.at, self.fault, self._dead = 0, "", False

    def cut_power(self, *, names_kept: bool) -> None:
        """Leave what a machine finds that was switched off at this instant."""
        names = self._now if names_kept else self._synced
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._now = {}
        for path, i in sorted(names.items()):
            if path.parent == self.root or path.parent in self._now:
                self._now[path] = i
                content = self._content.get(i, b"")
                path.mkdir() if content is None else path.write_bytes(content)
        self._synced = dict(self._now)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any, **named: Any) -> Any:
            path = self._open.get(first) if isinstance(first, int) else Path(first)
            if path is None or not path.is_relative_to(self.root):
                return real(first, *rest, **named)
            kind = "create" if name == "open" and rest[0] & os.O_CREAT else name
            wrong = self._what_goes_wrong(kind)
            refused = OSError(getattr(errno, wrong[:6].strip(), 0), f"injected {wrong}")
            if wrong in REFUSED + LASTING and name != "close":
                raise refused
            if wrong in CRASHES:
                self._die()
            if wrong in WITHIN_A_WRITE:
                rest = (bytes(rest[0])[: (len(rest[0]) + 1) // 2],)
            result = None if name == "fsync" else real(first, *rest, **named)  # remembered instead
            self._remember(kind, path, first, rest, result)
            if wrong in REFUSED + LASTING:  # a close reports what went wrong before, and closes all the same
                raise refused
            if wrong == "dies within the write":
                self._die()
            return result

        return call

    def _what_goes_wrong(self, kind: str) -> str:
        if self._dead:
            raise Died
        self.calls.append(kind)
        refuses = _ON_A_FULL_DISK if self.fault.startswith("ENOSPC") else _CHANGING
        lasting = self.fault in LASTING and len(self.calls) >= self.at > 0 and kind in refuses
        return self.fault if lasting or len(self.calls) == self.at else ""

    def _die(self) -> None:
        self._dead = True
        raise Died

    def _remember(self, kind: str, path: Path, first: Any, rest: tuple[Any, ...], result: Any) -> None:
        if kind in ("open", "create"):
            self._open[result] = path
        if kind in ("create", "mkdir"):
            self._now[path] = next(self._ids)
        if kind == "mkdir":
            self._content[self._now[path]] = None
        elif kind == "replace":
            self._now[Path(rest[0])] = self._now.pop(path)
        elif kind == "unlink":
            self._now.pop(path, None)
        elif kind == "close":
            del self._open[first]
        elif kind == "fsync" and path.is_dir():
            self._synced = {p: i for p, i in self._synced.items() if p.parent != path}
            self._synced |= {p: i for p, i in self._now.items() if p.parent == path}
        elif kind == "fsync":
            self._content[self._now[path]] = path.read_bytes()


# -- a campaign on such a disk ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What one fault at one call did.

    Attributes:
        scenario: "new" (the dataset is created) or "resumed" (it holds states, a failure, and a crash's leftover).
        fault: one of ``FAULTS``.
        at: the number of the call.
        call: which call that is.
        ending: "finished", "refused" (StoreError) or "died".
        acknowledged: states that were reported as solved, then or before.
        lost: of those, gone or changed, after the fault or after the resume and a power cut.
        corrupt: files under their final names that do not read.
        complete: the resumed dataset is, after another power cut, byte for byte the one made without faults.
    """

    scenario: str
    fault: str
    at: int
    call: str
    ending: str
    acknowledged: int
    lost: int
    corrupt: int
    complete: bool


def all_trials(root: Path, faults: Sequence[str] = FAULTS) -> Iterator[Trial]:
    """Every one of these faults at every call, in both scenarios; ``root`` is an empty directory to work in."""
    (root / "before").mkdir()
    for scenario in ("new", "resumed"):
        disk = _prepare(root, Disk)
        with disk.mounted():
            _campaign(scenario, disk.root / "set", [])
        expected = _content(disk.root)
        for fault in faults:
            for at, call in enumerate(disk.calls, 1):
                if fault not in WITHIN_A_WRITE or call == "write":
                    yield _trial(root, scenario, fault, at, call, expected)
        shutil.copytree(disk.root, root / "before", dirs_exist_ok=True)  # what the campaign resumes
        (root / "before" / "set" / "states" / ".half.tmp").write_bytes(b"left behind by a crash")


def _trial(root: Path, scenario: str, fault: str, at: int, call: str, expected: dict[str, bytes]) -> Trial:
    disk = _prepare(root, partial(Disk, fault=fault, at=at))
    directory = disk.root / "set"
    told = [] if scenario == "new" else [_STRAINS[0], _STRAINS[2]]
    ending = "finished"
    with disk.mounted():
        try:
            _campaign(scenario, directory, told)
        except StoreError:
            ending = "refused"
        except Died:
            ending = "died"
    assert len(disk.calls) >= at, "the fault was never reached"
    if fault.startswith("power cut"):
        disk.cut_power(names_kept=fault.endswith("kept"))
    lost, corrupt = _inspect(directory, told)
    disk.repair()
    with disk.mounted():
        _campaign(scenario, directory, told)
    disk.cut_power(names_kept=False)
    lost_later, corrupt_later = _inspect(directory, told)
    complete = _content(disk.root) == expected
    lost, corrupt = lost + lost_later, corrupt + corrupt_later
    return Trial(scenario, fault, at, call, ending, len(set(told)), lost, corrupt, complete)


def _prepare(root: Path, mount: Callable[[Path], Disk]) -> Disk:
    shutil.rmtree(root / "disk", ignore_errors=True)
    shutil.copytree(root / "before", root / "disk")
    return mount(root / "disk")


def _campaign(scenario: str, directory: Path, told: list[Deformation]) -> None:
    """Three samples of which the second does not converge; resumed, it does, and a fourth one does not."""
    count = 3 if scenario == "new" else 4
    store = DatasetStore.create_or_open(directory, _CRYSTAL, TABLE)
    label(
        store,
        _Prepared(diverges=_STRAINS[1 if scenario == "new" else 3]),
        _STRAINS[:count],
        on_event=lambda event: told.append(event.deformation) if event.kind == "solved" else None,
    )


def _inspect(directory: Path, told: list[Deformation]) -> tuple[int, int]:
    """How many acknowledged states are lost, and how many files under their final names do not read."""
    try:
        store = DatasetStore.open(directory)
    except CorruptFileError:
        return len(told), 1
    except InputError:  # no dataset
        return len(told), 0
    found, corrupt = {}, 0
    for path in (directory / "states").glob("[!.]*"):
        data = path.read_bytes()
        try:
            state = decode_state(data, bases=store._basis, record=store._record(path.stem))
            found[state.deformation] = encode_state(state)
        except InputError:
            corrupt += 1
    try:
        store.failures()
    except InputError:
        corrupt += 1
    return sum(found.get(deformation) != _encoded(deformation) for deformation in set(told)), corrupt


def _content(root: Path) -> dict[str, bytes]:
    """All files; of the records of failures only those that count (a solved sample's may outlive it in a power cut)."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    solved = {Path(name).stem for name in files if "/states/" in name}
    return {name: data for name, data in files.items() if "/failures/" not in name or Path(name).stem not in solved}


_CRYSTAL = Crystal(np.diag([5.0, 6.0, 7.0]), ["Ga", "As"], [[0, 0, 0], [0.5, 0.5, 0.5]])  # small, so opened quickly
_STRAINS = sample_deformations(_CRYSTAL, 4, seed=1)


@cache
def _solved(deformation: Deformation) -> CellState:
    state = ToyEngine(_CRYSTAL, 2.0).solve(deformation)
    return replace(state, provenance={"wall_seconds": 0.0, "cpu_seconds": 0.0})  # the same bytes every time


@cache
def _encoded(deformation: Deformation) -> bytes:
    return encode_state(_solved(deformation))


class _Prepared(ToyEngine):
    """Gives states that are computed once for all trials, and fails at one sample."""

    def __init__(self, diverges: Deformation) -> None:
        super().__init__(_CRYSTAL)
        self.diverges = diverges

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(TABLE)

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        if deformation == self.diverges:
            raise SCFNotConverged("SCF stopped after 2 steps", [{"step": 1, "residual": 0.5}])
        return _solved(deformation)
