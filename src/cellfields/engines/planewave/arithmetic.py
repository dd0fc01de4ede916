"""The two arithmetics of the engine: real numbers where the origin is an inversion centre, complex ones elsewhere.

                      with inversion                               without
    fields            f(−r) = f(r):  f(G) real                     f(G) complex, f(−G) = f(G)*, on the whole sphere
    orbitals          c_k(G) real:   two of them share an FFT      c_k(G) complex
    an ion at τ       cos G·τ (its image's sin G·τ cancels)        e^{−iG·τ}

Time reversal, u_{−k} = u_k*, holds in both. The rest of the engine is written once for both, with the products below;
conjugation takes no time for real arrays.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from cellfields._typing import Coefficients, ComplexArray, FloatArray, IntArray


class Arithmetic(Protocol):
    """The operations that differ between cells with and without an inversion centre."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the coefficients, float64 or complex128."""

    def field(self, spectrum: ComplexArray) -> Coefficients:
        """Coefficients of a real function of the crystal's symmetry, from those of an FFT."""

    def wave(self, phase: FloatArray) -> Coefficients:
        """Term of an ion in a structure factor, from φ = G·τ: e^{−iφ}, or its even part cos φ."""

    def pull(self, field: Coefficients, phase: FloatArray) -> FloatArray:
        """Force −∂/∂φ Re f* e^{−iφ} = Im f e^{iφ} of a field f on an ion, with φ = G·τ; f and φ broadcast."""

    def pack(self, vectors: Coefficients) -> ComplexArray:
        """Orbitals (P, n) as rows (b, P) for Fourier transforms, b ≤ n."""

    def unpack(self, rows: ComplexArray, count: int) -> Coefficients:
        """Orbitals (P, count) from rows (b, P) that :meth:`pack` made and a transform returned."""

    def density(self, total: FloatArray, mirror: IntArray) -> FloatArray:
        """Σ|u|² on the grid (N,) from the sum of |rows|² there; ``mirror`` (N,) is the grid index of −r."""


class RealArithmetic:
    """Arithmetic of a cell whose origin is an inversion centre: real coefficients, two orbitals in one FFT."""

    dtype = np.dtype(np.float64)

    def field(self, spectrum: ComplexArray) -> Coefficients:
        """Implement :meth:`Arithmetic.field`."""
        return np.asarray(spectrum.real)

    def wave(self, phase: FloatArray) -> Coefficients:
        """Implement :meth:`Arithmetic.wave`."""
        return np.cos(phase)

    def pull(self, field: Coefficients, phase: FloatArray) -> FloatArray:
        """Implement :meth:`Arithmetic.pull`."""
        return np.asarray(field * np.sin(phase))

    def pack(self, vectors: Coefficients) -> ComplexArray:
        """Pairs of orbitals as u₁ + i u₂ (b, P); an even, real potential gives V u₁ + i V u₂, which separates again."""
        count = vectors.shape[1]
        rows = np.zeros(((count + 1) // 2, len(vectors)), dtype=complex)
        rows.real = vectors[:, 0::2].T
        rows.imag[: count // 2] = vectors[:, 1::2].T
        return rows

    def unpack(self, rows: ComplexArray, count: int) -> Coefficients:
        """Implement :meth:`Arithmetic.unpack`."""
        vectors = np.empty((rows.shape[1], count))
        vectors[:, 0::2] = rows.real.T
        vectors[:, 1::2] = rows.imag[: count // 2].T
        return vectors

    def density(self, total: FloatArray, mirror: IntArray) -> FloatArray:
        """Density |u₁|² + |u₂|² on the grid (N,), the even part of |u₁ + i u₂|²."""
        return np.asarray(0.5 * (total + total[mirror]))


class ComplexArithmetic:
    """Arithmetic of a cell without an inversion centre: complex coefficients, one orbital in an FFT."""

    dtype = np.dtype(np.complex128)

    def field(self, spectrum: ComplexArray) -> Coefficients:
        """Implement :meth:`Arithmetic.field`."""
        return spectrum

    def wave(self, phase: FloatArray) -> Coefficients:
        """Implement :meth:`Arithmetic.wave`."""
        return np.asarray(np.exp(-1j * phase))

    def pull(self, field: Coefficients, phase: FloatArray) -> FloatArray:
        """Implement :meth:`Arithmetic.pull`."""
        return np.asarray(field.real * np.sin(phase) + field.imag * np.cos(phase))

    def pack(self, vectors: Coefficients) -> ComplexArray:
        """Orbitals (P, n) as rows (n, P), one for each."""
        return vectors.T

    def unpack(self, rows: ComplexArray, count: int) -> Coefficients:
        """Implement :meth:`Arithmetic.unpack`."""
        return np.ascontiguousarray(rows.T)

    def density(self, total: FloatArray, mirror: IntArray) -> FloatArray:
        """Implement :meth:`Arithmetic.density`."""
        return total


def adjoint(matrices: Coefficients) -> Coefficients:
    """Adjoint matrices A† (…, m, n) of A (…, n, m)."""
    return np.asarray(matrices.conj().swapaxes(-1, -2))


def overlap(left: Coefficients, right: Coefficients) -> Coefficients:
    """Products A† B (n, m) of vectors A (P, n) and B (P, m); the smaller array is conjugated, to save time."""
    if left.size > right.size:
        return np.asarray((left.T @ right.conj()).conj())
    return np.asarray(left.conj().T @ right)


def inner(left: Coefficients, right: Coefficients) -> float:
    """Mean product Σ_G f(G)* g(G) of two real functions, from their coefficients (D,)."""
    return float(np.vdot(left, right).real)


def squares(values: Coefficients) -> FloatArray:
    """Squared magnitudes |z|² of the elements of an array."""
    return np.asarray(values.real**2 + values.imag**2 if np.iscomplexobj(values) else values**2)


def as_reals(values: Coefficients) -> FloatArray:
    """Complex numbers (…, n) as pairs of real ones (…, 2n); real numbers are returned as they are.

    Euclidean products stay the same, and a real matrix times complex vectors becomes a product of real matrices.
    """
    return np.ascontiguousarray(values).view(np.float64)
