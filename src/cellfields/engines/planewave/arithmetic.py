"""The two arithmetics of the engine: real numbers where the origin is an inversion centre, complex ones elsewhere.

                      with inversion                               without
    fields            f(−r) = f(r):  f(G) real                     f(G) complex, f(−G) = f(G)*, on the whole sphere
    orbitals          c_k(G) real:   two of them share an FFT      c_k(G) complex
    an ion at τ       cos G·τ (its image's sin G·τ cancels)        e^{−iG·τ}

Time reversal, u_{−k} = u_k*, holds in both. Everything else in the engine is written once, with the products below:
conjugation costs nothing for real arrays.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from cellfields._typing import Coefficients, ComplexArray, FloatArray, IntArray


class Arithmetic(Protocol):
    """What is done differently with and without an inversion centre."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of coefficients."""

    def field(self, spectrum: ComplexArray) -> Coefficients:
        """Coefficients of a real function of the crystal's symmetry, from those of an FFT."""

    def wave(self, phase: FloatArray) -> Coefficients:
        """What an ion adds to a structure factor, from φ = G·τ: e^{−iφ}, or its even part."""

    def pull(self, field: Coefficients, phase: FloatArray) -> FloatArray:
        """−∂/∂φ Re f* e^{−iφ} = Im f e^{iφ}, from φ = G·τ: what a field pulls an ion with; f and φ broadcast."""

    def pack(self, vectors: Coefficients) -> ComplexArray:
        """Orbitals (P, n) as rows to be transformed (b, P), b ≤ n."""

    def unpack(self, rows: ComplexArray, count: int) -> Coefficients:
        """Orbitals (P, count) from transformed rows (b, P)."""

    def density(self, total: FloatArray, mirror: IntArray) -> FloatArray:
        """Σ|u|² on the grid (N,) from the sum of |rows|² there; ``mirror`` (N,) is the grid index of −r."""


class RealArithmetic:
    """The origin is an inversion centre."""

    dtype = np.dtype(np.float64)

    def field(self, spectrum: ComplexArray) -> Coefficients:
        """See :class:`Arithmetic`."""
        return np.asarray(spectrum.real)

    def wave(self, phase: FloatArray) -> Coefficients:
        """See :class:`Arithmetic`."""
        return np.cos(phase)

    def pull(self, field: Coefficients, phase: FloatArray) -> FloatArray:
        """See :class:`Arithmetic`."""
        return np.asarray(field * np.sin(phase))

    def pack(self, vectors: Coefficients) -> ComplexArray:
        """u₁ + i u₂: a multiplication by an even, real function keeps the two apart, V c₁ + i V c₂."""
        count = vectors.shape[1]
        rows = np.zeros(((count + 1) // 2, len(vectors)), dtype=complex)
        rows.real = vectors[:, 0::2].T
        rows.imag[: count // 2] = vectors[:, 1::2].T
        return rows

    def unpack(self, rows: ComplexArray, count: int) -> Coefficients:
        """See :class:`Arithmetic`."""
        vectors = np.empty((rows.shape[1], count))
        vectors[:, 0::2] = rows.real.T
        vectors[:, 1::2] = rows.imag[: count // 2].T
        return vectors

    def density(self, total: FloatArray, mirror: IntArray) -> FloatArray:
        """|u₁|² + |u₂|² is the even part of |u₁ + i u₂|²."""
        return np.asarray(0.5 * (total + total[mirror]))


class ComplexArithmetic:
    """No inversion centre."""

    dtype = np.dtype(np.complex128)

    def field(self, spectrum: ComplexArray) -> Coefficients:
        """See :class:`Arithmetic`."""
        return spectrum

    def wave(self, phase: FloatArray) -> Coefficients:
        """See :class:`Arithmetic`."""
        return np.asarray(np.exp(-1j * phase))

    def pull(self, field: Coefficients, phase: FloatArray) -> FloatArray:
        """See :class:`Arithmetic`."""
        return np.asarray(field.real * np.sin(phase) + field.imag * np.cos(phase))

    def pack(self, vectors: Coefficients) -> ComplexArray:
        """One orbital a row."""
        return vectors.T

    def unpack(self, rows: ComplexArray, count: int) -> Coefficients:
        """See :class:`Arithmetic`."""
        return np.ascontiguousarray(rows.T)

    def density(self, total: FloatArray, mirror: IntArray) -> FloatArray:
        """See :class:`Arithmetic`."""
        return total


def adjoint(matrices: Coefficients) -> Coefficients:
    """A† of matrices (…, n, m)."""
    return np.asarray(matrices.conj().swapaxes(-1, -2))


def overlap(left: Coefficients, right: Coefficients) -> Coefficients:
    """A† B of (P, n) and (P, m); the smaller of the two is conjugated."""
    if left.size > right.size:
        return np.asarray((left.T @ right.conj()).conj())
    return np.asarray(left.conj().T @ right)


def inner(left: Coefficients, right: Coefficients) -> float:
    """Σ_G f(G)* g(G) of two real functions: their mean product."""
    return float(np.vdot(left, right).real)


def squares(values: Coefficients) -> FloatArray:
    """|z|², element by element."""
    return np.asarray(values.real**2 + values.imag**2 if np.iscomplexobj(values) else values**2)


def as_reals(values: Coefficients) -> FloatArray:
    """Complex numbers (…, n) as pairs of real ones (…, 2n), real ones as they are: Euclidean geometry is the same.

    A real matrix times complex vectors is a product of real matrices in this form.
    """
    return np.ascontiguousarray(values).view(np.float64)
