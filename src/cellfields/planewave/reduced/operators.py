"""H(k) in the reduced basis, for all k of a mesh at once.

    H_ij(k) = ½k² δ_ij + k·p_ij + T_ij + V_ij + Σ_β ⟨B_i|β(k)⟩ h ⟨β(k)|B_j⟩

T and p are made once a basis, the projections once a geometry, V once an SCF step. p joins even with odd functions,
T and V do not mix them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from cellfields._typing import FloatArray, IntArray
from cellfields.planewave.basis import PlaneWaveBasis
from cellfields.planewave.geometry import Geometry
from cellfields.planewave.reduced.bloch_basis import BlochBasis
from cellfields.planewave.reduced.mesh import ReducedMesh
from cellfields.planewave.terms.nonlocal_ import coupling_matrix, structure_phases


@dataclass(frozen=True, eq=False)
class RealSpace:
    """Basis functions on one half of the FFT grid (the other half follows by parity).

    Attributes:
        half: (H,) flat grid indices.
        mirror: (H,) flat grid indices of −r.
        multiplicity: (H,) 2, or 1 where r = −r.
        even: (H, n_even) values of Σ B cos G·r; odd: (H, n_odd) values of Σ B sin G·r.
    """

    half: IntArray
    mirror: IntArray
    multiplicity: FloatArray
    even: FloatArray
    odd: FloatArray

    @classmethod
    def of(cls, basis: PlaneWaveBasis, bloch: BlochBasis) -> RealSpace:
        """Transform the functions to the grid."""
        every = np.arange(basis.grid_size)
        half = np.flatnonzero(every <= basis.inversion_index)
        mirror = basis.inversion_index[half]
        index = basis.flat_index(bloch.m)
        values = []
        for functions, odd in ((bloch.even, False), (bloch.odd, True)):
            packed = basis.pack(index, functions).reshape(-1, basis.grid_size)[:, half]
            count = functions.shape[1]
            table = np.empty((count, len(half)))
            # even: u₁ + i u₂ with real u;  odd: i w₁ − w₂ with real w
            table[0::2] = packed.imag if odd else packed.real
            table[1::2] = (-packed.real if odd else packed.imag)[: count // 2]
            values.append(np.ascontiguousarray(table.T))
        return cls(half, mirror, np.where(half == mirror, 1.0, 2.0), values[0], values[1])

    def matrix(self, potential: FloatArray) -> FloatArray:
        """V_ij (N_B, N_B) of an even potential on the grid (n1·n2·n3,)."""
        weight = (potential[self.half] * self.multiplicity / len(potential))[:, None]
        return np.asarray(block_diag(self.even.T @ (self.even * weight), self.odd.T @ (self.odd * weight)))

    def density(self, matrix: FloatArray) -> FloatArray:
        """Σ_ij P_ij B_i* B_j on the grid (n1·n2·n3,), even part; divide by the volume for a density."""
        n = self.even.shape[1]
        values = ((self.even @ matrix[:n, :n]) * self.even).sum(axis=1)
        values += ((self.odd @ matrix[n:, n:]) * self.odd).sum(axis=1)
        total = np.empty(int(self.multiplicity.sum()))
        total[self.half] = values
        total[self.mirror] = values
        return total


@dataclass(frozen=True, eq=False)
class ReducedHamiltonian:
    """H(k) without V_eff, for the k points of a mesh.

    Attributes:
        k: (K, 3) Cartesian.
        kinetic: (N_B, N_B) ½G².
        momentum: (3, N_B, N_B).
        projections: (K, N_B, B) ⟨B_i|β⟩.
        coupling: (B, B).
        n_even: how many of the functions, the first ones, are even.
    """

    k: FloatArray
    kinetic: FloatArray
    momentum: FloatArray
    projections: FloatArray
    coupling: FloatArray
    n_even: int

    @classmethod
    def build(cls, geometry: Geometry, bloch: BlochBasis, mesh: ReducedMesh) -> ReducedHamiltonian:
        """Operators for the k points of a mesh."""
        functions = bloch.functions
        g = bloch.m @ geometry.reciprocal
        kinetic = functions.T @ (functions * (0.5 * (g**2).sum(axis=1))[:, None])
        momentum = np.stack([functions.T @ (functions * g[:, axis, None]) for axis in range(3)])
        projections, coupling = projections_of(geometry, bloch.m, functions, mesh)
        return cls(mesh.k, kinetic, momentum, projections, coupling, bloch.even.shape[1])

    @cached_property
    def weighted_projections(self) -> FloatArray:
        """⟨B|β⟩ h (K, N_B, B)."""
        return self.projections @ self.coupling

    def dense(self, potential: FloatArray, row: int) -> FloatArray:
        """H(k) (N_B, N_B) of one k point."""
        k = self.k[row]
        h = self.kinetic + potential
        for axis in range(3):
            h += k[axis] * self.momentum[axis]
        h += self.weighted_projections[row] @ self.projections[row].T
        h[np.diag_indices_from(h)] += 0.5 * (k @ k)
        return h

    def apply(self, potential: FloatArray, vectors: FloatArray) -> FloatArray:
        """H(k) C for vectors (K, N_B, n); parity halves the work."""
        count, size, n = vectors.shape
        e = self.n_even
        flat = np.ascontiguousarray(vectors.transpose(1, 0, 2)).reshape(size, count * n)
        static = self.kinetic + potential
        k = np.repeat(self.k.T, n, axis=1)
        along = (flat[None, :, :] * k[:, None, :]).astype(float, copy=False)
        half_k2 = np.repeat(0.5 * (self.k**2).sum(axis=1), n)
        result = flat * half_k2
        result[:e] += static[:e, :e] @ flat[:e]
        result[e:] += static[e:, e:] @ flat[e:]
        joined = np.concatenate(list(self.momentum[:, :e, e:]), axis=1)  # (n_even, 3 n_odd)
        result[:e] += joined @ along[:, e:].reshape(-1, count * n)
        joined = np.concatenate(list(self.momentum[:, e:, :e]), axis=1)
        result[e:] += joined @ along[:, :e].reshape(-1, count * n)
        projected = np.matmul(self.projections.transpose(0, 2, 1), vectors)
        nonlocal_part = np.matmul(self.weighted_projections, projected)
        return np.asarray(result.reshape(size, count, n).transpose(1, 0, 2) + nonlocal_part)


def projections_of(
    geometry: Geometry, m: IntArray, functions: FloatArray, mesh: ReducedMesh
) -> tuple[FloatArray, FloatArray]:
    """⟨B_i|β(k)⟩ (K, n, B) of functions (P, n), and the coupling (B, B), in the order of terms.nonlocal_."""
    phased = [
        (geometry.species[atom], np.ascontiguousarray((functions * phase[:, None]).T))
        for atom in geometry.independent
        for phase in structure_phases(geometry, int(atom), m)
    ]
    parts = []
    for chunk in mesh.chunks():
        count = len(chunk.rows)
        rows = []
        for symbol, left in phased:
            form = chunk.forms[symbol]
            product = left @ form.reshape(len(form), -1)
            rows.append(product.reshape(functions.shape[1], count, -1).transpose(1, 0, 2))
        parts.append(np.concatenate(rows, axis=2))
    couplings = [coupling_matrix(geometry, symbol) for symbol, _ in phased]
    return np.concatenate(parts), block_diag(*couplings)
