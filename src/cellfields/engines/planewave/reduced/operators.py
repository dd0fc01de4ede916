"""H(k) in the reduced basis, for all k of a mesh at once.

    H_ij(k) = ½k² δ_ij + k·p_ij + T_ij + V_ij + Σ_β ⟨B_i|β(k)⟩ h ⟨β(k)|B_j⟩

T and p are computed once for a basis, the projections once for a geometry, V in each SCF step. T, V and p (up to a
factor i) are real matrices. Between even and odd functions only p has matrix elements, and only between these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.engines.planewave.arithmetic import adjoint, as_reals
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.functions import HalfProduct, upper_half
from cellfields.engines.planewave.reduced.mesh import ReducedMesh
from cellfields.engines.planewave.terms.nonlocal_ import coupling_matrix


@dataclass(frozen=True, eq=False)
class RealSpace:
    """Basis functions on the FFT grid, or on one half of it where the other half follows by parity.

    Attributes:
        points: (H,) flat grid indices.
        mirror: (H,) flat grid indices of equivalent points, where products of the functions are equal.
        multiplicity: (H,) 2, or 1 where the two points coincide.
        values: for each kind of functions (H, n) real values.
    """

    points: IntArray
    mirror: IntArray
    multiplicity: FloatArray
    values: tuple[FloatArray, ...]

    @classmethod
    def of(cls, basis: PlaneWaveBasis, bloch: BlochBasis) -> RealSpace:
        """The functions of a basis on the grid, transformed two at a time as B₁ + i B₂."""
        points, mirror = bloch.functions.points(basis)
        index = basis.flat_index(bloch.m)
        values = []
        for kind, part in enumerate(bloch.parts):
            count = part.shape[1]
            waves = bloch.functions.on_grid(kind, part)
            pairs = np.array(waves[:, 0::2].T, dtype=complex)
            pairs[: count // 2] += 1j * waves[:, 1::2].T
            packed = basis.waves_on_grid(index, pairs).reshape(-1, basis.grid_size)[:, points]
            table = np.empty((count, len(points)))
            table[0::2] = packed.real
            table[1::2] = packed.imag[: count // 2]
            values.append(np.ascontiguousarray(table.T))
        return cls(points, mirror, np.where(points == mirror, 1.0, 2.0), tuple(values))

    def matrix(self, potential: FloatArray) -> FloatArray:
        """Matrix V_ij (N_B, N_B) of a potential on the grid (n1·n2·n3,), Hartree."""
        weight = (potential[self.points] * self.multiplicity / len(potential))[:, None]
        return np.asarray(block_diag(*(values.T @ (values * weight) for values in self.values)))

    def density(self, matrix: FloatArray) -> FloatArray:
        """Volume times density, Σ_ij P_ij B_i* B_j, on the grid (n1·n2·n3,), of a density matrix P (N_B, N_B)."""
        total = np.empty(int(self.multiplicity.sum()))
        some = np.zeros(len(self.points))
        first = 0
        for values in self.values:
            block = slice(first, first + values.shape[1])
            some += ((values @ matrix[block, block]) * values).sum(axis=1)
            first = block.stop
        total[self.points] = some
        total[self.mirror] = some
        return total


@dataclass(frozen=True, eq=False)
class ReducedHamiltonian:
    """H(k) without V_eff, for the k points of a mesh.

    Attributes:
        k: (K, 3) Cartesian, 1/Bohr.
        kinetic: (N_B, N_B) matrix of ½G², Hartree.
        momentum: (3, N_B, N_B) real matrices, p divided by ``unit``, 1/Bohr.
        unit: factor 1 or i of the momentum.
        projections: (K, N_B, B) ⟨B_i|β⟩.
        coupling: (B, B) h, Hartree.
        blocks: for each kind, the range of its functions.
        joined: pairs of kinds between which p has matrix elements.
    """

    k: FloatArray
    kinetic: FloatArray
    momentum: FloatArray
    unit: complex
    projections: Coefficients
    coupling: FloatArray
    blocks: tuple[slice, ...]
    joined: tuple[tuple[int, int], ...]

    @classmethod
    def build(cls, geometry: Geometry, bloch: BlochBasis, mesh: ReducedMesh) -> ReducedHamiltonian:
        """The operators of a basis at the k points of a mesh, for the ions of a cell."""
        numbers, functions = bloch.numbers, bloch.functions
        g = bloch.m @ geometry.reciprocal
        kinetic = numbers.T @ (numbers * (0.5 * (g**2).sum(axis=1))[:, None])
        momentum = functions.momentum(bloch.parts, g)
        projections, coupling = projections_of(geometry, bloch, mesh)
        return cls(
            mesh.k, kinetic, momentum, functions.momentum_unit, projections, coupling, bloch.ranges, functions.joined
        )

    @cached_property
    def weighted_projections(self) -> Coefficients:
        """Projections times coupling, ⟨B|β⟩ h (K, N_B, B)."""
        return np.asarray(self.projections @ self.coupling)

    @cached_property
    def adjoint_projections(self) -> Coefficients:
        """Adjoint projections ⟨β|B⟩ (K, B, N_B)."""
        return adjoint(self.projections)

    def dense(self, potential: FloatArray, row: int) -> Coefficients:
        """Matrix H(k) (N_B, N_B) of the k point ``row``, with a potential matrix (N_B, N_B)."""
        k = self.k[row]
        h = (self.kinetic + potential).astype(self.projections.dtype, copy=False)
        for axis in range(3):
            h += self.unit * k[axis] * self.momentum[axis]
        h += self.weighted_projections[row] @ self.adjoint_projections[row]
        h[np.diag_indices_from(h)] += 0.5 * (k @ k)
        return h

    def apply(self, potential: FloatArray, vectors: Coefficients, rows: IntArray | slice = slice(None)) -> Coefficients:
        """Products H(k) C (c, N_B, n) with a potential matrix (N_B, N_B), at the k points ``rows`` (default: all)."""
        count, size, n = vectors.shape
        k = self.k[rows]
        flat = _flat(vectors)
        static = self.kinetic + potential
        result = flat * np.repeat(0.5 * (k**2).sum(axis=1), n)
        for block in self.blocks:
            result[block] += _product(static[block, block], flat[block])
        for axis in range(3):
            along = flat * np.repeat(self.unit * k[:, axis], n)
            for left, right in self._joined:
                result[left] += _product(self.momentum[axis, left, right], along[right])
        projected = np.matmul(self.adjoint_projections[rows], vectors)
        total = np.matmul(self.weighted_projections[rows], projected)
        total += result.reshape(size, count, n).transpose(1, 0, 2)
        return np.asarray(total)

    def apply_potential(self, potential: FloatArray, vectors: Coefficients) -> Coefficients:
        """Products V C (K, N_B, n) of a potential matrix (N_B, N_B) and vectors (K, N_B, n)."""
        count, size, n = vectors.shape
        flat = _flat(vectors)
        result = np.empty_like(flat)
        for block in self.blocks:
            result[block] = _product(potential[block, block], flat[block])
        return np.ascontiguousarray(result.reshape(size, count, n).transpose(1, 0, 2))

    def momenta(self, vectors: Coefficients) -> FloatArray:
        """Expectation values ⟨p⟩ (3, K, n), 1/Bohr, of vectors (K, N_B, n)."""
        count, _, n = vectors.shape
        flat = _flat(vectors)
        result = np.zeros((3, count * n))
        for axis in range(3):
            for left, right in self._joined:
                moved = _product(self.momentum[axis, left, right], flat[right])
                result[axis] += (flat[left].conj() * moved * self.unit).real.sum(axis=0)
        return result.reshape(3, count, n)

    @cached_property
    def _joined(self) -> list[tuple[slice, slice]]:
        return [(self.blocks[left], self.blocks[right]) for left, right in self.joined]


def _flat(vectors: Coefficients) -> Coefficients:
    """Vectors (K, N_B, n) side by side as one matrix (N_B, K·n)."""
    return np.ascontiguousarray(vectors.transpose(1, 0, 2)).reshape(vectors.shape[1], -1)


def _product(matrix: FloatArray, vectors: Coefficients) -> Coefficients:
    """Product of a real matrix and real or complex vectors, in real arithmetic."""
    return np.asarray((matrix @ as_reals(vectors)).view(vectors.dtype))


def projections_of(geometry: Geometry, bloch: BlochBasis, mesh: ReducedMesh) -> tuple[Coefficients, FloatArray]:
    """Projections ⟨B_i|β(k)⟩ (K, N_B, B) and the coupling (B, B), Hartree, in the order of terms.nonlocal_.

    They are computed from half of the plane waves.
    """
    half = upper_half(len(bloch.m))
    at_zero = bloch.numbers[:1].T  # B(0); an odd function has none
    at_zero = np.concatenate([at_zero[block] * (kind == 0) for kind, block in enumerate(bloch.ranges)])
    phased: list[tuple[str, list[HalfProduct], FloatArray]] = []
    for site in geometry.sites:
        for phase in site.phases(bloch.m):
            products = bloch.functions.half_products(bloch.parts, phase)
            phased.append((site.symbol, products, at_zero * phase[0].real))
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
        for symbol, products, zero in phased:
            total = np.empty((bloch.size, zeros[symbol].shape[1]), dtype=bloch.functions.dtype)
            for piece in products:
                target = total.imag if piece.target == "imag" else total.real
                target[piece.rows] = piece.table @ (sums if piece.even else differences)[symbol]
            if zero.any():
                total += zero @ zeros[symbol]
            rows.append(total.reshape(bloch.size, count, -1).transpose(1, 0, 2))
        parts.append(np.concatenate(rows, axis=2))
    couplings = [coupling_matrix(geometry, symbol) for symbol, *_ in phased]
    return np.concatenate(parts), block_diag(*couplings)
