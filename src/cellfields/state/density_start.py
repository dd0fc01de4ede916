"""A density to start a self-consistent calculation from: that of a neighbouring state or of a prediction.

    ρ_start = ρ̄ of the source on the new cell + Σ (Gaussians at the new atoms − Gaussians at the source's atoms)

The density changes how many steps an SCF takes, and not its result. Atom positions may decide in which minimum a
relaxation ends, so they are taken over only on request.
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
    """A density with its atoms, which every first-principles engine takes as ``start``.

    Attributes:
        fields: the fields of the source, ``density`` among them.
        positions: (N, 3) fractional, of the atoms that the density belongs to.
        internal: (n_int,) where a relaxation begins, or None for the reference coordinates.
        curvature: (n_int, n_int) second derivatives of F along Cartesian displacements of the independent atoms,
            Hartree/Bohr², as a solve of this crystal at another strain measured them, or None. The plane-wave
            engine's relaxation measures them where they are not given; ABINIT's does not use them.
    """

    fields: ElectronicFields
    positions: FloatArray
    internal: FloatArray | None = None
    curvature: FloatArray | None = None

    @classmethod
    def of(cls, state: CellState, *, with_atoms: bool = False, curvature: FloatArray | None = None) -> Self:
        """A start from a state, solved or predicted.

        Args:
            state: one that knows its density and its atoms' positions.
            with_atoms: let a relaxation begin at the state's internal coordinates too.
            curvature: (n_int, n_int) second derivatives of F, Hartree/Bohr², or None.

        Raises:
            InputError: the state has no density, or does not know its atoms' positions.
        """
        if state.fields is None or "density" not in state.fields:
            raise InputError("a state without a density cannot be the start of a calculation")
        if not state.knows("positions"):
            raise InputError("a state that does not know its atoms' positions cannot be the start of a calculation")
        return cls(state.fields, state.positions, state.internal if with_atoms else None, curvature)

    @classmethod
    def from_any(cls, start: object) -> Self:
        """A start from what a caller gives: a DensityStart is returned, of a state the density is taken.

        Raises:
            InputError: it is neither, or a state that lacks its density or its atoms' positions.
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
        """Check that the density can start a calculation of a crystal.

        Args:
            crystal: the reference crystal of the calculation.
            electrons: valence electrons that its pseudopotentials bring to the crystal's cell.

        Raises:
            InputError: numbers of atoms, internal coordinates or electrons differ, or the density lacks a translation
                of the crystal.
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
        density_electrons = self.fields.integral("density")
        if coefficients[foreign].max(initial=0.0) > _SAME_ELECTRONS * abs(density_electrons):
            raise InputError("start: the cell of the density lacks a translation that the crystal has")
        if abs(density_electrons - electrons) > _SAME_ELECTRONS * electrons:
            raise InputError(
                f"start: the density holds {density_electrons:.6g} electrons, the crystal's pseudopotentials bring "
                f"{electrons:.6g}: it was made with other pseudopotentials"
            )
