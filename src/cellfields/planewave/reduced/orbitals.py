"""Occupied orbitals in the reduced basis: every field is one N_B × N_B density matrix.

ρ = V⁻¹ Σ_ij P_ij B_i* B_j,   P = Σ_{nk} w C Cᵀ ;      T = ½ tr(P G²) + Σ_{nk} w (k·⟨p⟩ + ½k²)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cellfields._typing import FloatArray
from cellfields.planewave.hamiltonian import KohnShamProblem
from cellfields.planewave.reduced.bloch_basis import BlochBasis
from cellfields.planewave.reduced.eigen import Nodes
from cellfields.planewave.reduced.mesh import MeshChunk, ReducedMesh
from cellfields.planewave.reduced.operators import RealSpace, ReducedHamiltonian
from cellfields.planewave.terms import nonlocal_


@dataclass(frozen=True, eq=False)
class PlaneWaveChunk:
    """Some k points lifted back to plane waves.

    Attributes:
        mesh: which k points, k + G and form factors.
        vectors: (P, c, n) coefficients.
    """

    mesh: MeshChunk
    vectors: FloatArray


@dataclass(frozen=True, eq=False)
class ReducedOrbitals:
    """Coefficients in the reduced basis; an :class:`~cellfields.planewave.orbitals.Orbitals`.

    Attributes:
        problem: cell and ions.
        bloch: the basis functions.
        real_space: the same on the grid; None where densities are not wanted.
        mesh: the k points.
        hamiltonian: operators at the k points.
        vectors: (K, N_B, n).
        nodes: what preconditions their refinement, for the next problem.
    """

    problem: KohnShamProblem
    bloch: BlochBasis
    real_space: RealSpace | None
    mesh: ReducedMesh
    hamiltonian: ReducedHamiltonian
    vectors: FloatArray
    nodes: Nodes | None = None

    @cached_property
    def _flat(self) -> FloatArray:
        return np.ascontiguousarray(self.vectors.transpose(1, 0, 2)).reshape(self.vectors.shape[1], -1)

    def density_matrix(self, weights: FloatArray) -> FloatArray:
        """P (N_B, N_B) for weights (K, n)."""
        return np.asarray((self._flat * weights.reshape(-1)) @ self._flat.T)

    def density(self, weights: FloatArray) -> FloatArray:
        """See :class:`Orbitals`."""
        assert self.real_space is not None
        basis = self.problem.basis
        coefficients = basis.to_fourier(self.real_space.density(self.density_matrix(weights))) / basis.volume
        coefficients[0] = float(weights.sum()) / basis.volume
        return coefficients

    def kinetic_energy(self, weights: FloatArray) -> float:
        """See :class:`Orbitals`."""
        h = self.hamiltonian
        energy = float((self.density_matrix(weights) * h.kinetic).sum())
        for axis in range(3):
            along = self.density_matrix(weights * h.k[:, axis, None])
            energy += float((along * h.momentum[axis]).sum())
        return energy + float(0.5 * (h.k**2).sum(axis=1) @ weights.sum(axis=1))

    @cached_property
    def _projections(self) -> FloatArray:
        """⟨β|u⟩ (K, B, n)."""
        return np.asarray(np.matmul(self.hamiltonian.projections.transpose(0, 2, 1), self.vectors))

    def nonlocal_energy(self, weights: FloatArray) -> float:
        """See :class:`Orbitals`."""
        coupled = np.matmul(self.hamiltonian.coupling, self._projections)
        return float(((coupled * self._projections).sum(axis=1) * weights).sum())

    def nonlocal_forces(self, weights: FloatArray) -> FloatArray:
        """See :class:`Orbitals`."""
        geometry = self.problem.geometry
        g = self.bloch.m @ geometry.reciprocal
        amplitudes: dict[tuple[int, int], FloatArray] = {}
        for chunk in self.lifted(weights):
            for atom, side, columns in self._projector_columns():
                form = chunk.mesh.forms[geometry.species[atom]]
                z = self._amplitudes(chunk, weights, columns)
                key = (atom, side)
                amplitudes[key] = amplitudes.get(key, 0.0) + np.einsum("pcb,pcb->p", form, z)
        result = np.zeros((len(geometry.species), 3))
        for atom in geometry.independent:
            partner = geometry.partners[atom]
            if partner == atom:
                continue
            cosine, sine = nonlocal_.structure_phases(geometry, int(atom), self.bloch.m)
            for side, slope in ((0, -sine), (1, cosine)):
                force = -(slope * amplitudes[int(atom), side]) @ g
                result[atom] += force
                result[partner] -= force
        return result

    def stress(self, weights: FloatArray) -> FloatArray:
        """See :class:`Orbitals`."""
        geometry = self.problem.geometry
        g = self.bloch.m @ geometry.reciprocal
        functions, h = self.bloch.functions, self.hamiltonian
        total = np.zeros((3, 3))
        p = self.density_matrix(weights)
        spread = functions @ p
        total -= (g * (spread * functions).sum(axis=1)[:, None]).T @ g
        for axis in range(3):
            along = self.density_matrix(weights * h.k[:, axis, None])
            mixed = np.array([(along * h.momentum[other]).sum() for other in range(3)])
            total[axis] -= mixed
            total[:, axis] -= mixed
        total -= (h.k * weights.sum(axis=1)[:, None]).T @ h.k
        phases = {
            (int(atom), side): phase
            for atom in geometry.independent
            for side, phase in enumerate(nonlocal_.structure_phases(geometry, int(atom), self.bloch.m))
        }
        for chunk in self.lifted(weights):
            sums: dict[str, FloatArray] = {}
            for atom, side, columns in self._projector_columns():
                z = self._amplitudes(chunk, weights, columns) * phases[atom, side][:, None, None]
                symbol = geometry.species[atom]
                sums[symbol] = sums[symbol] + z if symbol in sums else z
            for symbol, z in sums.items():
                q = chunk.mesh.q.reshape(-1, 3)
                total += 2 * nonlocal_.strain_contraction(geometry, symbol, q, z.reshape(len(q), -1))
        return total

    # -- back in plane waves ------------------------------------------------------------------------------------

    def lifted(self, weights: FloatArray, negligible: float = 1e-7) -> Iterator[PlaneWaveChunk]:
        """All k points in chunks, with the lowest bands whose weights (K, n) are not all negligible (relatively)."""
        size = np.abs(weights).max(axis=0)
        bands = int(np.flatnonzero(size > negligible * size.max())[-1]) + 1
        for chunk in self.mesh.chunks():
            c = np.ascontiguousarray(self.vectors[chunk.rows][:, :, :bands].transpose(1, 0, 2))
            vectors = self.bloch.lift(c.reshape(len(c), -1))
            yield PlaneWaveChunk(chunk, vectors.reshape(len(vectors), len(chunk.rows), bands))

    def _projector_columns(self) -> list[tuple[int, int, slice]]:
        """(atom, 0 for cos or 1 for sin, columns of the projections), in the order of terms.nonlocal_."""
        geometry = self.problem.geometry
        sizes = {}
        for symbol in dict.fromkeys(geometry.species):
            channels = geometry.pseudopotentials[symbol].channels
            sizes[symbol] = sum((2 * c.l + 1) * len(c.coupling) for c in channels)
        result, first = [], 0
        for atom in geometry.independent:
            size = sizes[geometry.species[atom]]
            for side in range(1 if geometry.partners[atom] == atom else 2):
                result.append((int(atom), side, slice(first, first + size)))
                first += size
        return result

    def nonlocal_action(self, chunk: PlaneWaveChunk, phases: list[FloatArray]) -> FloatArray:
        """V_nl u (P, c, n) of the chunk's orbitals; ``phases`` in the order of the projector columns."""
        bands = chunk.vectors.shape[2]
        coupled = np.matmul(self.hamiltonian.coupling, self._projections[chunk.mesh.rows][:, :, :bands])
        total = np.zeros((len(chunk.mesh.rows), len(chunk.vectors), bands))
        for (atom, _, columns), phase in zip(self._projector_columns(), phases, strict=True):
            form = chunk.mesh.forms[self.problem.geometry.species[atom]] * phase[:, None, None]
            total += np.matmul(form.transpose(1, 0, 2), coupled[:, columns])
        return np.asarray(total.transpose(1, 0, 2))

    def _amplitudes(self, chunk: PlaneWaveChunk, weights: FloatArray, columns: slice) -> FloatArray:
        """Z (P, c, B) = Σ_n ψ_n(G) w_n Σ_j h_bj ⟨β_j|u_n⟩."""
        bands = chunk.vectors.shape[2]
        coupled = np.matmul(self.hamiltonian.coupling, self._projections[chunk.mesh.rows])[:, columns, :bands]
        weighted = coupled * weights[chunk.mesh.rows][:, None, :bands]
        return np.asarray(np.matmul(chunk.vectors.transpose(1, 0, 2), weighted.transpose(0, 2, 1)).transpose(1, 0, 2))
