"""Lowest eigenpairs of H(k) by a block Davidson method (Davidson 1975), real symmetric arithmetic.

    V ← orth[V, M⁻¹ R],   R = H x − ε x

M⁻¹ is the preconditioner of Teter, Payne and Allan, Phys. Rev. B 40, 12255 (1989), eq. 5.16.

Warm-started from the previous self-consistency step, one or two expansions are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from cellfields._typing import FloatArray

_SMALL = 6  # matrices up to this many times the number of bands are diagonalised completely
_MAX_BLOCKS = 5  # subspace size before a restart, in units of the number of bands


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Attributes: values (n,), vectors (P, n), residual norms (n,), expansions used."""

    values: FloatArray
    vectors: FloatArray
    residuals: FloatArray
    iterations: int


def davidson(
    apply: Callable[[FloatArray], FloatArray],
    kinetic: FloatArray,
    start: FloatArray,
    bands: int,
    *,
    tolerance: float,
    needed: int | None = None,
    max_iterations: int = 30,
) -> Eigenpairs:
    """Lowest ``bands`` eigenpairs.

    Args:
        apply: H on coefficient vectors (P, n) → (P, n).
        kinetic: (P,) ½|k+G|², Hartree, for the preconditioner.
        start: (P, ≥ bands) linearly independent start vectors.
        bands: how many.
        tolerance: residual norm ‖Hx − εx‖ of the lowest ``needed`` pairs, Hartree.
        needed: pairs that must converge (default: all); the others come along as far as they get.
        max_iterations: expansions.
    """
    needed = bands if needed is None else min(needed, bands)
    if len(kinetic) <= _SMALL * bands:
        return _dense(apply, len(kinetic), bands)
    basis = _orthonormal(start)
    h_basis = apply(basis)
    iteration = 0
    while True:
        small = basis.T @ h_basis
        all_values, all_vectors = scipy.linalg.eigh(0.5 * (small + small.T), check_finite=False)
        values, rotation = np.asarray(all_values[:bands]), np.asarray(all_vectors[:, :bands])
        x, hx = basis @ rotation, h_basis @ rotation
        residual = hx - x * values
        norms = np.asarray(np.linalg.norm(residual, axis=0))
        active = np.flatnonzero(norms[:needed] > tolerance)
        if len(active) == 0 or iteration == max_iterations:
            return Eigenpairs(values, x, norms, iteration)
        if basis.shape[1] + len(active) > _MAX_BLOCKS * bands:
            basis, h_basis = x, hx
        new = residual[:, active] * _precondition(kinetic, x[:, active])
        for _ in range(2):  # twice is enough (Kahan)
            new = _orthonormal(new - basis @ (basis.T @ new))
        basis = np.concatenate([basis, new], axis=1)
        h_basis = np.concatenate([h_basis, apply(new)], axis=1)
        iteration += 1


def _dense(apply: Callable[[FloatArray], FloatArray], size: int, bands: int) -> Eigenpairs:
    """Complete diagonalisation, where the subspace would soon be the whole space."""
    h = apply(np.eye(size))
    values, vectors = scipy.linalg.eigh(0.5 * (h + h.T), check_finite=False)
    return Eigenpairs(np.asarray(values[:bands]), np.asarray(vectors[:, :bands]), np.zeros(bands), 1)


def _orthonormal(vectors: FloatArray) -> FloatArray:
    q, _ = scipy.linalg.qr(vectors, mode="economic", check_finite=False)
    return np.asarray(q)


def _precondition(kinetic: FloatArray, vectors: FloatArray) -> FloatArray:
    scale = 1.5 * np.maximum(kinetic @ vectors**2, 0.1)
    y = kinetic[:, None] / scale
    polynomial = 27 + y * (18 + y * (12 + 8 * y))
    return np.asarray(polynomial / (polynomial + 16 * y**4))
