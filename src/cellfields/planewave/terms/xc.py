"""Exchange and correlation in the local density approximation of Perdew and Wang (1992), spin-unpolarised.

    E_xc = ∫ ρ ε_xc(ρ),   ε_x = −¾ (9/4π²)^{1/3} / r_s ,   ε_c = −2A(1 + α₁ r_s) ln[1 + 1/(2A(β₁ r_s^½ + … + β₄ r_s²))]

Source: J. P. Perdew, Y. Wang, Phys. Rev. B 45, 13244 (1992), Table I (p = 1), with the published five-digit A, as
ABINIT's ``ixc 7`` and libxc's LDA_C_PW.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.planewave.basis import PlaneWaveBasis

_A, _ALPHA1 = 0.031091, 0.21370
_BETA1, _BETA2, _BETA3, _BETA4 = 7.5957, 3.5876, 1.6382, 0.49294
_FLOOR = 1e-14  # electrons/Bohr³; below it the density of an empty region is rounding noise


def perdew_wang(density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """ε_xc and V_xc = d(ρ ε_xc)/dρ (Hartree) for densities in electrons/Bohr³."""
    rs = (3 / (4 * np.pi * np.maximum(density, _FLOOR))) ** (1 / 3)
    exchange = -0.75 * (9 / (4 * np.pi**2)) ** (1 / 3) / rs
    root = np.sqrt(rs)
    q0 = -2 * _A * (1 + _ALPHA1 * rs)
    q1 = 2 * _A * root * (_BETA1 + root * (_BETA2 + root * (_BETA3 + root * _BETA4)))
    q1_slope = _A * (_BETA1 / root + 2 * _BETA2 + 3 * _BETA3 * root + 4 * _BETA4 * rs)
    logarithm = np.log1p(1 / q1)
    correlation = q0 * logarithm
    slope = -2 * _A * _ALPHA1 * logarithm - q0 * q1_slope / (q1 * (q1 + 1))
    return exchange + correlation, 4 / 3 * exchange + correlation - rs / 3 * slope


def energy_and_potential(basis: PlaneWaveBasis, density: FloatArray) -> tuple[float, FloatArray]:
    """E_xc (Hartree per primitive cell) and V_xc (D,) from ρ (D,)."""
    values = basis.to_real(density)
    energy_density, potential = perdew_wang(values)
    return float(basis.volume * np.mean(values * energy_density)), basis.to_fourier(potential)


def stress(basis: PlaneWaveBasis, density: FloatArray) -> FloatArray:
    """∂E_xc/∂η (3, 3) at fixed Vρ(G):  δ (E_xc − ∫V_xc ρ)."""
    energy, potential = energy_and_potential(basis, density)
    return np.eye(3) * (energy - basis.volume * float(potential @ density))
