"""Forecast a campaign without running it: what is solved, what is missing, how long it takes, how large it gets.

    time = ⌈missing / workers⌉ · median wall time of a solve ,     disk = missing · mean size of a sealed state

Both come from states that are in the dataset already, or else from one trial solve that is thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from statistics import median

from cellfields.crystal.deformation import Deformation
from cellfields.dataset._attempt import attempt
from cellfields.dataset._codec import encode_state
from cellfields.dataset._failure import Failure
from cellfields.dataset.store import DatasetStore
from cellfields.engines.contract import Engine
from cellfields.errors import CellFieldsError, CorruptFileError

_LOOKED_AT = 200  # states read for the median


@dataclass(frozen=True)
class Cost:
    """Time and disk space of one solve.

    Attributes:
        seconds: wall time of a solve.
        size: bytes on disk.
        based_on: where the two numbers come from, in words.
        fastest, slowest: wall times between which most solves lie, or the two that were tried.
    """

    seconds: float
    size: float
    based_on: str
    fastest: float
    slowest: float

    @classmethod
    def of_dataset(cls, store: DatasetStore) -> Cost | None:
        """The cost by the states of a dataset, whatever their strains; None if no state records its wall time."""
        seconds: list[float] = []
        with suppress(CorruptFileError):  # what was read before it will do
            for state in islice(store.states(), _LOOKED_AT):
                wall = state.provenance.get("wall_seconds")
                if isinstance(wall, int | float):
                    seconds.append(wall)
        if not seconds:
            return None
        info = store.info()
        words = f"median of {len(seconds)} solved states" if len(seconds) > 1 else "the one state solved so far"
        seconds.sort()
        fastest, slowest = seconds[len(seconds) // 10], seconds[-1 - len(seconds) // 10]
        return cls(median(seconds), info.bytes_on_disk / info.solved, words, fastest, slowest)

    @classmethod
    def of_trial(cls, engine: Engine, deformations: Sequence[Deformation]) -> Cost:
        """The cost by one or two trial solves that store nothing: strains far from the reference take longer.

        Tried are the strain of median distance from the reference cell and the farthest one.

        Raises:
            CellFieldsError: the first one fails.
        """
        ordered = sorted(deformations, key=lambda d: _distance(d, engine))
        tried = list(dict.fromkeys([ordered[len(ordered) // 2], ordered[-1]]))
        outcomes = [attempt(engine, deformation, None, None) for deformation in tried]
        if outcomes[0].state is None:
            reason = "" if outcomes[0].failure is None else outcomes[0].failure.reason
            raise CellFieldsError(f"the strain that was tried could not be solved: {reason}")
        seconds = [outcome.seconds for outcome in outcomes if outcome.state is not None]
        words = "one trial solve" if len(seconds) == 1 else "trial solves of a typical and of the farthest strain"
        size = float(len(encode_state(outcomes[0].state)))
        return cls(sum(seconds) / len(seconds), size, f"{words}, just now", min(seconds), max(seconds))


def _distance(deformation: Deformation, engine: Engine) -> float:
    """Distance of D from the reference cell: stretches in per cent and angles in degrees, as one number."""
    move = deformation.as_array() - Deformation.identity(engine.crystal).as_array()
    return float(sum((100 * x) ** 2 for x in move[:3]) + sum(x**2 for x in move[3:]))


@dataclass(frozen=True)
class Forecast:
    """Which strains a campaign would solve, and which are solved or in quarantine already.

    Attributes:
        strains: number of different strains asked for.
        solved: of these, how many are in the dataset.
        quarantined: records of the others that failed earlier.
        missing: the strains to be solved.
    """

    strains: int
    solved: int
    quarantined: tuple[Failure, ...]
    missing: tuple[Deformation, ...]

    @classmethod
    def of(
        cls, store: DatasetStore | None, deformations: Sequence[Deformation], *, retry_failed: bool = False
    ) -> Forecast:
        """The forecast for these strains; the dataset is only read, and ``store`` is None where there is none yet."""
        unique = list(dict.fromkeys(deformations))
        if store is None:
            return cls(len(unique), 0, (), tuple(unique))
        unsolved = store.missing(unique)
        records = {d: None if retry_failed else store.failure(d) for d in unsolved}
        quarantined = tuple(record for record in records.values() if record is not None)
        missing = tuple(d for d, record in records.items() if record is None)
        return cls(len(unique), len(unique) - len(unsolved), quarantined, missing)

    def seconds(self, cost: Cost, workers: int) -> float:
        """Expected wall time with so many solves at a time."""
        return math.ceil(len(self.missing) / workers) * cost.seconds

    def size(self, cost: Cost) -> float:
        """Expected growth of the dataset, bytes."""
        return len(self.missing) * cost.size
