"""Occupied orbitals in full plane waves, and the sums over them that observables need.

ρ = Σ w f |ψ|²,  T = Σ w f ⟨½q²⟩,  E_nl = Σ w f ⟨V_nl⟩ ;   weights w f, w f E or w 2S₁ make ρ, u or s
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.density import weighted_density
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.terms import kinetic, nonlocal_


class Orbitals(Protocol):
    """Orbitals of one cell, in plane waves or in a reduced basis; weights are (K, n)."""

    def density(self, weights: FloatArray) -> Coefficients:
        """Density V⁻¹ Σ weights |u|² as density-sphere coefficients (D,)."""

    def kinetic_energy(self, weights: FloatArray) -> float:
        """Kinetic energy Σ weights ⟨½|k+G|²⟩, Hartree."""

    def nonlocal_energy(self, weights: FloatArray) -> float:
        """Energy Σ weights ⟨V_nl⟩ of the non-local pseudopotential, Hartree."""

    def nonlocal_forces(self, weights: FloatArray) -> FloatArray:
        """Forces (n, 3) of the non-local pseudopotential on the primitive cell's atoms, Hartree/Bohr."""

    def stress(self, weights: FloatArray) -> FloatArray:
        """Strain derivative ∂(T + E_nl)/∂η (3, 3), Hartree."""


@dataclass(frozen=True, eq=False)
class PlaneWaveOrbitals:
    """Orbitals in full plane waves.

    Attributes:
        problem: the cell.
        vectors: for each k point coefficients (P_k, n).
    """

    problem: KohnShamProblem
    vectors: tuple[Coefficients, ...]

    def density(self, weights: FloatArray) -> Coefficients:
        """Implement :meth:`Orbitals.density`."""
        return weighted_density(self.problem.basis, self.vectors, weights)

    def kinetic_energy(self, weights: FloatArray) -> float:
        """Implement :meth:`Orbitals.kinetic_energy`."""
        blocks = self.problem.blocks
        return sum(kinetic.energy(b.kinetic, x, w) for b, x, w in zip(blocks, self.vectors, weights, strict=True))

    def nonlocal_energy(self, weights: FloatArray) -> float:
        """Implement :meth:`Orbitals.nonlocal_energy`."""
        blocks = self.problem.blocks
        return sum(b.projectors.energy(x, w) for b, x, w in zip(blocks, self.vectors, weights, strict=True))

    def nonlocal_forces(self, weights: FloatArray) -> FloatArray:
        """Implement :meth:`Orbitals.nonlocal_forces`."""
        total = np.zeros((len(self.problem.geometry.species), 3))
        for m, block, vectors, weight in self._occupied(weights):
            total += nonlocal_.forces(self.problem.geometry, m, block.q, vectors, weight)
        return total

    def stress(self, weights: FloatArray) -> FloatArray:
        """Implement :meth:`Orbitals.stress`."""
        total = np.zeros((3, 3))
        for m, block, vectors, weight in self._occupied(weights):
            total += kinetic.stress(block.q, block.kinetic_slopes, vectors, weight)
            total += nonlocal_.stress(self.problem.geometry, m, block.q, vectors, weight)
        return total

    def _occupied(self, weights: FloatArray):  # type: ignore[no-untyped-def]
        """(m, block, vectors, weights) of every k point, without its empty bands."""
        basis = self.problem.basis
        for m, block, vectors, weight in zip(basis.wave_m, self.problem.blocks, self.vectors, weights, strict=True):
            filled = np.flatnonzero(np.abs(weight) > 0)
            yield m, block, vectors[:, filled], weight[filled]
