"""The slope of a polynomial energy without automatic differentiation: its derivative is again a polynomial.

    ∂P/∂z_i = Σ_α α_i c_α z^{α − e_i}                                         only monomials that P has too

The slopes agree with those of JAX to rounding, and nothing is compiled. The stress follows by
:func:`~cellfields.crystal.kinematics.stress_of_energy_gradient`.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.surrogate.trend import exponents


def derivative(trend: FloatArray, degree: int) -> tuple[FloatArray, FloatArray]:
    """∂P/∂z of a polynomial without its constant.

    Args:
        trend: (T,) coefficients of ``monomials(z, degree)``.
        degree: highest total degree of P.

    Returns:
        Constants (d,), and coefficients (T, d) of these monomials, zero for the highest degree; d is 6.
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
