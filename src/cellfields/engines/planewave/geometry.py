"""The primitive cell that is solved: lattice, ions, and how the ions enter the structure factors.

    S(G) = Σ_a e^{−iG·τ_a}

With the origin on an inversion centre atoms come as pairs ±τ (or sit on a centre themselves): S = Σ_a cos G·τ_a is
real, and the two exponentials of a pair combine to √2 cos G·τ and √2 sin G·τ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.dft.pseudopotential import Pseudopotential
from cellfields.engines.planewave.arithmetic import Arithmetic, ComplexArithmetic, RealArithmetic


@dataclass(frozen=True, eq=False)
class Site:
    """An ion, or where there is an inversion centre a pair of ions ±τ that move oppositely, or one fixed on a centre.

    Attributes:
        kind: "ion", "pair" or "centred".
        atoms: indices of its ions; the second of a pair moves opposite to the first.
        symbol: their species.
        position: (3,) fractional, of the first ion.
    """

    kind: Literal["ion", "pair", "centred"]
    atoms: tuple[int, ...]
    symbol: str
    position: FloatArray

    @property
    def sides(self) -> int:
        """Number of its phases (:meth:`phases`)."""
        return 2 if self.kind == "pair" else 1

    def phases(self, m: IntArray) -> list[Coefficients]:
        """Structure factors, each (P,), of the orthogonal projectors of its ions, for integer vectors G (P, 3)."""
        phase = 2 * np.pi * (m @ self.position)
        if self.kind == "ion":
            return [np.exp(-1j * phase)]
        if self.kind == "centred":
            return [np.cos(phase)]
        return [np.sqrt(2) * np.cos(phase), np.sqrt(2) * np.sin(phase)]

    def slopes(self, m: IntArray) -> list[Coefficients]:
        """Derivatives of :meth:`phases` with respect to G·τ; none where the ion cannot move."""
        phases = self.phases(m)
        if self.kind == "ion":
            return [-1j * phases[0]]
        if self.kind == "centred":
            return []
        return [-phases[1], phases[0]]

    def add_force(self, forces: FloatArray, derivative: FloatArray) -> None:
        """Add the force of this site's ions to their rows of ``forces`` (n, 3), in place.

        Args:
            forces: on the primitive cell's atoms, Hartree/Bohr.
            derivative: ∂E/∂τ (3,), Hartree/Bohr, shared among the ions of a pair.
        """
        for atom, direction in zip(self.atoms, (1, -1), strict=False):
            forces[atom] -= direction / len(self.atoms) * derivative


@dataclass(frozen=True, eq=False)
class Geometry:
    """A primitive cell with its ions.

    Attributes:
        lattice: (3, 3) rows, Bohr.
        positions: (n, 3) fractional in the primitive cell, relative to the crystal's origin.
        species: n symbols.
        pseudopotentials: symbol → pseudopotential.
        partners: (n,) index of the atom that inversion maps each atom onto (its own on a centre); None where the
            origin is no inversion centre.
    """

    lattice: FloatArray
    positions: FloatArray
    species: tuple[str, ...]
    pseudopotentials: Mapping[str, Pseudopotential]
    partners: IntArray | None

    @classmethod
    def of_crystal(
        cls,
        crystal: Crystal,
        lattice: FloatArray,
        positions: FloatArray,
        pseudopotentials: Mapping[str, Pseudopotential],
    ) -> Geometry:
        """The primitive cell of a deformed crystal.

        Args:
            crystal: the reference crystal.
            lattice: (3, 3) rows of the deformed crystal's cell, Bohr.
            positions: (N, 3) fractional in the crystal's cell.
            pseudopotentials: symbol → pseudopotential.
        """
        primitive, atoms = crystal.to_primitive(lattice, positions)
        species = tuple(crystal.species[i] for i in crystal.primitive_atoms)
        partners = None
        if crystal.inversion_centre is not None:
            mirrored = -atoms[:, None, :] - atoms[None, :, :]
            partners = np.abs(mirrored - np.rint(mirrored)).max(axis=2).argmin(axis=1).astype(np.int64)
        return cls(primitive, atoms, species, pseudopotentials, partners)

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """Real arithmetic where the origin is an inversion centre, else complex arithmetic."""
        return ComplexArithmetic() if self.partners is None else RealArithmetic()

    @cached_property
    def volume(self) -> float:
        """Volume of the primitive cell, Bohr³."""
        return float(abs(np.linalg.det(self.lattice)))

    @cached_property
    def reciprocal(self) -> FloatArray:
        """Reciprocal lattice vectors (3, 3), rows b with a_i·b_j = 2π δ_ij, 1/Bohr."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.lattice).T)

    @cached_property
    def charges(self) -> FloatArray:
        """Ionic charges Z (n,)."""
        return np.array([self.pseudopotentials[s].valence for s in self.species], dtype=float)

    @property
    def electrons(self) -> float:
        """Valence electrons of the neutral primitive cell."""
        return float(self.charges.sum())

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """All ions as sites: one by one, or paired by inversion."""
        sites = []
        for atom, (symbol, position) in enumerate(zip(self.species, self.positions, strict=True)):
            partner = None if self.partners is None else int(self.partners[atom])
            if partner is None:
                sites.append(Site("ion", (atom,), symbol, position))
            elif partner == atom:
                sites.append(Site("centred", (atom,), symbol, position))
            elif partner > atom:
                sites.append(Site("pair", (atom, partner), symbol, position))
        return tuple(sites)

    def atoms_of(self, symbol: str) -> IntArray:
        """Indices of the atoms of one species."""
        return np.array([i for i, s in enumerate(self.species) if s == symbol], dtype=np.int64)
