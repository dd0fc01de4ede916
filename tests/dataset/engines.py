"""Toy engines that fail in the ways that real ones do; importable, so that spawned workers can load them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.engines.contract import Remedy
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CellFieldsError, SCFNotConverged
from cellfields.state import CellState
from tests.toy import ToyEngine, magnesium

TABLE = {"engine": "toy", "settings": {"field_cutoff": 4.0, "kmesh": [4, 4, 4]}}


def strains(count: int) -> list[Deformation]:
    """Different small strains of magnesium."""
    return sample_deformations(magnesium(), count, seed=1, stretch_sigma=0.02, angle_sigma=1.0)


class ProgramMissing(CellFieldsError):
    """An error that every sample would meet."""

    ends_campaign = True


class FragileEngine(ToyEngine):
    """Does to each deformation what ``faults`` says.

    "diverge", "bug", "nan", "wrong sample", "no program"; "die", "die once" and "lose the node" (once), by SIGKILL.
    """

    def __init__(
        self,
        crystal: Crystal,
        faults: dict[Deformation, str] | None = None,
        *,
        delay: float = 0.0,
        scratch: Path | None = None,
        meeting: Path | None = None,
        table: dict[str, Any] = TABLE,
    ) -> None:
        """``meeting``: a folder in which each process signs before it solves, and waits until two have signed."""
        super().__init__(crystal)
        self.faults = faults or {}
        self.delay = delay
        self.scratch = scratch
        self.meeting = meeting
        self.table = table

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(self.table)

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        time.sleep(self.delay)
        self._wait_for_another_process()
        state = super().solve(deformation)
        fault = self.faults.get(deformation)
        if fault == "diverge":
            history = [{"step": 1, "residual": 0.5}, {"step": 2, "residual": float("inf")}]
            raise SCFNotConverged("SCF stopped after 2 steps", history)
        if fault == "no program":
            raise ProgramMissing("there is no such program")
        if fault == "bug":
            raise ZeroDivisionError("a defect")
        if fault == "nan":
            return replace(state, free_energy=float("nan"))
        if fault == "wrong sample":
            return super().solve(Deformation.identity(self.crystal))
        if fault == "die" or (fault == "die once" and not self._died_before()):
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "lose the node" and not self._died_before():
            os.kill(os.getppid(), signal.SIGKILL)  # whoever manages the workers of this node
            os.kill(os.getpid(), signal.SIGKILL)
        threads = max((int(library["num_threads"]) for library in threadpool_info()), default=0)
        return replace(state, provenance={"pid": os.getpid(), "start": start, "threads": threads})

    def _wait_for_another_process(self) -> None:
        if self.meeting is None:
            return
        (self.meeting / str(os.getpid())).touch()
        end = time.monotonic() + 120
        while len(list(self.meeting.iterdir())) < 2:
            if time.monotonic() > end:
                raise TimeoutError("no second process came")
            time.sleep(0.02)

    def _died_before(self) -> bool:
        assert self.scratch is not None
        marker = self.scratch / "died"
        if marker.exists():
            return True
        marker.touch()
        return False


class Unpicklable(ToyEngine):
    """Holds something that cannot travel to another process."""

    def __init__(self, crystal: Crystal) -> None:
        super().__init__(crystal)
        self.handle = lambda: None


class Unloadable(ToyEngine):
    """Pickles, but fails as it is loaded."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise OSError("the pseudopotential file is not on this machine")


class StubbornEngine(ToyEngine):
    """Converges only by the remedies named; ``error`` is what it raises otherwise. Remembers how it was asked."""

    def __init__(
        self,
        crystal: Crystal,
        cured_by: str | None,
        *,
        offers: tuple[str, ...] = ("smaller mixing", "full basis"),
        error: type[Exception] = SCFNotConverged,
    ) -> None:
        super().__init__(crystal)
        self.cured_by, self.offers, self.error = cured_by, offers, error
        self.way: str | None = None
        self.asked: list[tuple[str | None, Any]] = []

    def remedies(self) -> list[Remedy]:
        found = []
        for name in self.offers:
            other = StubbornEngine(self.crystal, self.cured_by, offers=(), error=self.error)
            other.way, other.asked = name, self.asked
            found.append(Remedy(name, other))
        return found

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        self.asked.append((self.way, start))
        if self.way != self.cured_by and not (self.cured_by == "cold start" and start is None):
            raise self.error(f"no luck with {self.way}")
        return super().solve(deformation)
