"""What a campaign would do, without doing it: what is there, what is missing, how long and how large.

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

from cellfields.dataset._attempt import attempt
from cellfields.dataset._codec import encode_state
from cellfields.dataset._failure import Failure
from cellfields.dataset.store import DatasetStore
from cellfields.deformation import Deformation
from cellfields.errors import CellFieldsError, CorruptFileError
from cellfields.state import Engine

_LOOKED_AT = 200  # states read for the median


@dataclass(frozen=True)
class Cost:
    """What one label takes.

    Attributes:
        seconds: wall time of a solve.
        size: bytes on disk.
        based_on: where the two numbers come from, in words.
    """

    seconds: float
    size: float
    based_on: str

    @classmethod
    def of_dataset(cls, store: DatasetStore) -> Cost | None:
        """From the states of a dataset, whatever strains they belong to; None where it has none that say it."""
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
        return cls(median(seconds), info.bytes_on_disk / info.solved, words)

    @classmethod
    def of_trial(cls, engine: Engine, deformation: Deformation) -> Cost:
        """From one solve, here and now, that leaves nothing behind.

        Raises:
            CellFieldsError: it fails.
        """
        outcome = attempt(engine, deformation, None, None)
        if outcome.state is None:
            reason = "" if outcome.failure is None else outcome.failure.reason
            raise CellFieldsError(f"the strain that was tried could not be solved: {reason}")
        return cls(outcome.seconds, len(encode_state(outcome.state)), "one trial solve, just now")


@dataclass(frozen=True)
class Forecast:
    """What labelling would do.

    Attributes:
        strains: different ones asked for.
        solved: of these, how many are in the dataset.
        quarantined: of the others, those that failed earlier.
        missing: those to be solved.
    """

    strains: int
    solved: int
    quarantined: tuple[Failure, ...]
    missing: tuple[Deformation, ...]

    @classmethod
    def of(
        cls, store: DatasetStore | None, deformations: Sequence[Deformation], *, retry_failed: bool = False
    ) -> Forecast:
        """For these strains and a dataset, which is only read; None where there is none yet."""
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
