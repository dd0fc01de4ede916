"""Hartree energy:  E_H = ½ V Σ_G ρ(G)* V_H(G),   V_H(G) = 4π ρ(G)/G²   (G ≠ 0; the cell is neutral)."""

from __future__ import annotations

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import inner, squares
from cellfields.engines.planewave.basis import PlaneWaveBasis


def potential(basis: PlaneWaveBasis, density: Coefficients) -> Coefficients:
    """Hartree potential V_H (D,), Hartree, of a density ρ (D,), electrons/Bohr³."""
    return np.asarray(4 * np.pi * basis.inverse_g2 * density)


def energy(basis: PlaneWaveBasis, density: Coefficients) -> float:
    """Hartree energy E_H of a density (D,), Hartree per primitive cell."""
    return 0.5 * basis.volume * inner(density, potential(basis, density))


def stress(basis: PlaneWaveBasis, density: Coefficients) -> FloatArray:
    """Strain derivative ∂E_H/∂η (3, 3), Hartree, at fixed Vρ(G):  −δ E_H + V Σ 4π|ρ|² G G / G⁴."""
    weight = 4 * np.pi * basis.volume * squares(density * basis.inverse_g2)
    tensor = np.einsum("g,gi,gj->ij", weight, basis.density_g, basis.density_g)
    return np.asarray(tensor - np.eye(3) * energy(basis, density))
