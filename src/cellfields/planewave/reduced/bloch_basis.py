"""Proper orthogonal decomposition of periodic parts:  many u(G) → N_B orthonormal functions B_i(G).

    min over B of  Σ_c ‖u_c − B Bᵀ u_c‖²   in the energy norm  ‖u‖² = Σ_G (½G² + V̄ − E_F) |u(G)|²

In that norm a discarded direction costs its σ² in Hartree, so the number of functions follows from an energy.
With an inversion centre u_{−k}(G) = u_k(−G), so the even and odd parts of u_k span both; the basis is split by parity,
which makes V_loc block diagonal and its real-space functions real on half the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from cellfields._typing import FloatArray, IntArray

_DEPENDENT = 1e-7  # singular values below this (relative) are linear dependence, not information


@dataclass(frozen=True, eq=False)
class BlochBasis:
    """Orthonormal functions on a common set of plane waves.

    Attributes:
        m: (P, 3) integer vectors: 0, then a half of the others, then their negatives in the same order.
        even: (P, n_even) with B(−G) = B(G).
        odd: (P, n_odd) with B(−G) = −B(G).
    """

    m: IntArray
    even: FloatArray
    odd: FloatArray

    @classmethod
    def empty(cls, m: IntArray) -> BlochBasis:
        """No functions yet."""
        return cls(m, np.empty((len(m), 0)), np.empty((len(m), 0)))

    @property
    def size(self) -> int:
        """N_B."""
        return int(self.even.shape[1] + self.odd.shape[1])

    @property
    def functions(self) -> FloatArray:
        """(P, N_B), even functions first."""
        return np.concatenate([self.even, self.odd], axis=1)

    def lift(self, coefficients: FloatArray) -> FloatArray:
        """Plane-wave coefficients (P, n) of combinations (N_B, n), by parity on half the plane waves."""
        return from_parity_parts(self.even, self.odd, coefficients)

    def extended(self, columns: FloatArray, norm: FloatArray, *, discard: float) -> BlochBasis:
        """Add the leading functions of columns (P, c).

        Args:
            columns: snapshots, scaled by the square root of their weight.
            norm: (P,) the energy norm's diagonal, Hartree.
            discard: energy (Hartree) that may be left out in total.
        """
        mirror = mirror_rows(len(self.m))
        root = np.sqrt(norm)[:, None]
        parts = []
        for sign, old in ((1, self.even), (-1, self.odd)):
            part = 0.5 * (columns + sign * columns[mirror])
            part = part - old @ (old.T @ part)
            values, rotation = scipy.linalg.eigh((root * part).T @ (root * part), check_finite=False)
            parts.append((old, part, np.maximum(values[::-1], 0), rotation[:, ::-1]))
        ranked = np.sort(np.concatenate([energies for _, _, energies, _ in parts]))
        keep = int((np.cumsum(ranked) > discard).sum())
        smallest = max(ranked[len(ranked) - keep] if keep else np.inf, _DEPENDENT**2 * ranked[-1])
        made = []
        for old, part, energies, rotation in parts:
            count = int((energies >= smallest).sum())
            new = part @ (rotation[:, :count] / np.sqrt(energies[:count]))
            new = _orthonormal(new - old @ (old.T @ new))
            made.append(np.concatenate([old, new], axis=1))
        return BlochBasis(self.m, made[0], made[1])

    def compressed(self, density_matrix: FloatArray, discard: float, least: int) -> BlochBasis:
        """Keep the combinations that the occupied states use: eigenvectors of P (N_B, N_B), by parity.

        The eigenvalues left out add up to less than ``discard`` electrons; at least ``least`` functions stay.
        """
        n = self.even.shape[1]
        pairs = [scipy.linalg.eigh(block) for block in (density_matrix[:n, :n], density_matrix[n:, n:])]
        ranked = np.sort(np.abs(np.concatenate([values for values, _ in pairs])))
        smallest = ranked[max(0, min(int((np.cumsum(ranked) <= discard).sum()), len(ranked) - least))]
        even, odd = (
            functions @ vectors[:, np.abs(values) >= smallest]
            for functions, (values, vectors) in zip((self.even, self.odd), pairs, strict=True)
        )
        return BlochBasis(self.m, even, odd)

    def carried_to(self, m: IntArray) -> BlochBasis:
        """The same functions on another set of plane waves (a strained neighbour's), made orthonormal again."""
        if m is self.m:
            return self
        rows = IndexTable(self.m).rows(m)
        even, odd = (
            _orthonormal(np.where(rows[:, None] >= 0, functions[rows], 0.0)) for functions in (self.even, self.odd)
        )
        return BlochBasis(m, even, odd)


def from_parity_parts(even: FloatArray, odd: FloatArray, coefficients: FloatArray) -> FloatArray:
    """[even | odd] @ coefficients for columns (P, ·) of pure parity, at half the cost."""
    count, n = even.shape
    half = slice(0, (count + 1) // 2)
    symmetric = even[half] @ coefficients[:n]
    antisymmetric = odd[half] @ coefficients[n:]
    result = np.empty((count, coefficients.shape[1]))
    np.add(symmetric, antisymmetric, out=result[half])
    np.subtract(symmetric[1:], antisymmetric[1:], out=result[half.stop :])
    return result


def mirror_rows(count: int) -> IntArray:
    """Row of −m for each row of a mirror-ordered set of P vectors."""
    half = (count - 1) // 2
    return np.concatenate([[0], np.arange(half + 1, count), np.arange(1, half + 1)])


def upper_half(count: int) -> slice:
    """Rows of one of each pair ±m, without 0."""
    return slice(1, (count + 1) // 2)


class IndexTable:
    """Row numbers of integer vectors; −1 where a vector is not in the set."""

    def __init__(self, m: IntArray) -> None:
        self._m = m
        self._reach = int(np.abs(m).max()) + 3
        self._table = np.full((2 * self._reach + 1,) * 3, -1)
        self._table[tuple((m + self._reach).T)] = np.arange(len(m))

    def rows(self, m: IntArray) -> IntArray:
        """Row of each integer vector (n, 3)."""
        inside = (np.abs(m) <= self._reach).all(axis=1)
        rows = self._table[tuple(np.clip(m + self._reach, 0, 2 * self._reach).T)]
        return np.asarray(np.where(inside, rows, -1))

    def shifted(self, vectors: FloatArray, shift: IntArray) -> FloatArray:
        """u(G + g) (P, n): zero where G + g leaves the set."""
        rows = self.rows(self._m + shift)
        return np.where(rows[:, None] >= 0, vectors[rows], 0.0)


def _orthonormal(vectors: FloatArray) -> FloatArray:
    if vectors.shape[1] == 0:
        return vectors
    q, _ = scipy.linalg.qr(vectors, mode="economic", check_finite=False)
    return np.asarray(q)
