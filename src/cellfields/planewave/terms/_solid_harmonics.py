"""Real solid harmonics q^l Y_lm(q̂), l ≤ 3, normalised on the sphere, and their gradients.

They are homogeneous polynomials, so they are written as tables of monomials: exact gradients for free.
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
    """(P, 2l+1) for q (P, 3).

    Raises:
        InputError: l > 3.
    """
    if l not in _TABLE:
        raise InputError(f"projectors of angular momentum {l} are not supported (at most 3)")
    return np.stack([_evaluate(monomials, q) for monomials in _TABLE[l]], axis=1)


def solid_harmonics_gradient(l: int, q: FloatArray) -> FloatArray:
    """(P, 2l+1, 3) gradients with respect to q."""
    rows = [[_evaluate(_derivative(monomials, axis), q) for axis in range(3)] for monomials in _TABLE[l]]
    return np.moveaxis(np.array(rows), 2, 0)


def _evaluate(monomials: _Monomials, q: FloatArray) -> FloatArray:
    total = np.zeros(len(q))
    for c, powers in monomials:
        term = np.full(len(q), c)
        for axis, power in enumerate(powers):
            for _ in range(power):
                term = term * q[:, axis]
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
