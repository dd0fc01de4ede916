"""Proper orthogonal decomposition of coarse periodic parts:  {u_{n,k+g}(G)} → N_B orthonormal functions B_i(G).

    min over B of  Σ_{n,k,g} w_n ‖u_{n,k+g} − B Bᵀ u_{n,k+g}‖²   in the norm  ‖u‖² = Σ (1 + α G²/2) |u(G)|²

With an inversion centre u_{−k}(G) = u_k(−G), so the even and odd parts of u_k span both; the basis is split by parity,
which makes V_loc block diagonal and its real-space functions real on half the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from cellfields._typing import FloatArray, IntArray
from cellfields.planewave.reduced.zone import image_shifts

_SOBOLEV = 0.3  # α: errors of fast components cost kinetic energy
_DEPENDENT = 1e-6  # singular values below this (relative) are linear dependence, not information


@dataclass(frozen=True, eq=False)
class BlochBasis:
    """Orthonormal functions on a common set of plane waves.

    Attributes:
        m: (P, 3) integer vectors, closed under m → −m.
        even: (P, n_even) with B(−G) = B(G).
        odd: (P, n_odd) with B(−G) = −B(G).
    """

    m: IntArray
    even: FloatArray
    odd: FloatArray

    @property
    def size(self) -> int:
        """N_B."""
        return self.even.shape[1] + self.odd.shape[1]

    @property
    def functions(self) -> FloatArray:
        """(P, N_B), even functions first."""
        return np.concatenate([self.even, self.odd], axis=1)


class IndexTable:
    """Row numbers of integer vectors; −1 where a vector is not in the set."""

    def __init__(self, m: IntArray) -> None:
        self._m = m
        self._reach = int(np.abs(m).max()) + 3
        self._table = np.full((2 * self._reach + 1,) * 3, -1)
        self._table[tuple((m + self._reach).T)] = np.arange(len(m))

    def rows(self, m: IntArray) -> IntArray:
        """Row of each integer vector (n, 3)."""
        return np.asarray(self._table[tuple(np.clip(m + self._reach, 0, 2 * self._reach).T)])

    def shifted(self, vectors: FloatArray, shift: IntArray) -> FloatArray:
        """u(G + g) (P, n): zero where G + g leaves the set."""
        rows = self.rows(self._m + shift)
        return np.where(rows[:, None] >= 0, vectors[rows], 0.0)

    def mirrored(self) -> IntArray:
        """Row of −G for each G."""
        return self.rows(-self._m)


def snapshots(
    table: IndexTable,
    points: FloatArray,
    orbitals: list[FloatArray],
    weights: list[FloatArray],
    reciprocal: FloatArray,
) -> FloatArray:
    """All weighted images u_{k+g} (P, total) of the orbitals (P, n) at the k points (K, 3)."""
    columns = []
    for point, vectors, weight in zip(points, orbitals, weights, strict=True):
        weighted = vectors * np.sqrt(weight)
        columns += [table.shifted(weighted, shift) for shift in image_shifts(point, reciprocal)]
    return np.concatenate(columns, axis=1)


def proper_orthogonal(
    m: IntArray, g2: FloatArray, columns: FloatArray, size: int, fixed: BlochBasis | None = None
) -> BlochBasis:
    """The ``size`` leading functions of the columns (P, c), by parity; with ``fixed`` they are added to it.

    Args:
        m: (P, 3) plane waves.
        g2: (P,) |G|².
        columns: snapshots, weighted.
        size: number of functions to make.
        fixed: basis to extend; the columns are made orthogonal to it first.
    """
    mirror = IndexTable(m).mirrored()
    metric = np.sqrt(1 + 0.5 * _SOBOLEV * g2)[:, None]
    parts = []
    for sign, old in ((1, None if fixed is None else fixed.even), (-1, None if fixed is None else fixed.odd)):
        part = 0.5 * (columns + sign * columns[mirror])
        if old is not None:
            part = part - old @ (old.T @ part)
        values, rotation = scipy.linalg.eigh((metric * part).T @ (metric * part), check_finite=False)
        singular = np.sqrt(np.maximum(values[::-1], 0))
        parts.append((old, part, singular, rotation[:, ::-1]))
    ranked = np.sort(np.concatenate([p[2] for p in parts]))[::-1]
    threshold = max(ranked[min(size, len(ranked)) - 1], _DEPENDENT * ranked[0])
    made = []
    for old, part, singular, rotation in parts:
        count = int((singular >= threshold).sum())
        new = part @ (rotation[:, :count] / singular[:count])
        if old is not None:
            new -= old @ (old.T @ new)
        new = _orthonormal(new)
        made.append(new if old is None else np.concatenate([old, new], axis=1))
    return BlochBasis(m, made[0], made[1])


def _orthonormal(vectors: FloatArray) -> FloatArray:
    if vectors.shape[1] == 0:
        return vectors
    q, _ = scipy.linalg.qr(vectors, mode="economic", check_finite=False)
    return np.asarray(q)
