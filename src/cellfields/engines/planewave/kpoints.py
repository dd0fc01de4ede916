"""k meshes that are given on the crystal's cell, folded to the primitive cell with the same k points.

    k = Σ (i_j / n_j) b_j,  0 ≤ i_j < n_j ,      unfolded:  k + G_crystal  modulo  G_primitive ,      weights w, Σ w = 1

The mesh is the set of k with k·(n_j a_j) ∈ 2πℤ, so a crystal cell of T primitive cells gives T n₁n₂n₃ points in the
primitive zone. Time reversal keeps one of each pair ±k.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError

_NEIGHBOURS = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))


@dataclass(frozen=True, eq=False)
class KMesh:
    """k points of the primitive cell.

    Attributes:
        points: (K, 3) in the primitive reciprocal basis, each component in (−½, ½].
        weights: (K,), summing to 1.
        size: number of points before time reversal.
    """

    points: FloatArray
    weights: FloatArray
    size: int

    @classmethod
    def folded(
        cls, mesh: tuple[int, int, int], primitive: FloatArray, *, time_reversal: bool = True, shifted: bool = False
    ) -> KMesh:
        """Fold a Γ-centred mesh on the crystal's cell to the primitive cell.

        Args:
            mesh: (n1, n2, n3) on the crystal's cell.
            primitive: (3, 3) rows, primitive vectors as combinations of the crystal's (``Crystal.primitive``).
            time_reversal: keep one of each pair ±k, with twice the weight.
            shifted: move the mesh by half a step in each direction, away from Γ and the zone's special points.

        Raises:
            InputError: a mesh number below 1.
        """
        if len(mesh) != 3 or min(mesh) < 1:
            raise InputError(f"kmesh = {tuple(mesh)} must be three numbers of 1 or more")
        multiplicity = round(1 / np.linalg.det(primitive))
        # Everything on a common integer grid, so that no k point is lost or doubled by rounding.
        denominator = 2 * int(np.lcm.reduce([*mesh, multiplicity])) * multiplicity
        axes = [(2 * np.arange(n) + int(shifted)) * (denominator // (2 * n)) for n in mesh]
        folded = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        # Unfold along each reciprocal axis of the crystal, up to a reciprocal vector of the primitive cell.
        columns = np.rint(primitive * multiplicity).astype(np.int64).T
        orders = [multiplicity // int(np.gcd.reduce([multiplicity, *column])) for column in columns]
        shifts = np.array(list(itertools.product(*map(range, orders)))) * denominator
        unfolded = (folded[:, None, :] + shifts[None, :, :]).reshape(-1, 3)
        scaled = np.rint(unfolded @ (primitive * multiplicity).T).astype(np.int64)
        period = denominator * multiplicity
        points = np.unique(scaled % period, axis=0)
        points = np.where(2 * points > period, points - period, points)
        size = len(points)
        if not time_reversal:
            return cls(points / period, np.full(size, 1 / size), size)
        mirrored = np.where(2 * points == period, points, -points)  # −½ is the same point as ½
        point_key, mirror_key = _keys(points, period), _keys(mirrored, period)
        keep = point_key >= mirror_key
        weights = np.where(point_key == mirror_key, 1.0, 2.0)[keep] / size
        return cls(points[keep] / period, weights, size)


def shortest_equivalents(points: FloatArray, reciprocal: FloatArray) -> FloatArray:
    """Move k points (K, 3), in reciprocal coordinates, into the first zone (ties broken the same way for all)."""
    candidates = points[:, None, :] + _NEIGHBOURS[None, :, :]
    lengths = np.linalg.norm(candidates @ reciprocal, axis=2)
    best = (np.round(lengths, 9) + 1e-11 * np.arange(len(_NEIGHBOURS))).argmin(axis=1)
    return np.asarray(candidates[np.arange(len(points)), best])


def nearly_shortest_equivalents(points: FloatArray, reciprocal: FloatArray) -> FloatArray:
    """All equivalents of k points (K, 3) within 2 % of the shortest: on the zone's surface there are several.

    Rounding, or the last bit of a strain, decides which of them is the shortest; a set made from all of them does not
    depend on it.
    """
    candidates = points[:, None, :] + _NEIGHBOURS[None, :, :]
    lengths = np.linalg.norm(candidates @ reciprocal, axis=2)
    near = lengths <= 1.02 * lengths.min(axis=1, keepdims=True) + 1e-9
    return np.asarray(candidates[near])


def _keys(points: FloatArray, period: int) -> FloatArray:
    offset = points + period
    return (offset[:, 0] * 2 * period + offset[:, 1]) * 2 * period + offset[:, 2]
