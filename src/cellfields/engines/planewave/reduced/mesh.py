"""k points of a mesh, with the projectors' form factors at every k + G.

They do not depend on the atoms' positions, so that a relaxation computes them once. They are kept while they are small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.terms.nonlocal_ import form_factors

_CHUNK = 48  # k points whose plane-wave quantities are held in memory at once
_REMEMBERED = 400_000_000  # bytes of form factors that are kept


@dataclass(frozen=True, eq=False)
class MeshChunk:
    """Some k points of a mesh.

    Attributes:
        rows: (c,) their rows in the mesh.
        q: (P, c, 3) k + G, 1/Bohr.
        forms: symbol → (P, c, B) form factors without structure phases.
    """

    rows: IntArray
    q: FloatArray
    forms: dict[str, FloatArray]


class ReducedMesh:
    """k points on a common set of plane waves.

    Attributes:
        points: (K, 3) in reciprocal coordinates, in the first zone.
        weights: (K,), summing to 1.
        k: (K, 3) Cartesian, 1/Bohr.
    """

    def __init__(self, geometry: Geometry, m: IntArray, points: FloatArray, weights: FloatArray) -> None:
        """A mesh of k points.

        Args:
            geometry: of which lattice and pseudopotentials are used.
            m: (P, 3) plane waves.
            points: (K, 3) in reciprocal coordinates, in the first zone.
            weights: (K,), summing to 1.
        """
        self.points, self.weights = points, weights
        self.k: FloatArray = points @ geometry.reciprocal
        self._geometry = geometry
        self._g: FloatArray = m @ geometry.reciprocal
        projectors = sum(
            (2 * c.l + 1) * len(c.coupling) for p in geometry.pseudopotentials.values() for c in p.channels
        )
        self._remember = 8 * len(m) * len(points) * (projectors + 3) <= _REMEMBERED
        self._kept: list[MeshChunk] = []

    def chunks(self) -> Iterator[MeshChunk]:
        """All k points of the mesh, in chunks of a few."""
        if self._kept:
            yield from self._kept
            return
        kept = []
        for start in range(0, len(self.points), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(self.points)))
            q = self._g[:, None, :] + self.k[rows]
            flat = q.reshape(-1, 3)
            forms = {
                symbol: form_factors(self._geometry, symbol, flat).values.reshape(*q.shape[:2], -1)
                for symbol in dict.fromkeys(self._geometry.species)
            }
            chunk = MeshChunk(rows, q, forms)
            if self._remember:
                kept.append(chunk)
            yield chunk
        self._kept = kept
