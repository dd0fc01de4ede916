"""The solved strains of a dataset: which they are, what identifies them, and their states, read once.

key = SHA-256 of the inputs of all solves, in order
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.storage.json_tables import digest

MINIMUM_TEST_STATES = 2


@dataclass(frozen=True, eq=False)
class Samples:
    """Some of the solved strains of a dataset.

    Attributes:
        store: the dataset.
        deformations: D, all solved.
    """

    store: DatasetStore
    deformations: tuple[Deformation, ...]

    @classmethod
    def solved(
        cls, store: DatasetStore, strains: Iterable[Deformation], *, fewest: int = 0, kind: str = "", advice: str = ""
    ) -> Samples:
        """Those of the strains that have a state in the dataset, in the order given.

        Args:
            store: the dataset.
            strains: those asked for.
            fewest: how many are needed.
            kind: what they are for ("training"), for the message.
            advice: what to do where there are too few, for the message.

        Raises:
            InputError: fewer than ``fewest`` are solved.
        """
        asked = tuple(strains)
        solved = tuple(deformation for deformation in asked if store.has(deformation))
        if len(solved) < fewest:
            raise InputError(
                f"{len(solved)} of {len(asked)} {kind} strains are solved, at least {fewest} are needed: {advice}"
            )
        return cls(store, solved)

    def __len__(self) -> int:
        return len(self.deformations)

    def __getitem__(self, part: slice) -> Samples:
        return replace(self, deformations=self.deformations[part])

    def without(self, rows: Iterable[int]) -> Samples:
        """All but the strains of these rows."""
        left_out = set(rows)
        kept = (d for row, d in enumerate(self.deformations) if row not in left_out)
        return replace(self, deformations=tuple(kept))

    @cached_property
    def key(self) -> str:
        """SHA-256 of the inputs of all solves, in order."""
        return digest([self.store.key(deformation) for deformation in self.deformations])

    @cached_property
    def states(self) -> list[CellState]:
        """The states, in order; read when first asked for."""
        return [self.store.read(deformation) for deformation in self.deformations]
