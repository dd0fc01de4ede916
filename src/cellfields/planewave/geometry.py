"""The primitive cell that is actually solved: lattice, ions and their pairing by inversion.

Origin on the inversion centre, so that atoms come as pairs ±τ (or sit on a centre themselves) and every structure
factor  S(G) = Σ_a e^{−iG·τ_a} = Σ_a cos(G·τ_a)  is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.planewave.pseudopotential import Pseudopotential


@dataclass(frozen=True, eq=False)
class Geometry:
    """Primitive cell with ions.

    Attributes:
        lattice: (3, 3) rows, Bohr.
        positions: (n, 3) fractional in the primitive cell, from the inversion centre.
        species: n symbols.
        pseudopotentials: symbol → pseudopotential.
        partners: (n,) the atom that inversion maps each atom onto (itself when it sits on a centre).
    """

    lattice: FloatArray
    positions: FloatArray
    species: tuple[str, ...]
    pseudopotentials: Mapping[str, Pseudopotential]
    partners: IntArray

    @classmethod
    def of_crystal(
        cls,
        crystal: Crystal,
        lattice: FloatArray,
        positions: FloatArray,
        pseudopotentials: Mapping[str, Pseudopotential],
    ) -> Geometry:
        """Primitive cell of a deformed crystal with the given lattice rows and fractional positions (N, 3)."""
        if crystal.inversion_centre is None:
            raise InputError(
                "crystal: it has no inversion centre; the plane-wave engine supports only crystals with one so far"
            )
        primitive, atoms = crystal.to_primitive(lattice, positions)
        mirrored = -atoms[:, None, :] - atoms[None, :, :]
        partners = np.abs(mirrored - np.rint(mirrored)).max(axis=2).argmin(axis=1)
        species = tuple(crystal.species[i] for i in crystal.primitive_atoms)
        return cls(primitive, atoms, species, pseudopotentials, partners.astype(np.int64))

    @cached_property
    def volume(self) -> float:
        """Bohr³."""
        return float(abs(np.linalg.det(self.lattice)))

    @cached_property
    def reciprocal(self) -> FloatArray:
        """(3, 3) rows b with a_i·b_j = 2π δ_ij, 1/Bohr."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.lattice).T)

    @cached_property
    def charges(self) -> FloatArray:
        """(n,) ionic charges Z."""
        return np.array([self.pseudopotentials[s].valence for s in self.species], dtype=float)

    @property
    def electrons(self) -> float:
        """Valence electrons of the neutral primitive cell."""
        return float(self.charges.sum())

    @cached_property
    def independent(self) -> IntArray:
        """One atom of each inversion pair (and the atoms that are their own image)."""
        return np.array([i for i, j in enumerate(self.partners) if i <= j], dtype=np.int64)

    def atoms_of(self, symbol: str) -> IntArray:
        """Indices of the atoms of one species."""
        return np.array([i for i, s in enumerate(self.species) if s == symbol], dtype=np.int64)
