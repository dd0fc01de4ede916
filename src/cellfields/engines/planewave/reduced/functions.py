"""Functions of a reduced basis: real functions of r, or even and odd ones where there is an inversion centre.

Time reversal, u_{−k} = u_k*, makes the real and the imaginary part of u_k(r) span both:

                   real functions                           even and odd functions (inversion centre)
    B              B(r) real:  B(−G) = B(G)*                 B(r) even and real, or odd and imaginary:  B(G) real
    u_k = Σ c B    c complex                                 c real
    T, V           real and symmetric                        real and symmetric, do not mix the two kinds
    p              i × a real antisymmetric matrix           real, joins one kind with the other
    on the grid    real                                      real (times i), on half of the points

Either way a function is P real numbers, and operations on the functions alone are real arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.engines.planewave.arithmetic import as_reals
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry

Parts = tuple[FloatArray, ...]
_ROOT = np.sqrt(2.0)


@dataclass(frozen=True, eq=False)
class HalfProduct:
    """A part of the products ⟨B|S F⟩ of a structure factor S and any real function F, as sums over half of the G.

    Attributes:
        target: the component of the products, real or imaginary.
        rows: the functions B whose products these are.
        even: whether the table multiplies F(G) + F(−G), or else F(G) − F(−G).
        table: (r, h) numbers, for r functions and h vectors G.
    """

    target: Literal["real", "imag"]
    rows: slice
    even: bool
    table: FloatArray


class Functions(Protocol):
    """A representation of functions of one or two kinds, each kind as an array (P, n) of real numbers."""

    @property
    def kinds(self) -> int:
        """Number of kinds."""

    @property
    def joined(self) -> tuple[tuple[int, int], ...]:
        """Pairs of kinds between which the momentum p has matrix elements."""

    @property
    def momentum_unit(self) -> complex:
        """Factor, 1 or i, of the real matrix in the momentum p."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the coefficients c, float64 or complex128."""

    def split(self, columns: Coefficients) -> Parts:
        """For each kind, functions that span columns (P, c) of plane-wave coefficients and their time-reversed ones."""

    def coefficients(self, part: FloatArray) -> Coefficients:
        """Plane-wave coefficients B(G) (P, n) of functions of one kind, given as real numbers (P, n)."""

    def numbers(self, coefficients: Coefficients) -> FloatArray:
        """Real numbers (P, n) of functions of one kind, from their plane-wave coefficients (P, n)."""

    def on_grid(self, kind: int, part: FloatArray) -> Coefficients:
        """Plane-wave coefficients (P, n) of functions of a kind, times a factor that makes them real on the grid."""

    def points(self, basis: PlaneWaveBasis) -> tuple[IntArray, IntArray]:
        """Flat indices (H,) of grid points that determine products of functions, and of their equivalents (H,)."""

    def lift(self, parts: Parts, coefficients: Coefficients) -> Coefficients:
        """Plane-wave coefficients (P, n) of combinations Σ c B with coefficients c (N_B, n)."""

    def momentum(self, parts: Parts, g: FloatArray) -> FloatArray:
        """Momentum ⟨B|p|B⟩ / unit (3, N_B, N_B), with Cartesian g (P, 3), 1/Bohr."""

    def half_products(self, parts: Parts, phase: Coefficients) -> list[HalfProduct]:
        """Tables for the products ⟨B|S F⟩, without G = 0, of a structure factor S (P,), the ``phase``."""


class EvenAndOdd:
    """Even and odd functions, in this order, represented by their real coefficients B(G)."""

    kinds = 2
    joined = ((0, 1), (1, 0))
    momentum_unit = 1.0
    dtype = np.dtype(np.float64)

    def split(self, columns: Coefficients) -> Parts:
        """Implement :meth:`Functions.split`."""
        mirrored = columns[mirror_rows(len(columns))]
        return 0.5 * (columns + mirrored), 0.5 * (columns - mirrored)

    def coefficients(self, part: FloatArray) -> Coefficients:
        """Implement :meth:`Functions.coefficients`."""
        return part

    def numbers(self, coefficients: Coefficients) -> FloatArray:
        """Implement :meth:`Functions.numbers`."""
        return coefficients

    def on_grid(self, kind: int, part: FloatArray) -> Coefficients:
        """Implement :meth:`Functions.on_grid`."""
        return np.asarray(-1j * part) if kind else part

    def points(self, basis: PlaneWaveBasis) -> tuple[IntArray, IntArray]:
        """One of each pair of grid points ±r (H,), and the other one (H,)."""
        half = np.flatnonzero(np.arange(basis.grid_size) <= basis.inversion_index)
        return half, basis.inversion_index[half]

    def lift(self, parts: Parts, coefficients: Coefficients) -> Coefficients:
        """Plane-wave coefficients (P, n) of combinations, computed by parity from half of the plane waves."""
        even, odd = parts
        count, n = even.shape
        half = slice(0, (count + 1) // 2)
        symmetric = even[half] @ coefficients[:n]
        antisymmetric = odd[half] @ coefficients[n:]
        result = np.empty((count, coefficients.shape[1]))
        np.add(symmetric, antisymmetric, out=result[half])
        np.subtract(symmetric[1:], antisymmetric[1:], out=result[half.stop :])
        return result

    def momentum(self, parts: Parts, g: FloatArray) -> FloatArray:
        """Implement :meth:`Functions.momentum`."""
        every = np.concatenate(parts, axis=1)
        return np.stack([every.T @ (every * g[:, axis, None]) for axis in range(3)])

    def half_products(self, parts: Parts, phase: Coefficients) -> list[HalfProduct]:
        """Tables of ⟨B|S F⟩: an even product B S multiplies the even part of F, an odd product the odd part."""
        half = upper_half(len(phase))
        even_phase = bool(phase[0] != 0)  # cos 0 or sin 0
        sizes = np.cumsum([0] + [part.shape[1] for part in parts])
        return [
            HalfProduct(
                "real",
                slice(sizes[kind], sizes[kind + 1]),
                even_phase == (kind == 0),
                np.ascontiguousarray((part[half] * phase[half, None]).T),
            )
            for kind, part in enumerate(parts)
        ]


class RealFunctions:
    """Real functions, represented by amplitudes: B(0), then √2 Re B(G) and √2 Im B(G) of the first half of the G."""

    kinds = 1
    joined = ((0, 0),)
    momentum_unit = 1j
    dtype = np.dtype(np.complex128)

    def split(self, columns: Coefficients) -> Parts:
        """Real and imaginary parts, as functions of r, of columns (P, c) of plane-wave coefficients."""
        half = upper_half(len(columns))
        upper, lower = columns[half], columns[half.stop :].conj()
        both = np.concatenate([upper + lower, -1j * (upper - lower)], axis=1) / _ROOT
        zero = np.concatenate([columns[:1].real, columns[:1].imag], axis=1)
        return (np.concatenate([zero, both.real, both.imag]),)

    def coefficients(self, part: FloatArray) -> Coefficients:
        """Implement :meth:`Functions.coefficients`."""
        return _from_waves(part)

    def numbers(self, coefficients: Coefficients) -> FloatArray:
        """Implement :meth:`Functions.numbers`."""
        upper = _ROOT * coefficients[upper_half(len(coefficients))]
        return np.concatenate([coefficients[:1].real, upper.real, upper.imag])

    def on_grid(self, kind: int, part: FloatArray) -> Coefficients:
        """Implement :meth:`Functions.on_grid`."""
        return _from_waves(part)

    def points(self, basis: PlaneWaveBasis) -> tuple[IntArray, IntArray]:
        """All grid points, each its own equivalent."""
        every = np.arange(basis.grid_size)
        return every, every

    def lift(self, parts: Parts, coefficients: Coefficients) -> Coefficients:
        """Implement :meth:`Functions.lift`."""
        return _from_waves((parts[0] @ as_reals(coefficients)).view(complex))

    def momentum(self, parts: Parts, g: FloatArray) -> FloatArray:
        """Momentum ⟨B|p|B'⟩ / i = Σ_G G (a s' − s a') over half of the G; a, s: amplitudes of cosines and sines."""
        half = upper_half(len(g))
        cosines, sines = parts[0][half], parts[0][half.stop :]
        products = np.stack([cosines.T @ (sines * g[half, axis, None]) for axis in range(3)])
        return np.asarray(products - products.transpose(0, 2, 1))

    def half_products(self, parts: Parts, phase: Coefficients) -> list[HalfProduct]:
        """Tables of ⟨B|S F⟩: as B(−G)* S(−G) = [B(G)* S(G)]*, Re multiplies the even part of F, i Im the odd part."""
        half = upper_half(len(phase))
        product = _from_waves(parts[0])[half].conj() * phase[half, None]
        every = slice(0, product.shape[1])
        return [
            HalfProduct("real", every, True, np.ascontiguousarray(product.real.T)),
            HalfProduct("imag", every, False, np.ascontiguousarray(product.imag.T)),
        ]


def functions_for(geometry: Geometry) -> Functions:
    """The representation for a cell: even and odd functions with an inversion centre, real functions without."""
    return RealFunctions() if geometry.partners is None else EvenAndOdd()


def _from_waves(amplitudes: Coefficients) -> Coefficients:
    """Coefficients f(G) (P, n) of functions with amplitudes (P, n) of 1, √2 cos G·r and −√2 sin G·r."""
    half = upper_half(len(amplitudes))
    cosines, sines = amplitudes[half] / _ROOT, 1j / _ROOT * amplitudes[half.stop :]
    result = np.empty(amplitudes.shape, dtype=complex)
    result[0] = amplitudes[0]
    np.add(cosines, sines, out=result[half])
    np.subtract(cosines, sines, out=result[half.stop :])
    return result


def mirror_rows(count: int) -> IntArray:
    """Row (P,) of −m for each row m of P vectors that are ordered as 0, one of each pair ±m, the others."""
    half = (count - 1) // 2
    return np.concatenate([[0], np.arange(half + 1, count), np.arange(1, half + 1)])


def upper_half(count: int) -> slice:
    """Rows of one of each pair ±m, without 0, of P vectors that are ordered as 0, these, the others."""
    return slice(1, (count + 1) // 2)
