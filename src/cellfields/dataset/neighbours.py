"""Start a solve from the density of the nearest state that is solved already.

start(D) = density of the sealed state whose D' minimises Σ_i ((D_i − D'_i)/spread_i)²
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cellfields.crystal.deformation import Deformation
from cellfields.dataset.store import DatasetStore
from cellfields.errors import InputError
from cellfields.state.density_start import DensityStart

_LOOKED_AT = 30  # nearest candidates that are tried before a solve begins cold


class NeighbourStarter:
    """A ``starter`` of :func:`~cellfields.dataset.label`: finds the nearest state that is solved already.

    Results then depend on the order of the solves, by no more than the SCF tolerance: a density decides only how soon
    an SCF ends. Atom positions are not handed over.
    """

    def __init__(self, store: DatasetStore, candidates: Sequence[Deformation]) -> None:
        """``candidates`` are the strains whose states may serve: usually those of the campaign itself."""
        self._store = store
        self._candidates = list(candidates)
        self._places = np.array([d.as_array() for d in candidates]).reshape(-1, 6)
        spread = self._places.std(axis=0) if len(candidates) else np.ones(6)
        self._spread = np.where(spread > 0, spread, 1.0)

    def __call__(self, deformation: Deformation) -> DensityStart | None:
        """The nearest solved candidate's density, or None."""
        distance = np.linalg.norm((self._places - deformation.as_array()) / self._spread, axis=1)
        for index in np.argsort(distance, kind="stable")[:_LOOKED_AT]:
            try:
                return DensityStart.of(self._store.read(self._candidates[index]))
            except InputError:  # not solved yet, damaged, or without a density
                continue
        return None
