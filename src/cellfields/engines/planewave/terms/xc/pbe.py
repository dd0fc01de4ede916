"""The generalised gradient approximation of Perdew, Burke and Ernzerhof, spin-unpolarised.

    e = n [ε_x F(s) + ε_c + H(n, t)] ,          F = 1 + κ − κ/(1 + μ s²/κ) ,       s = |∇n| / (2 k_F n)
    H = γ ln[1 + (β/γ) t² (1 + A t²)/(1 + A t² + A² t⁴)] ,   A = (β/γ) / (e^{−ε_c/γ} − 1) ,   t = |∇n| / (2 k_s n)

with k_F³ = 3π² n, k_s² = 4 k_F/π. Source: J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996), eq.
7–8, 14, with the constants of ABINIT's ``ixc 11``: β as published, μ to more digits, ε_c as in lda.py. libxc's two
functionals take β and the A of ε_c to more digits; that makes some 1e-7 Ha per electron.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.engines.planewave.terms.xc.lda import FLOOR, correlation, exchange, seitz_radius

_KAPPA = 0.804
_BETA = 0.066725
_MU = 0.2195149727645171
_GAMMA = (1 - np.log(2)) / np.pi**2
_THIN = 1e-10  # electrons/Bohr³; below it the gradient of an empty region is rounding noise, and E_xc nothing


def perdew_burke_ernzerhof(density: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Energy density e (Hartree/Bohr³), ∂e/∂n and ∂e/∂σ for n (electrons/Bohr³) and σ = |∇n|² (Bohr⁻⁸)."""
    rs = seitz_radius(density)
    n = np.maximum(density, FLOOR)
    sigma = np.where(density > _THIN, square, 0.0)

    # Everything is taken relative to n: q = n ∂/∂n. s² ∝ n^{−8/3} and t² ∝ n^{−7/3}.
    fermi = (3 * np.pi**2 * n) ** (1 / 3)
    s2_slope = 1 / (2 * fermi * n) ** 2
    x = exchange(rs)
    denominator = 1 + _MU / _KAPPA * s2_slope * sigma
    enhancement = 1 + _KAPPA - _KAPPA / denominator
    enhancement_slope = _MU / denominator**2  # dF/ds²

    c, c_slope = correlation(rs)
    c_q = -rs / 3 * c_slope
    t2_slope = np.pi / (16 * fermi * n**2)
    h, h_t2, h_c = _gradient_correlation(c, t2_slope * sigma)

    energy = x * enhancement + c + h
    q = x * (enhancement / 3 - 8 / 3 * s2_slope * sigma * enhancement_slope)
    q += c_q * (1 + h_c) - 7 / 3 * t2_slope * sigma * h_t2
    by_sigma = n * (x * enhancement_slope * s2_slope + h_t2 * t2_slope)
    return density * energy, energy + q, np.where(density > _THIN, by_sigma, 0.0)


def _gradient_correlation(c: FloatArray, t2: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradient correction H of the correlation energy (Hartree per electron), ∂H/∂t² and ∂H/∂ε_c, at ε_c and t²."""
    ratio = _BETA / _GAMMA
    excess = np.expm1(-c / _GAMMA)
    a = ratio / excess
    u = a * t2
    polynomial = 1 + u + u**2
    inner = 1 + ratio * t2 * (1 + u) / polynomial
    # d/dt² of t² (1 + u)/(1 + u + u²) is (1 + 2u)/(1 + u + u²)², and d/dA of it −t⁴ u (2 + u)/(1 + u + u²)².
    h_t2 = _BETA * (1 + 2 * u) / (inner * polynomial**2)
    h_a = -_BETA * t2**2 * u * (2 + u) / (inner * polynomial**2)
    a_c = a * (excess + 1) / (_GAMMA * excess)
    return _GAMMA * np.log(inner), h_t2, h_a * a_c
