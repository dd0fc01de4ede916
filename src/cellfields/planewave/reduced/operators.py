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
from cellfields.planewave.reduced.bloch_basis import BlochBasis, upper_half
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
        projections, coupling = projections_of(geometry, bloch, mesh)
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

    def apply(self, potential: FloatArray, vectors: FloatArray, rows: IntArray | slice = slice(None)) -> FloatArray:
        """H(k) C for vectors (c, N_B, n) of the k points ``rows`` (default all); parity halves the work."""
        count, size, n = vectors.shape
        e, k = self.n_even, self.k[rows]
        flat = _flat(vectors)
        static = self.kinetic + potential
        result = flat * np.repeat(0.5 * (k**2).sum(axis=1), n)
        result[:e] += static[:e, :e] @ flat[:e]
        result[e:] += static[e:, e:] @ flat[e:]
        for axis in range(3):
            along = flat * np.repeat(k[:, axis], n)
            result[:e] += self.momentum[axis, :e, e:] @ along[e:]
            result[e:] += self.momentum[axis, e:, :e] @ along[:e]
        projected = np.matmul(self.projections[rows].transpose(0, 2, 1), vectors)
        total = np.matmul(self.weighted_projections[rows], projected)
        total += result.reshape(size, count, n).transpose(1, 0, 2)
        return np.asarray(total)

    def apply_potential(self, potential: FloatArray, vectors: FloatArray) -> FloatArray:
        """V C (K, N_B, n) for a potential matrix (N_B, N_B), block diagonal in parity."""
        count, size, n = vectors.shape
        e = self.n_even
        flat = _flat(vectors)
        result = np.empty_like(flat)
        np.matmul(potential[:e, :e], flat[:e], out=result[:e])
        np.matmul(potential[e:, e:], flat[e:], out=result[e:])
        return np.ascontiguousarray(result.reshape(size, count, n).transpose(1, 0, 2))


def _flat(vectors: FloatArray) -> FloatArray:
    """(K, N_B, n) → (N_B, K·n)."""
    return np.ascontiguousarray(vectors.transpose(1, 0, 2)).reshape(vectors.shape[1], -1)


def projections_of(geometry: Geometry, bloch: BlochBasis, mesh: ReducedMesh) -> tuple[FloatArray, FloatArray]:
    """⟨B_i|β(k)⟩ (K, N_B, B) and the coupling (B, B), in the order of terms.nonlocal_.

    By parity on half the plane waves: an even product of function and structure phase sees F(G) + F(−G) of the form
    factor, an odd one F(G) − F(−G).
    """
    half = upper_half(len(bloch.m))
    n, size = bloch.even.shape[1], bloch.size
    phased = []
    for atom in geometry.independent:
        phases = structure_phases(geometry, int(atom), bloch.m[half])
        centre = structure_phases(geometry, int(atom), bloch.m[:1])
        for odd_phase, (phase, at_zero) in enumerate(zip(phases, centre, strict=True)):
            even, odd = ((f[half] * phase[:, None]).T for f in (bloch.even, bloch.odd))
            zero = (bloch.even[0] * at_zero[0])[:, None]
            phased.append(
                (geometry.species[atom], bool(odd_phase), np.ascontiguousarray(even), np.ascontiguousarray(odd), zero)
            )
    parts = []
    for chunk in mesh.chunks():
        count = len(chunk.rows)
        sums, differences, zeros = {}, {}, {}
        for symbol, form in chunk.forms.items():
            upper, lower = form[half], form[half.stop :]
            sums[symbol] = (upper + lower).reshape(len(upper), -1)
            differences[symbol] = (upper - lower).reshape(len(upper), -1)
            zeros[symbol] = form[:1].reshape(1, -1)
        rows = []
        for symbol, odd_phase, even, odd, zero in phased:
            product = np.empty((size, zeros[symbol].shape[1]))
            np.matmul(even, differences[symbol] if odd_phase else sums[symbol], out=product[:n])
            np.matmul(odd, sums[symbol] if odd_phase else differences[symbol], out=product[n:])
            if not odd_phase:
                product[:n] += zero @ zeros[symbol]
            rows.append(product.reshape(size, count, -1).transpose(1, 0, 2))
        parts.append(np.concatenate(rows, axis=2))
    couplings = [coupling_matrix(geometry, symbol) for symbol, *_ in phased]
    return np.concatenate(parts), block_diag(*couplings)
