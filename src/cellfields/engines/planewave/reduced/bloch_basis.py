"""Proper orthogonal decomposition of periodic parts:  many u(G) → N_B orthonormal functions B_i(G).

    min over B of  Σ_c ‖u_c − B B† u_c‖²   in the energy norm  ‖u‖² = Σ_G (½G² + V̄ − E_F) |u(G)|²

In that norm a discarded direction costs its σ² in Hartree, so the number of functions follows from an energy. Kinds of
functions are described in functions.py. The decomposition is made for each kind, and its directions ranked together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.reduced.functions import Functions, Parts

_DEPENDENT = 1e-7  # singular values below this (relative) are linear dependence, not information


@dataclass(frozen=True, eq=False)
class BlochBasis:
    """Orthonormal basis functions on a common set of plane waves.

    Attributes:
        m: (P, 3) integer vectors: 0, then one of each pair ±m, then the others in that order.
        functions: the representation of functions as real numbers.
        parts: for each kind of functions (P, n) real numbers.
    """

    m: IntArray
    functions: Functions
    parts: Parts

    @classmethod
    def empty(cls, m: IntArray, functions: Functions) -> BlochBasis:
        """A basis without functions, to be extended."""
        return cls(m, functions, (np.empty((len(m), 0)),) * functions.kinds)

    @property
    def size(self) -> int:
        """Number N_B of functions."""
        return sum(part.shape[1] for part in self.parts)

    @property
    def ranges(self) -> tuple[slice, ...]:
        """For each kind, the range of its functions among all N_B."""
        ends = np.cumsum([part.shape[1] for part in self.parts]).tolist()
        return tuple(slice(end - part.shape[1], end) for end, part in zip(ends, self.parts, strict=True))

    @property
    def numbers(self) -> FloatArray:
        """Real numbers (P, N_B) of all functions, kind by kind; each row belongs to one G²."""
        return np.concatenate(self.parts, axis=1)

    def lift(self, coefficients: Coefficients) -> Coefficients:
        """Plane-wave coefficients (P, n) of combinations (N_B, n)."""
        return self.functions.lift(self.parts, coefficients)

    def multiplied(self, basis: PlaneWaveBasis, potential: FloatArray, known: Parts | None = None) -> Parts:
        """Products V B of a potential and the functions, kind by kind.

        Args:
            basis: plane waves.
            potential: V on the grid (n1·n2·n3,), Hartree.
            known: products of the first functions, which need not be computed again.
        """
        index, grid = basis.flat_index(self.m), potential.reshape(basis.shape)
        products = []
        for kind, part in enumerate(self.parts):
            before = part[:, :0] if known is None else known[kind]
            new = self.functions.coefficients(part[:, before.shape[1] :])
            moved = self.functions.numbers(basis.multiply(grid, index, new))
            products.append(moved if known is None else np.concatenate([before, moved], axis=1))
        return tuple(products)

    def extended(self, columns: Coefficients, norm: FloatArray, *, discard: float) -> BlochBasis:
        """A basis with further functions, the leading ones of a decomposition of snapshots.

        Args:
            columns: snapshots (P, c), scaled by the square root of their weight.
            norm: (P,) the energy norm's diagonal, Hartree.
            discard: energy (Hartree) that may be left out in total.
        """
        root = np.sqrt(norm)[:, None]
        spectra = []
        for old, whole in zip(self.parts, self.functions.split(columns), strict=True):
            part = whole - old @ (old.T @ whole)
            values, rotation = scipy.linalg.eigh((root * part).T @ (root * part), check_finite=False)
            spectra.append((old, part, np.maximum(values[::-1], 0), rotation[:, ::-1]))
        ranked = np.sort(np.concatenate([energies for _, _, energies, _ in spectra]))
        keep = int((np.cumsum(ranked) > discard).sum())
        smallest = max(ranked[len(ranked) - keep] if keep else np.inf, _DEPENDENT**2 * ranked[-1])
        parts = []
        for old, part, energies, rotation in spectra:
            count = int((energies >= smallest).sum())
            new = part @ (rotation[:, :count] / np.sqrt(energies[:count]))
            new = _orthonormal(new - old @ (old.T @ new))
            parts.append(np.concatenate([old, new], axis=1))
        return BlochBasis(self.m, self.functions, tuple(parts))

    def compressed(self, density_matrix: FloatArray, discard: float, least: int) -> BlochBasis:
        """A smaller basis of the combinations that the occupied states use, eigenvectors of P, kind by kind.

        Args:
            density_matrix: P (N_B, N_B).
            discard: electrons that the eigenvalues left out may add up to.
            least: number of functions that stay at least.
        """
        pairs = [scipy.linalg.eigh(density_matrix[block, block]) for block in self.ranges]
        ranked = np.sort(np.abs(np.concatenate([values for values, _ in pairs])))
        smallest = ranked[max(0, min(int((np.cumsum(ranked) <= discard).sum()), len(ranked) - least))]
        parts = tuple(
            part @ vectors[:, np.abs(values) >= smallest]
            for part, (values, vectors) in zip(self.parts, pairs, strict=True)
        )
        return BlochBasis(self.m, self.functions, parts)

    def carried_to(self, m: IntArray) -> BlochBasis:
        """The functions on another set of plane waves m (P', 3), such as a strained cell's, made orthonormal again."""
        if m is self.m:
            return self
        rows = IndexTable(self.m).rows(m)
        parts = tuple(_orthonormal(np.where(rows[:, None] >= 0, part[rows], 0.0)) for part in self.parts)
        return BlochBasis(m, self.functions, parts)


class IndexTable:
    """A table of the rows of integer vectors in a set."""

    def __init__(self, m: IntArray) -> None:
        self._m = m
        self._reach = int(np.abs(m).max()) + 3
        self._table = np.full((2 * self._reach + 1,) * 3, -1)
        self._table[tuple((m + self._reach).T)] = np.arange(len(m))

    def rows(self, m: IntArray) -> IntArray:
        """Row (n,) of each integer vector (n, 3), −1 where it is not in the set."""
        inside = (np.abs(m) <= self._reach).all(axis=1)
        rows = self._table[tuple(np.clip(m + self._reach, 0, 2 * self._reach).T)]
        return np.asarray(np.where(inside, rows, -1))

    def shifted(self, vectors: Coefficients, shift: IntArray) -> Coefficients:
        """Shifted coefficients u(G + g) (P, n) of vectors u (P, n), zero where G + g is not in the set."""
        rows = self.rows(self._m + shift)
        return np.where(rows[:, None] >= 0, vectors[rows], 0.0)


def _orthonormal(vectors: FloatArray) -> FloatArray:
    if vectors.shape[1] == 0:
        return vectors
    q, _ = scipy.linalg.qr(vectors, mode="economic", check_finite=False)
    return np.asarray(q)
