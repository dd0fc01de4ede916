"""The polynomial part of a map, by least squares: its Taylor expansion about the mean training strain.

    P(z) = p₀ + Σ_i p_i z_i + Σ_{i≤j} p_ij z_i z_j          z: standardised D, 1 + 6 + 21 numbers for each output

Each output gets the degree 0, 1 or 2 that predicts left-out samples best. Leave-one-out residuals of a linear fit are
closed-form: r_n / (1 − h_nn), h the projector onto the columns of the design matrix. A degree with as many numbers as
there are samples therefore never wins.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal.kinematics import array_namespace
from cellfields.surrogate.recipe import MAX_DEGREE


def monomials(z: Any, degree: int) -> Any:
    """All monomials (…, T) of degree 1 to ``degree`` at z (…, d), as a NumPy or JAX array like z."""
    if degree == 0:
        return z[..., :0]
    parts = [z]
    for parents, axes in _recursion(z.shape[-1], degree):
        parts.append(parts[-1][..., parents] * z[..., axes])
    return array_namespace(z).concatenate(parts, axis=-1)


def exponents(d: int, degree: int) -> IntArray:
    """Powers (T, d) of the d variables in each of :func:`monomials`, in their order."""
    combinations = [c for n in range(1, degree + 1) for c in combinations_with_replacement(range(d), n)]
    powers = np.zeros((len(combinations), d), dtype=np.int64)
    for row, combination in enumerate(combinations):
        np.add.at(powers[row], list(combination), 1)
    return powers


@cache
def degrees(d: int) -> dict[int, int]:
    """Table from the number of :func:`monomials` in d variables to their highest degree."""
    return {comb(d + degree, degree) - 1: degree for degree in range(MAX_DEGREE + 1)}


@cache
def _recursion(d: int, degree: int) -> tuple[tuple[IntArray, IntArray], ...]:
    """For each degree from 2: indices (t,) of monomials of the degree before, and of the variables to multiply by."""
    steps = []
    before: list[tuple[int, ...]] = [(i,) for i in range(d)]
    for n in range(2, degree + 1):
        place = {c: i for i, c in enumerate(before)}
        before = list(combinations_with_replacement(range(d), n))
        steps.append((np.array([place[c[:-1]] for c in before]), np.array([c[-1] for c in before])))
    return tuple(steps)


def fit_trend(z: FloatArray, outputs: FloatArray, max_degree: int) -> tuple[FloatArray, FloatArray]:
    """Least-squares polynomial of the degree with the smallest leave-one-out error, for each output separately.

    Args:
        z: (n, d) standardised inputs.
        outputs: (n, k) outputs at z.
        max_degree: 0, 1 or 2.

    Returns:
        Constants p₀ (k,) and coefficients (T, k) of ``monomials(z, max_degree)``; 0 where a lower degree won.
    """
    n, k = outputs.shape
    constants = outputs.mean(axis=0)
    coefficients = np.zeros((monomials(z[:1], max_degree).shape[1], k))
    best = np.sum(((outputs - constants) / (1 - 1 / n)) ** 2, axis=0)
    for degree in range(1, max_degree + 1):
        design = np.concatenate([np.ones((n, 1)), monomials(z, degree)], axis=1)
        u, s, vt = np.linalg.svd(design, full_matrices=False)
        keep = s > 1e-10 * s[0]
        if keep.sum() >= n:
            break
        u, s, vt = u[:, keep], s[keep], vt[keep]
        projected = u.T @ outputs
        leverage = np.minimum(np.sum(u**2, axis=1), 1 - 1e-12)
        left_out = np.sum(((outputs - u @ projected) / (1 - leverage)[:, None]) ** 2, axis=0)
        better = left_out < best
        solution = vt.T @ (projected / s[:, None])
        coefficients[:, better] = 0
        constants[better] = solution[0, better]
        coefficients[: len(solution) - 1, better] = solution[1:, better]
        best = np.minimum(best, left_out)
    return constants, coefficients
