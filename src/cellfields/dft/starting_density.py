"""The shape of the valence charge around an atom that a calculation begins with.

    ρ_atom(r) ∝ exp(−α r²)          ρ_atom(G) = Z exp(−|G|² / 4α)          α = 0.35 / Bohr²

It is close enough to a valence shell for a start. Whoever moves the atoms of a density moves these Gaussians, so the
engine that superposes them, the force that corrects for the lack of self-consistency, and files written for other codes
must agree on it.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray

GAUSSIAN_EXPONENT = 0.35  # α, 1/Bohr²


def gaussian_form_factor(squared_wavevectors: FloatArray) -> FloatArray:
    """exp(−|G|²/4α) for |G|² (any shape), 1/Bohr²: the start density of an atom with one valence electron."""
    return np.asarray(np.exp(-squared_wavevectors / (4 * GAUSSIAN_EXPONENT)))
