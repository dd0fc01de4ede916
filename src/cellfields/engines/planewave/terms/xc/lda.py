"""The local density approximation of Perdew and Wang (1992), spin-unpolarised.

    ε_x = −¾ (9/4π²)^{1/3} / r_s ,    ε_c = −2A(1 + α₁ r_s) ln[1 + 1/(2A(β₁ r_s^½ + … + β₄ r_s²))]

Source: J. P. Perdew, Y. Wang, Phys. Rev. B 45, 13244 (1992), Table I (p = 1), with the published five-digit A, as
ABINIT's ``ixc 7`` and libxc's LDA_C_PW.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray

_A, _ALPHA1 = 0.031091, 0.21370
_BETA1, _BETA2, _BETA3, _BETA4 = 7.5957, 3.5876, 1.6382, 0.49294
FLOOR = 1e-14  # electrons/Bohr³; below it the density of an empty region is rounding noise


def seitz_radius(density: FloatArray) -> FloatArray:
    """Wigner–Seitz radius r_s, Bohr, of densities in electrons/Bohr³."""
    return np.asarray((3 / (4 * np.pi * np.maximum(density, FLOOR))) ** (1 / 3))


def exchange(rs: FloatArray) -> FloatArray:
    """Exchange energy ε_x, Hartree per electron, at r_s in Bohr; dε_x/dr_s = −ε_x/r_s."""
    return np.asarray(-0.75 * (9 / (4 * np.pi**2)) ** (1 / 3) / rs)


def correlation(rs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Correlation energy ε_c, Hartree per electron, and dε_c/dr_s, Hartree/Bohr, at r_s in Bohr."""
    root = np.sqrt(rs)
    q0 = -2 * _A * (1 + _ALPHA1 * rs)
    q1 = 2 * _A * root * (_BETA1 + root * (_BETA2 + root * (_BETA3 + root * _BETA4)))
    q1_slope = _A * (_BETA1 / root + 2 * _BETA2 + 3 * _BETA3 * root + 4 * _BETA4 * rs)
    logarithm = np.log1p(1 / q1)
    slope = -2 * _A * _ALPHA1 * logarithm - q0 * q1_slope / (q1 * (q1 + 1))
    return q0 * logarithm, slope


def perdew_wang(density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Energy ε_xc per electron and potential V_xc = d(ρ ε_xc)/dρ (Hartree) of densities in electrons/Bohr³."""
    rs = seitz_radius(density)
    x = exchange(rs)
    c, slope = correlation(rs)
    return x + c, 4 / 3 * x + c - rs / 3 * slope
