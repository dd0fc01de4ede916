"""k points in the first Brillouin zone, and the few coarse points that the reduced basis is made from.

Periodic parts u_k vary smoothly with k inside the first zone; u_{k+g}(G) = u_k(G+g). So each k of the mesh is moved to
its shortest equivalent, and each coarse solution is entered at all (nearly) shortest equivalents of its k point.
"""

from __future__ import annotations

import itertools

import numpy as np

from cellfields._typing import FloatArray, IntArray

_SHIFTS = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))
_NEARLY = 1.15  # an image within 15 % of the shortest length lies on, or just outside, the zone's surface


def shortest_equivalents(points: FloatArray, reciprocal: FloatArray) -> FloatArray:
    """Move k points (K, 3), in reciprocal coordinates, into the first zone (ties broken the same way for all)."""
    candidates = points[:, None, :] + _SHIFTS[None, :, :]
    lengths = np.linalg.norm(candidates @ reciprocal, axis=2)
    best = (np.round(lengths, 9) + 1e-11 * np.arange(len(_SHIFTS))).argmin(axis=1)
    return np.asarray(candidates[np.arange(len(points)), best])


def image_shifts(point: FloatArray, reciprocal: FloatArray) -> IntArray:
    """Integer shifts g (n, 3) for which point + g lies in or near the first zone, the zero shift among them."""
    lengths = np.linalg.norm((point + _SHIFTS) @ reciprocal, axis=1)
    half_width = 0.25 * np.linalg.norm(reciprocal, axis=1).min()
    return np.asarray(_SHIFTS[lengths <= max(_NEARLY * lengths.min(), lengths.min() + 0.1 * half_width)])


def coarse_points(reciprocal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The 8 time-reversal-invariant momenta, and the 4 points (±¼, ±¼, ±¼) up to time reversal, each (n, 3)."""
    invariant = np.array(list(itertools.product((0.0, 0.5), repeat=3)))
    quarter = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]) / 4
    return shortest_equivalents(invariant, reciprocal), shortest_equivalents(quarter, reciprocal)
