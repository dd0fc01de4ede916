"""Occupied orbitals in the reduced basis, whose densities follow from density matrices N_B × N_B.

    ρ = V⁻¹ Σ_ij P_ij B_i* B_j,   P = Σ_{nk} w C C† ;      T = ½ tr(P G²) + Σ_{nk} w (k·⟨p⟩ + ½k²)

Contributions of k and −k are complex conjugates, so that P is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import as_reals
from cellfields.engines.planewave.geometry import Site
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.eigen import Nodes
from cellfields.engines.planewave.reduced.mesh import MeshChunk, ReducedMesh
from cellfields.engines.planewave.reduced.operators import RealSpace, ReducedHamiltonian
from cellfields.engines.planewave.terms import nonlocal_


@dataclass(frozen=True, eq=False)
class PlaneWaveChunk:
    """Orbitals at some k points in plane waves.

    Attributes:
        mesh: the k points, with k + G and form factors.
        vectors: (P, c, n) coefficients.
    """

    mesh: MeshChunk
    vectors: Coefficients


@dataclass(frozen=True, eq=False)
class ReducedOrbitals:
    """The :class:`~cellfields.engines.planewave.orbitals.Orbitals` in a reduced basis.

    Attributes:
        problem: cell and ions.
        bloch: basis functions in plane waves.
        real_space: basis functions on the grid; None where no densities are needed.
        mesh: the k points.
        hamiltonian: operators at the k points.
        vectors: (K, N_B, n) coefficients.
        nodes: preconditioner for their refinement in the next problem, or None.
    """

    problem: KohnShamProblem
    bloch: BlochBasis
    real_space: RealSpace | None
    mesh: ReducedMesh
    hamiltonian: ReducedHamiltonian
    vectors: Coefficients
    nodes: Nodes | None = None

    @cached_property
    def _flat(self) -> Coefficients:
        return np.ascontiguousarray(self.vectors.transpose(1, 0, 2)).reshape(self.vectors.shape[1], -1)

    def density_matrix(self, weights: FloatArray) -> FloatArray:
        """Density matrix P (N_B, N_B) for weights (K, n), the real part of Σ w C C†."""
        return np.asarray(as_reals(self._flat * weights.reshape(-1)) @ as_reals(self._flat).T)

    def density(self, weights: FloatArray) -> Coefficients:
        """Implement :meth:`Orbitals.density`."""
        assert self.real_space is not None
        basis = self.problem.basis
        coefficients = basis.to_fourier(self.real_space.density(self.density_matrix(weights))) / basis.volume
        coefficients[0] = float(weights.sum()) / basis.volume
        return np.asarray(coefficients)

    @cached_property
    def _momenta(self) -> FloatArray:
        """Expectation values ⟨p⟩ (3, K, n), 1/Bohr."""
        return self.hamiltonian.momenta(self.vectors)

    def kinetic_energy(self, weights: FloatArray) -> float:
        """Implement :meth:`Orbitals.kinetic_energy`."""
        h = self.hamiltonian
        energy = float((self.density_matrix(weights) * h.kinetic).sum())
        energy += float(np.einsum("ka,akn,kn->", h.k, self._momenta, weights))
        return energy + float(0.5 * (h.k**2).sum(axis=1) @ weights.sum(axis=1))

    @cached_property
    def _projections(self) -> Coefficients:
        """Projections ⟨β|u⟩ (K, B, n)."""
        return np.asarray(np.matmul(self.hamiltonian.adjoint_projections, self.vectors))

    def nonlocal_energy(self, weights: FloatArray) -> float:
        """Implement :meth:`Orbitals.nonlocal_energy`."""
        coupled = np.matmul(self.hamiltonian.coupling, self._projections)
        return float(((coupled * self._projections.conj()).real.sum(axis=1) * weights).sum())

    def nonlocal_forces(self, weights: FloatArray) -> FloatArray:
        """Implement :meth:`Orbitals.nonlocal_forces`."""
        geometry = self.problem.geometry
        g = self.bloch.m @ geometry.reciprocal
        columns = self._projector_columns()
        amplitudes = np.zeros((len(columns), len(g)), dtype=self.vectors.dtype)
        for chunk in self.lifted(weights):
            for i, (site, _, which) in enumerate(columns):
                z = self._amplitudes(chunk, weights, which)
                amplitudes[i] += np.einsum("pcb,pcb->p", chunk.mesh.forms[site.symbol], z)
        result = np.zeros((len(geometry.species), 3))
        for (site, side, _), amplitude in zip(columns, amplitudes, strict=True):
            if slopes := site.slopes(self.bloch.m):
                site.add_force(result, 2 * (slopes[side] * amplitude).real @ g)
        return result

    def stress(self, weights: FloatArray) -> FloatArray:
        """Implement :meth:`Orbitals.stress`."""
        geometry = self.problem.geometry
        g = self.bloch.m @ geometry.reciprocal
        numbers, h = self.bloch.numbers, self.hamiltonian
        total = np.zeros((3, 3))
        spread = numbers @ self.density_matrix(weights)
        total -= (g * (spread * numbers).sum(axis=1)[:, None]).T @ g
        mixed = np.einsum("ka,bkn,kn->ab", h.k, self._momenta, weights)
        total -= mixed + mixed.T
        total -= (h.k * weights.sum(axis=1)[:, None]).T @ h.k
        columns = [
            (site.symbol, site.phases(self.bloch.m)[side], which) for site, side, which in self._projector_columns()
        ]
        for chunk in self.lifted(weights):
            sums: dict[str, FloatArray] = {}
            for symbol, phase, which in columns:
                z = (self._amplitudes(chunk, weights, which) * phase[:, None, None]).real
                sums[symbol] = sums[symbol] + z if symbol in sums else z
            for symbol, z in sums.items():
                q = chunk.mesh.q.reshape(-1, 3)
                total += 2 * nonlocal_.strain_contraction(geometry, symbol, q, z.reshape(len(q), -1))
        return total

    # -- back in plane waves ------------------------------------------------------------------------------------

    def lifted(self, weights: FloatArray, negligible: float = 1e-7) -> Iterator[PlaneWaveChunk]:
        """The orbitals of all k points in plane waves, in chunks.

        Args:
            weights: (K, n), of which the lowest bands with any weight that is not negligible are lifted.
            negligible: weight relative to the largest.
        """
        size = np.abs(weights).max(axis=0)
        bands = int(np.flatnonzero(size > negligible * size.max())[-1]) + 1
        for chunk in self.mesh.chunks():
            c = np.ascontiguousarray(self.vectors[chunk.rows][:, :, :bands].transpose(1, 0, 2))
            vectors = self.bloch.lift(c.reshape(len(c), -1))
            yield PlaneWaveChunk(chunk, vectors.reshape(len(vectors), len(chunk.rows), bands))

    def _projector_columns(self) -> list[tuple[Site, int, slice]]:
        """For each phase of each site, in the order of terms.nonlocal_: site, phase, columns of the projections."""
        geometry = self.problem.geometry
        result, first = [], 0
        for site in geometry.sites:
            channels = geometry.pseudopotentials[site.symbol].channels
            size = sum((2 * c.l + 1) * len(c.coupling) for c in channels)
            for side in range(site.sides):
                result.append((site, side, slice(first, first + size)))
                first += size
        return result

    def nonlocal_action(self, chunk: PlaneWaveChunk, phases: list[Coefficients]) -> Coefficients:
        """Products V_nl u (P, c, n) of a chunk's orbitals.

        Args:
            chunk: orbitals of some k points.
            phases: (P,) of each site, in the order of the projections.
        """
        bands = chunk.vectors.shape[2]
        coupled = np.matmul(self.hamiltonian.coupling, self._projections[chunk.mesh.rows][:, :, :bands])
        total = np.zeros((len(chunk.mesh.rows), len(chunk.vectors), bands), dtype=coupled.dtype)
        for (site, _, columns), phase in zip(self._projector_columns(), phases, strict=True):
            form = chunk.mesh.forms[site.symbol].transpose(1, 0, 2)
            total += np.matmul(form, as_reals(coupled[:, columns])).view(coupled.dtype) * phase[:, None]
        return np.asarray(total.transpose(1, 0, 2))

    def _amplitudes(self, chunk: PlaneWaveChunk, weights: FloatArray, columns: slice) -> Coefficients:
        """Amplitudes Z (P, c, B) = Σ_n ψ_n(G)* w_n Σ_j h_bj ⟨β_j|u_n⟩."""
        bands = chunk.vectors.shape[2]
        coupled = np.matmul(self.hamiltonian.coupling, self._projections[chunk.mesh.rows])[:, columns, :bands]
        weighted = coupled * weights[chunk.mesh.rows][:, None, :bands]
        orbitals = chunk.vectors.transpose(1, 0, 2).conj()
        return np.asarray(np.matmul(orbitals, weighted.transpose(0, 2, 1)).transpose(1, 0, 2))
