"""A density to start a self-consistent calculation from, wherever it comes from: a neighbour's state or a prediction.

    ρ_start = ρ̄ of the source on the new cell + Σ (Gaussians at the new atoms − Gaussians at the source's atoms)

A density decides nothing but how soon an SCF ends; atom positions may decide in which minimum a relaxation ends, so
they are handed over only on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.state.cell_state import CellState
from cellfields.state.fields import ElectronicFields

_SAME_ELECTRONS = 1e-3  # relative: densities that were read off a grid integrate to a little more or less


@dataclass(frozen=True, eq=False)
class DensityStart:
    """Plain data that every first-principles engine takes as ``start``.

    Attributes:
        fields: hold at least ``density``.
        positions: (N, 3) fractional, of the atoms that the density belongs to.
        internal: (n_int,) where a relaxation begins, or None for the reference coordinates.
        curvature: (n_int, n_int) second derivatives of F along Cartesian displacements of the independent atoms,
            Hartree/Bohr², where a solve of this crystal at some other strain has measured them, or None. A
            relaxation that has none measures them; ABINIT's has no use for them.
    """

    fields: ElectronicFields
    positions: FloatArray
    internal: FloatArray | None = None
    curvature: FloatArray | None = None

    @classmethod
    def of(cls, state: CellState, *, with_atoms: bool = False, curvature: FloatArray | None = None) -> Self:
        """From a state, solved or predicted.

        Args:
            state: knows its density and its atoms.
            with_atoms: let a relaxation begin at the state's atoms too.
            curvature: as the attribute.

        Raises:
            InputError: it has no density, or does not know where its atoms are.
        """
        if state.fields is None or "density" not in state.fields:
            raise InputError("a state without a density cannot be the start of a calculation")
        if not state.knows("positions"):
            raise InputError("a state that does not know its atoms' positions cannot be the start of a calculation")
        return cls(state.fields, state.positions, state.internal if with_atoms else None, curvature)

    @classmethod
    def from_any(cls, start: object) -> Self:
        """What is given as ``start``: one of these as it is, or a state, whose density is taken without its atoms.

        Raises:
            InputError: it is neither, or as :meth:`of`.
        """
        if isinstance(start, CellState):
            return cls.of(start)
        if isinstance(start, cls):
            return start
        raise InputError(
            f"start: a {type(start).__name__} cannot be the start of this calculation; give a CellState, solved or "
            "predicted, or a DensityStart"
        )

    def require(self, crystal: Crystal, electrons: float) -> None:
        """Refuse to be the start of a calculation that the density cannot belong to.

        Args:
            crystal: the reference crystal of the calculation.
            electrons: valence electrons that its pseudopotentials bring to the crystal's cell.

        Raises:
            InputError: naming what does not match: atoms, cell, pseudopotentials.
        """
        if np.shape(self.positions) != (crystal.n_atoms, 3):
            raise InputError(
                f"start: the density belongs to a cell of {len(self.positions)} atoms, the crystal has "
                f"{crystal.n_atoms}"
            )
        if self.curvature is not None and np.shape(self.curvature) != (crystal.n_internal,) * 2:
            raise InputError(
                f"start: the curvature has shape {np.shape(self.curvature)}, the crystal has {crystal.n_internal} "
                "internal coordinates"
            )
        phases = self.fields.basis.indices @ crystal.translations.T
        foreign = (np.abs(phases - np.rint(phases)) > 1e-6).any(axis=1)
        coefficients = np.abs(self.fields.coefficients["density"])
        found = self.fields.integral("density")
        if coefficients[foreign].max(initial=0.0) > _SAME_ELECTRONS * abs(found):
            raise InputError("start: the cell of the density lacks a translation that the crystal has")
        if abs(found - electrons) > _SAME_ELECTRONS * electrons:
            raise InputError(
                f"start: the density holds {found:.6g} electrons, the crystal's pseudopotentials bring "
                f"{electrons:.6g}: it was made with other pseudopotentials"
            )
