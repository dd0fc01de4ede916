"""The stress of a polynomial energy without automatic differentiation: its derivative is a polynomial again.

    ∂P/∂z_i = Σ_α α_i c_α z^{α − e_i}                                         monomials that P has anyhow
    σ = (2/V) Lᵀ H L ,   H = ∂𝓕/∂g ,   g_ij = a_i · a_j                       rows of L: a, b, c

g decides D: λ_i = √g_ii / a⁰_i and cos θ_a = g_bc / √(g_bb g_cc). The same numbers as in ``_stress``, which
differentiates any energy, with nothing to compile.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.surrogate.trend import exponents

_PAIRS = ((1, 2), (0, 2), (0, 1))  # vectors that θa, θb, θc lie between


def derivative(trend: FloatArray, degree: int) -> tuple[FloatArray, FloatArray]:
    """∂P/∂z of a polynomial without its constant.

    Args:
        trend: (T,) coefficients of ``monomials(z, degree)``.

    Returns:
        Constants (d,) and coefficients (T, d) of the same monomials, those of the highest degree 0.
    """
    d = 6
    powers = exponents(d, degree)
    place = {tuple(a): row for row, a in enumerate(powers.tolist())}
    constant, coefficients = np.zeros(d), np.zeros((len(powers), d))
    for value, a in zip(trend.tolist(), powers.tolist(), strict=True):
        for i in (i for i in range(d) if a[i]):
            lower = tuple(n - (j == i) for j, n in enumerate(a))
            if any(lower):
                coefficients[place[lower], i] += a[i] * value
            else:
                constant[i] += value
    return constant, coefficients


def stress_of_slopes(slopes: FloatArray, deformations: FloatArray, lattices: FloatArray) -> FloatArray:
    """Cauchy stress (…, 3, 3), tension positive, Hartree/Bohr³.

    Args:
        slopes: (…, 6) ∂𝓕/∂D in Hartree, and Hartree per degree.
        deformations: (…, 6) D.
        lattices: (…, 3, 3) their rows, Bohr.
    """
    lengths = np.sqrt((lattices**2).sum(axis=-1))
    angles = np.radians(deformations[..., 3:])
    cosines = np.cos(angles)
    turned = -np.degrees(slopes[..., 3:]) / np.sin(angles)  # ∂𝓕/∂cos θ
    diagonal = 0.5 * slopes[..., :3] * deformations[..., :3] / lengths**2
    by_metric = np.zeros(lattices.shape)
    for angle, (i, j) in enumerate(_PAIRS):
        share = 0.5 * turned[..., angle]
        by_metric[..., i, j] = by_metric[..., j, i] = share / (lengths[..., i] * lengths[..., j])
        for k in (i, j):
            diagonal[..., k] -= share * cosines[..., angle] / lengths[..., k] ** 2
    for k in range(3):
        by_metric[..., k, k] = diagonal[..., k]
    volume = np.abs(np.linalg.det(lattices))[..., None, None]
    return np.asarray(2 / volume * (np.swapaxes(lattices, -1, -2) @ by_metric @ lattices))


def lattices_of(deformations: FloatArray, lengths_ref: FloatArray) -> FloatArray:
    """Row vectors (…, 3, 3) of D (…, 6) in the standard frame, a ∥ x and b in the xy plane."""
    cosines = np.cos(np.radians(deformations[..., 3:]))
    cos_a, cos_b, cos_c = (cosines[..., i] for i in range(3))
    sin_c = np.sin(np.radians(deformations[..., 5]))
    unit = np.zeros((*deformations.shape[:-1], 3, 3))
    unit[..., 0, 0] = 1
    unit[..., 1, 0], unit[..., 1, 1] = cos_c, sin_c
    unit[..., 2, 0], unit[..., 2, 1] = cos_b, (cos_a - cos_b * cos_c) / sin_c
    unit[..., 2, 2] = np.sqrt(1 - unit[..., 2, 0] ** 2 - unit[..., 2, 1] ** 2)
    return np.asarray(unit * (deformations[..., :3] * lengths_ref)[..., None])
