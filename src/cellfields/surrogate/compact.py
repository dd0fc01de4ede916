"""A surrogate in fewer bytes: modes without the plane waves that hardly matter, and single precision to store.

    modes of a field:  columns |m| ≤ cut  where  ‖f beyond the cut‖ ≤ tolerance ‖f‖  for every state passed

The entries m = 0 are not changed, so that exact integrals stay exact. Modes are rounded to single precision and stay
double in memory (arithmetic does not change); energies' and atoms' maps, which are differentiated, are not touched. The
Fourier series of a bare potential falls off slowly: φ keeps all plane waves. Shorter series are quicker to sum, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.surrogate.reduction import Reduction
from cellfields.surrogate.state_encoding import field_vectors
from cellfields.surrogate.surrogate import Surrogate


def compacted(surrogate: Surrogate, states: Sequence[CellState], tolerance: float = 5e-6) -> Surrogate:
    """A smaller model: each field keeps only the modes that it needs to stay within ``tolerance`` of the original.

    Args:
        surrogate: trained on any recipe.
        states: states whose fields are typical of it, such as training states.
        tolerance: largest relative L² error that the cut may make in a field of these states.

    Raises:
        InputError: the tolerance is not positive.
    """
    if not tolerance > 0:
        raise InputError(f"tolerance = {tolerance} must be positive")
    encoding = surrogate.encoding
    reductions = {
        name: _cut(reduction, field_vectors(states, name), tolerance if encoding.basis and encoding.basis.real else 0.0)
        for name, reduction in encoding.reductions.items()
    }
    regressors = {
        name: replace(regressor, trend=_single(regressor.trend)) if name in reductions else regressor
        for name, regressor in surrogate.regressors.items()
    }
    uncertainties = surrogate.uncertainties
    if uncertainties is not None:
        uncertainties = replace(uncertainties, root=_single(uncertainties.root))
    return replace(
        surrogate,
        encoding=replace(encoding, reductions=reductions),
        regressors=regressors,
        uncertainties=uncertainties,
    )


def _cut(reduction: Reduction, vectors: FloatArray, tolerance: float) -> Reduction:
    """The reduction with its trailing columns, which have the largest |G|, set to 0; a tolerance of 0 keeps all."""
    lifted = reduction.lift(reduction.project(vectors))
    beyond = np.sqrt(np.cumsum((lifted**2)[:, ::-1], axis=1)[:, ::-1])  # column j: norm of the entries from j on
    matters = (beyond > tolerance * np.linalg.norm(vectors, axis=1)[:, None]).any(axis=0)
    length = int(matters.sum())  # the norm falls from column to column
    mean, modes = reduction.mean.copy(), _single(reduction.modes)
    mean[length:] = 0
    modes[:, length:] = 0
    return Reduction(mean, modes)


def _single(array: FloatArray) -> FloatArray:
    """The array rounded to numbers that single precision holds, as an array in double precision."""
    return np.asarray(array, dtype=np.float32).astype(np.float64)
