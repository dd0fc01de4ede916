"""A density to start a self-consistent calculation from, wherever it comes from: a neighbour's state or a prediction.

    ρ_start = ρ̄ of the source on the new cell + Σ (Gaussians at the new atoms − Gaussians at the source's atoms)

A density decides nothing but how soon an SCF ends; atom positions may decide in which minimum a relaxation ends, so
they are handed over only on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.fields import ElectronicFields
from cellfields.state import CellState


@dataclass(frozen=True, eq=False)
class DensityStart:
    """Plain data that every first-principles engine takes as ``start``.

    Attributes:
        fields: hold at least ``density``.
        positions: (N, 3) fractional, of the atoms that the density belongs to.
        internal: (n_int,) where a relaxation begins, or None for the reference coordinates.
    """

    fields: ElectronicFields
    positions: FloatArray
    internal: FloatArray | None = None

    @classmethod
    def of(cls, state: CellState, *, with_atoms: bool = False) -> Self:
        """From a state, solved or predicted.

        Raises:
            InputError: it has no density.
        """
        if state.fields is None or "density" not in state.fields:
            raise InputError("a state without a density cannot be the start of a calculation")
        return cls(state.fields, state.positions, state.internal if with_atoms else None)
