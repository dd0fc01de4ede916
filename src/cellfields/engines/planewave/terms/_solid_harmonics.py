"""Real solid harmonics q^l Y_lm(q̂), l ≤ 3, normalised on the sphere, and their gradients.

They are homogeneous polynomials, stored as tables of monomials, from which the exact gradients follow.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError

_Monomials = tuple[tuple[float, tuple[int, int, int]], ...]


def _scaled(factor: float, *terms: tuple[float, tuple[int, int, int]]) -> _Monomials:
    return tuple((factor * c, powers) for c, powers in terms)


_TABLE: dict[int, tuple[_Monomials, ...]] = {
    0: (_scaled(sqrt(1 / (4 * pi)), (1, (0, 0, 0))),),
    1: tuple(_scaled(sqrt(3 / (4 * pi)), (1, p)) for p in ((1, 0, 0), (0, 1, 0), (0, 0, 1))),
    2: (
        _scaled(sqrt(15 / (4 * pi)), (1, (1, 1, 0))),
        _scaled(sqrt(15 / (4 * pi)), (1, (0, 1, 1))),
        _scaled(sqrt(15 / (4 * pi)), (1, (1, 0, 1))),
        _scaled(sqrt(15 / (16 * pi)), (1, (2, 0, 0)), (-1, (0, 2, 0))),
        _scaled(sqrt(5 / (16 * pi)), (2, (0, 0, 2)), (-1, (2, 0, 0)), (-1, (0, 2, 0))),
    ),
    3: (
        _scaled(sqrt(105 / (4 * pi)), (1, (1, 1, 1))),
        _scaled(sqrt(105 / (16 * pi)), (1, (2, 0, 1)), (-1, (0, 2, 1))),
        _scaled(sqrt(35 / (32 * pi)), (1, (3, 0, 0)), (-3, (1, 2, 0))),
        _scaled(sqrt(35 / (32 * pi)), (3, (2, 1, 0)), (-1, (0, 3, 0))),
        _scaled(sqrt(21 / (32 * pi)), (4, (1, 0, 2)), (-1, (3, 0, 0)), (-1, (1, 2, 0))),
        _scaled(sqrt(21 / (32 * pi)), (4, (0, 1, 2)), (-1, (2, 1, 0)), (-1, (0, 3, 0))),
        _scaled(sqrt(7 / (16 * pi)), (2, (0, 0, 3)), (-3, (2, 0, 1)), (-3, (0, 2, 1))),
    ),
}


def solid_harmonics(l: int, q: FloatArray) -> FloatArray:
    """Values q^l Y_lm(q̂) (P, 2l+1) at q (P, 3).

    Raises:
        InputError: l > 3.
    """
    if l not in _TABLE:
        raise InputError(f"projectors of angular momentum {l} are not supported (at most 3)")
    return np.stack([_evaluate(monomials, q) for monomials in _TABLE[l]], axis=1)


def gradient_sum(l: int, q: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Sums Σ_m c_m ∇(q^l Y_lm) (3, P) at q (P, 3), for coefficients c (P, 2l+1)."""
    result = np.zeros((3, len(q)))
    columns = np.ascontiguousarray(q.T).T  # components contiguous
    for monomials, c in zip(_TABLE[l], np.ascontiguousarray(coefficients.T), strict=True):
        for axis in range(3):
            slope = _derivative(monomials, axis)
            if slope:
                result[axis] += c * _evaluate(slope, columns)
    return result


def _evaluate(monomials: _Monomials, q: FloatArray) -> FloatArray:
    total = np.zeros(len(q))
    for c, powers in monomials:
        axes = [axis for axis, power in enumerate(powers) for _ in range(power)]
        if not axes:
            total += c
            continue
        term = c * q[:, axes[0]]
        for axis in axes[1:]:
            term *= q[:, axis]
        total += term
    return total


def _derivative(monomials: _Monomials, axis: int) -> _Monomials:
    result = []
    for c, powers in monomials:
        if powers[axis]:
            lowered = list(powers)
            lowered[axis] -= 1
            result.append((c * powers[axis], (lowered[0], lowered[1], lowered[2])))
    return tuple(result)
