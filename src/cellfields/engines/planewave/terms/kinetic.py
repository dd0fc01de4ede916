"""Kinetic energy:  T = Σ_{nk} w f Σ_G ½|k+G|² |c_{nk}(G)|²."""

from __future__ import annotations

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import squares


def energy(q: FloatArray, vectors: Coefficients, weights: FloatArray) -> float:
    """Kinetic energy of one k point, Hartree: q = k + G (P, 3), coefficients (P, n), occupation weights (n,)."""
    return float(0.5 * (q**2).sum(axis=1) @ (squares(vectors) @ weights))


def stress(q: FloatArray, vectors: Coefficients, weights: FloatArray) -> FloatArray:
    """Strain derivative ∂T/∂η (3, 3), Hartree, of one k point:  −Σ w f |c|² (k+G)(k+G)."""
    return np.asarray(-(q * (squares(vectors) @ weights)[:, None]).T @ q)
