"""The time-reversal-invariant momenta, from whose solutions the first reduced basis is made, and their images.

Periodic parts u_k vary smoothly with k inside the first zone, and u_{k+g}(G) = u_k(G+g). Each solution is used at all
(nearly) shortest equivalents of its k point, so that the basis holds on the whole surface of the zone.
"""

from __future__ import annotations

import itertools

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.engines.planewave.kpoints import shortest_equivalents

_SHIFTS = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))
_NEARLY = 1.15  # an image within 15 % of the shortest length lies on, or just outside, the zone's surface


def image_shifts(point: FloatArray, reciprocal: FloatArray) -> IntArray:
    """Integer shifts g (n, 3) for which point + g lies in or near the first zone, the zero shift among them."""
    lengths = np.linalg.norm((point + _SHIFTS) @ reciprocal, axis=1)
    return np.asarray(_SHIFTS[lengths <= _NEARLY * lengths.min() + 1e-9])


def invariant_momenta(reciprocal: FloatArray) -> FloatArray:
    """The k points (8, 3) with components 0 or ½, in reciprocal coordinates, moved into the first zone."""
    return shortest_equivalents(np.array(list(itertools.product((0.0, 0.5), repeat=3))), reciprocal)
