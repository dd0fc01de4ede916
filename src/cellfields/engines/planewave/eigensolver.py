"""Lowest eigenpairs of H(k) by a block Davidson method (Davidson 1975).

    V ← orth[V, M⁻¹ R],   R = H x − ε x

M⁻¹ is the preconditioner of Teter, Payne and Allan, Phys. Rev. B 40, 12255 (1989), eq. 5.16. From the eigenvectors of
the previous self-consistency step one or two expansions are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import adjoint, overlap, squares

_SMALL = 6  # matrices up to this many times the number of bands are diagonalised completely
_MAX_BLOCKS = 5  # subspace size before a restart, in units of the number of bands


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Eigenpairs of one matrix.

    Attributes:
        values: (n,) eigenvalues, Hartree, rising.
        vectors: (P, n) orthonormal eigenvectors.
        residuals: (n,) norms ‖Hx − εx‖, Hartree.
        iterations: expansions of the subspace.
    """

    values: FloatArray
    vectors: Coefficients
    residuals: FloatArray
    iterations: int


def davidson(
    apply: Callable[[Coefficients], Coefficients],
    kinetic: FloatArray,
    start: Coefficients,
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
        bands: number of eigenpairs n.
        tolerance: residual norm ‖Hx − εx‖ of the lowest ``needed`` pairs, Hartree.
        needed: pairs that must converge (default: all); the others are returned as they are then.
        max_iterations: expansions, after which the pairs are returned whether they have converged or not.
    """
    needed = bands if needed is None else min(needed, bands)
    if len(kinetic) <= _SMALL * bands:
        return _dense(apply, np.eye(len(kinetic), dtype=start.dtype), bands)
    basis = _orthonormal(start)
    h_basis = apply(basis)
    iteration = 0
    while True:
        small = overlap(basis, h_basis)
        all_values, all_vectors = scipy.linalg.eigh(0.5 * (small + adjoint(small)), check_finite=False)
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
        for _ in range(2):  # twice gives orthogonality to rounding (Kahan)
            new = _orthonormal(new - basis @ overlap(basis, new))
        basis = np.concatenate([basis, new], axis=1)
        h_basis = np.concatenate([h_basis, apply(new)], axis=1)
        iteration += 1


def _dense(apply: Callable[[Coefficients], Coefficients], identity: Coefficients, bands: int) -> Eigenpairs:
    """Eigenpairs by complete diagonalisation, for matrices hardly larger than Davidson's subspace."""
    h = apply(identity)
    values, vectors = scipy.linalg.eigh(0.5 * (h + adjoint(h)), check_finite=False)
    return Eigenpairs(np.asarray(values[:bands]), np.asarray(vectors[:, :bands]), np.zeros(bands), 1)


def _orthonormal(vectors: Coefficients) -> Coefficients:
    q, _ = scipy.linalg.qr(vectors, mode="economic", check_finite=False)
    return np.asarray(q)


def _precondition(kinetic: FloatArray, vectors: Coefficients) -> FloatArray:
    scale = 1.5 * np.maximum(kinetic @ squares(vectors), 0.1)
    y = kinetic[:, None] / scale
    polynomial = 27 + y * (18 + y * (12 + 8 * y))
    return np.asarray(polynomial / (polynomial + 16 * y**4))
