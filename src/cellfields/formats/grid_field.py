"""A field on a grid with its cell and atoms: what a volumetric file holds, whichever program wrote it.

f(origin + (i/n1, j/n2, k/n3)) = values[i, j, k]          fractional coordinates of the cell
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellfields._typing import FloatArray
from cellfields.units import ANGSTROM

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, eq=False)
class Structure:
    """Cell and atoms as a program wrote them.

    Attributes:
        lattice: (3, 3) rows, Bohr, in any orientation.
        species: N chemical symbols, in any order.
        positions: (N, 3) fractional, about any origin.
    """

    lattice: FloatArray
    species: Sequence[str]
    positions: FloatArray


@dataclass(frozen=True, eq=False)
class GridField:
    """One field on a uniform grid over a cell.

    Attributes:
        structure: the cell and its atoms.
        values: (n1, n2, n3), per Bohr³ or in Hartree; point (i, j, k) at ``origin`` + (i/n1, j/n2, k/n3).
        origin: (3,) fractional.
    """

    structure: Structure
    values: FloatArray
    origin: FloatArray


def atoms_of(structure: Structure) -> Atoms:
    """Cell and atoms as ASE has them, in Å."""
    from ase import Atoms

    return Atoms(
        list(structure.species),
        cell=np.asarray(structure.lattice) * ANGSTROM,
        scaled_positions=structure.positions,
        pbc=True,
    )
