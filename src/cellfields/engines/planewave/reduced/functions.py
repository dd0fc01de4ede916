"""What a reduced basis is made of: real functions of r, or where there is an inversion centre even and odd ones.

Time reversal, u_{−k} = u_k*, makes the real and the imaginary part of u_k(r) span both:

                   real functions                           even and odd functions (inversion centre)
    B              B(r) real:  B(−G) = B(G)*                 B(r) even and real, or odd and imaginary:  B(G) real
    u_k = Σ c B    c complex                                 c real
    T, V           real and symmetric                        the same, and do not mix the two kinds
    p              i × a real antisymmetric matrix           real, joins one kind with the other
    on the grid    real                                      real (times i), on half of the points

Either way a function is P real numbers, and what is done with it alone is real arithmetic.
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
    """A piece of ⟨B|S F⟩, S a structure factor and F any real function of G, from one half of the G.

    Attributes:
        target: which of its components, real or imaginary.
        rows: of which functions.
        even: it multiplies F(G) + F(−G), otherwise F(G) − F(−G).
        table: (rows, half) numbers.
    """

    target: Literal["real", "imag"]
    rows: slice
    even: bool
    table: FloatArray


class Functions(Protocol):
    """How functions of one or two kinds are kept; each kind is an array (P, n) of real numbers."""

    @property
    def kinds(self) -> int:
        """How many."""

    @property
    def joined(self) -> tuple[tuple[int, int], ...]:
        """Pairs of kinds that p joins."""

    @property
    def momentum_unit(self) -> complex:
        """p = unit × real matrix."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the coefficients c."""

    def split(self, columns: Coefficients) -> Parts:
        """For each kind functions that span the columns (P, c) of plane-wave coefficients and their time reversed."""

    def coefficients(self, part: FloatArray) -> Coefficients:
        """Plane-wave coefficients B(G) (P, n)."""

    def numbers(self, coefficients: Coefficients) -> FloatArray:
        """Inverse of :meth:`coefficients`."""

    def on_grid(self, kind: int, part: FloatArray) -> Coefficients:
        """Plane-wave coefficients (P, n) of functions that are real on the grid."""

    def points(self, basis: PlaneWaveBasis) -> tuple[IntArray, IntArray]:
        """Grid points that say everything, and those where B has the same square."""

    def lift(self, parts: Parts, coefficients: Coefficients) -> Coefficients:
        """Σ c B (P, n) for coefficients (N_B, n)."""

    def momentum(self, parts: Parts, g: FloatArray) -> FloatArray:
        """⟨B|p|B⟩ / unit (3, N_B, N_B), with g (P, 3) Cartesian."""

    def half_products(self, parts: Parts, phase: Coefficients) -> list[HalfProduct]:
        """⟨B|S …⟩ without G = 0, for a structure factor S (P,) = ``phase``."""


class EvenAndOdd:
    """B(G) themselves: first the even functions, then the odd ones."""

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
        """One of each pair ±r."""
        half = np.flatnonzero(np.arange(basis.grid_size) <= basis.inversion_index)
        return half, basis.inversion_index[half]

    def lift(self, parts: Parts, coefficients: Coefficients) -> Coefficients:
        """By parity on half the plane waves."""
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
        """An even product of function and structure factor sees the even part of F, an odd one the odd part."""
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
    """B(0), then √2 Re B(G) and √2 Im B(G) of the first half of the G: amplitudes of cosines and sines."""

    kinds = 1
    joined = ((0, 0),)
    momentum_unit = 1j
    dtype = np.dtype(np.complex128)

    def split(self, columns: Coefficients) -> Parts:
        """The real and the imaginary part of each function of r."""
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
        """All."""
        every = np.arange(basis.grid_size)
        return every, every

    def lift(self, parts: Parts, coefficients: Coefficients) -> Coefficients:
        """Implement :meth:`Functions.lift`."""
        return _from_waves((parts[0] @ as_reals(coefficients)).view(complex))

    def momentum(self, parts: Parts, g: FloatArray) -> FloatArray:
        """⟨B|p|B'⟩ = i Σ_G G (a s' − s a') over the first half, a and s the amplitudes of cosines and sines."""
        half = upper_half(len(g))
        cosines, sines = parts[0][half], parts[0][half.stop :]
        products = np.stack([cosines.T @ (sines * g[half, axis, None]) for axis in range(3)])
        return np.asarray(products - products.transpose(0, 2, 1))

    def half_products(self, parts: Parts, phase: Coefficients) -> list[HalfProduct]:
        """B(−G)* S(−G) is the conjugate of B(G)* S(G): the real part sees the even part of F, i Im the odd one."""
        half = upper_half(len(phase))
        product = _from_waves(parts[0])[half].conj() * phase[half, None]
        every = slice(0, product.shape[1])
        return [
            HalfProduct("real", every, True, np.ascontiguousarray(product.real.T)),
            HalfProduct("imag", every, False, np.ascontiguousarray(product.imag.T)),
        ]


def functions_for(geometry: Geometry) -> Functions:
    """The kind of functions that a cell allows."""
    return RealFunctions() if geometry.partners is None else EvenAndOdd()


def _from_waves(amplitudes: Coefficients) -> Coefficients:
    """f(G) (P, n) from amplitudes of 1, √2 cos G·r and −√2 sin G·r; of complex ones the sum of both functions."""
    half = upper_half(len(amplitudes))
    cosines, sines = amplitudes[half] / _ROOT, 1j / _ROOT * amplitudes[half.stop :]
    result = np.empty(amplitudes.shape, dtype=complex)
    result[0] = amplitudes[0]
    np.add(cosines, sines, out=result[half])
    np.subtract(cosines, sines, out=result[half.stop :])
    return result


def mirror_rows(count: int) -> IntArray:
    """Row of −m for each row of a mirror-ordered set of P vectors."""
    half = (count - 1) // 2
    return np.concatenate([[0], np.arange(half + 1, count), np.arange(1, half + 1)])


def upper_half(count: int) -> slice:
    """Rows of one of each pair ±m, without 0; their negatives follow."""
    return slice(1, (count + 1) // 2)
