"""The valence charge of an atom from which start densities are superposed.

    ρ_atom(r) ∝ exp(−α r²)          ρ_atom(G) = Z exp(−|G|² / 4α)          α = 0.35 / Bohr²

Where the atoms of a density move, these Gaussians move along. The engine that superposes them, the correction of forces
for a density that is not self-consistent, and files written for other codes use the same Gaussian.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray

GAUSSIAN_EXPONENT = 0.35  # α, 1/Bohr²


def gaussian_form_factor(squared_wavevectors: FloatArray) -> FloatArray:
    """exp(−|G|²/4α) for |G|² (any shape), 1/Bohr²: the start density of an atom with one valence electron."""
    return np.asarray(np.exp(-squared_wavevectors / (4 * GAUSSIAN_EXPONENT)))
