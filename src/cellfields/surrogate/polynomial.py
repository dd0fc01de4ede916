"""A polynomial of high degree with a prior for small coefficients: the truncated series of a Gaussian process.

    P(z) = Σ_{|α| ≤ d} c_α z^α ,   c_α ~ N(0, ℓ^{−2|α|} / α!)   ⇔   kernel Σ_{n ≤ d} (z·z'/ℓ²)ⁿ / n!   →   exp(z·z'/ℓ²)

Ridge regression in the columns z^α ℓ^{−|α|}/√α!. Where derivatives of an output are known (stress is the derivative of
F), ∂P/∂z_i are further rows of the same least-squares problem. The ridge of each output, and the length ℓ of a
quantity, are those that predict best the strains left out: with S = A V the design in its eigenbasis (AᵀA = V s² Vᵀ),

    r_g = (1 − H_gg)⁻¹ (y_g − ŷ_g) ,   H_gg = S_g (s² + ridge)⁻¹ S_gᵀ

g: all rows of one strain (its images under the crystal's symmetry, values and slopes), left out at once.

Polynomials of two degrees that agree in the middle of the strains differ at the rim, where strains are few; their mean
has a smaller error than either, and is again a polynomial (:func:`blended`).
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
import scipy.linalg

from cellfields._typing import FloatArray
from cellfields.surrogate.trend import exponents, monomials

# For columns and outputs of order one. With smaller ridges 1 − H is lost in rounding errors.
_RIDGES = np.logspace(-11, 1, 25)

_ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class PolynomialFit:
    """A fitted polynomial, and its errors on strains left out.

    Attributes:
        constant: (k,) the term of degree 0.
        coefficients: (T, k) of ``monomials(z, degree)``.
        left_out: (N, k) errors at the strains, each predicted by a fit to the others.
    """

    constant: FloatArray
    coefficients: FloatArray
    left_out: FloatArray


def fit_polynomial(
    z: FloatArray,
    outputs: FloatArray,
    *,
    degree: int,
    lengths: Sequence[float],
    slopes: FloatArray | None = None,
    designs: MutableMapping[float, Design] | None = None,
) -> PolynomialFit:
    """Fit a polynomial to all outputs of one quantity.

    Args:
        z: (N, b, d) standardised inputs: b images of each of N strains.
        outputs: (N, b, k) outputs at z.
        degree: highest total degree.
        lengths: values of ℓ to choose from, in units of z.
        slopes: (N, b, d, k) ∂y/∂z where they are known for all rows, or None.
        designs: length → design of these z and this degree without slopes; filled here for the next quantity to use.
    """
    designs = {} if designs is None else designs
    constant = outputs.mean(axis=(0, 1))
    centred = outputs - constant
    scale = centred.std(axis=(0, 1))
    scale = np.where(scale > 0, scale, 1.0)
    targets = centred / scale
    if slopes is not None:
        per_row = np.moveaxis(slopes, 2, 1).reshape(len(z), -1, outputs.shape[2]) / scale
        targets = np.concatenate([targets, per_row], axis=1)
    best: tuple[float, PolynomialFit] | None = None
    for length in lengths:
        if slopes is not None:
            design = Design.of(z, degree, length, with_slopes=True)
        elif length in designs:
            design = designs[length]
        else:
            design = designs[length] = Design.of(z, degree, length)
        solution, left_out = design.solve(targets)
        error = float(((left_out * scale) ** 2).sum())
        if best is None or error < best[0]:
            solution = solution * scale
            best = error, PolynomialFit(constant + solution[0], solution[1:], left_out * scale)
    assert best is not None
    return best[1]


def blended(fits: Sequence[PolynomialFit]) -> PolynomialFit:
    """The mean of polynomials of any degrees; its errors on strains left out are the mean of theirs.

    The last polynomial is returned alone where the mean has an error that is larger by more than a tenth, because a
    lower degree does not suffice.
    """
    left_out = np.mean([fit.left_out for fit in fits], axis=0)
    if np.linalg.norm(left_out) > 1.1 * np.linalg.norm(fits[-1].left_out):
        return fits[-1]
    most = max(len(fit.coefficients) for fit in fits)
    padded = [np.pad(fit.coefficients, ((0, most - len(fit.coefficients)), (0, 0))) for fit in fits]
    return PolynomialFit(
        np.mean([fit.constant for fit in fits], axis=0),
        np.mean(padded, axis=0),
        left_out,
    )


def leverage(z: FloatArray, *, degree: int, length: float, ridge: float) -> tuple[FloatArray, FloatArray]:
    """Posterior variance of a fitted polynomial in units of its noise: it grows with the distance from the strains.

    Args:
        z: (N, b, d) standardised inputs: b images of each of N strains.
        degree, length, ridge: highest total degree, ℓ and ridge of the polynomial.

    Returns:
        R (T + 1, T + 1) with v(z) = |(1, monomials(z, degree)) R|², and v (N,) at each strain for a fit to the others.
    """
    design = Design.of(z, degree, length)
    scale = 1 / np.sqrt(design.eigenvalues + ridge)
    rows = design.scores * scale
    hat = rows @ rows.transpose(0, 2, 1)
    return design.back * scale, _inverse(hat)[:, 0, 0] - 1  # Woodbury


@dataclass(frozen=True, eq=False)
class Design:
    """The scaled columns of a least-squares problem at all rows, in the eigenbasis of their Gram matrix.

    Attributes:
        scores: (N, rows, T + 1) S.
        eigenvalues: (T + 1,) s².
        back: (T + 1, T + 1) matrix from the eigenbasis to coefficients of 1 and the monomials.
        images: number of each strain's rows that are values (the first ones); the others are slopes.
    """

    scores: FloatArray
    eigenvalues: FloatArray
    back: FloatArray
    images: int

    @classmethod
    def of(cls, z: FloatArray, degree: int, length: float, *, with_slopes: bool = False) -> Design:
        """Make the design of a degree and a length ℓ at strains z (N, b, d), with rows for ∂/∂z where asked for."""
        powers = np.concatenate([np.zeros((1, z.shape[2]), dtype=np.int64), exponents(z.shape[2], degree)])
        prior = np.array([length ** -int(a.sum()) / np.sqrt(np.prod([factorial(int(n)) for n in a])) for a in powers])
        columns = np.concatenate([np.ones((*z.shape[:2], 1)), monomials(z, degree)], axis=2)
        if with_slopes:
            columns = np.concatenate([columns, *(_slope(columns, powers, i) for i in range(z.shape[2]))], axis=1)
        columns = columns * prior
        flat = columns.reshape(-1, len(prior))
        eigenvalues, vectors = scipy.linalg.eigh(flat.T @ flat)
        return cls(columns @ vectors, np.maximum(eigenvalues, 0.0), prior[:, None] * vectors, z.shape[1])

    def solve(self, targets: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (T + 1, k) with each output's best ridge, and the left-out errors (N, k) at the first image."""
        n, rows, k = targets.shape
        flat = self.scores.reshape(n * rows, -1)
        projected = flat.T @ targets.reshape(n * rows, k)
        best = np.full(k, np.inf)
        solution = np.zeros((len(self.eigenvalues), k))
        errors = np.zeros((n, k))
        for ridge in _RIDGES:
            filtered = projected / (self.eigenvalues + ridge)[:, None]
            residual = targets - (flat @ filtered).reshape(targets.shape)
            hat = (self.scores / (self.eigenvalues + ridge)) @ self.scores.transpose(0, 2, 1)
            left_out = (_inverse(hat) @ residual)[:, : self.images]
            total = (left_out**2).sum(axis=(0, 1))
            better = total < best
            best[better] = total[better]
            solution[:, better] = filtered[:, better]
            errors[:, better] = left_out[:, 0][:, better]
        return self.back @ solution, errors


def polynomial_slope(z: FloatArray, degree: int, axis: int) -> FloatArray:
    """∂/∂z_axis of ``monomials(z, degree)``: (n, T) at z (n, d)."""
    powers = exponents(z.shape[1], degree)
    constant = np.zeros((1, z.shape[1]), dtype=np.int64)
    columns = np.concatenate([np.ones((len(z), 1)), monomials(z, degree)], axis=1)
    return _slope(columns, np.concatenate([constant, powers]), axis)[:, 1:]


def _inverse(hat: FloatArray) -> FloatArray:
    """(1 − H)⁻¹ of (N, rows, rows) blocks; a strain that no other determines has H = 1, which is regularised."""
    identity = np.eye(hat.shape[-1])
    return np.asarray(np.linalg.inv((1 + _ROUNDING) * identity - hat))


def _slope(columns: FloatArray, powers: FloatArray, axis: int) -> FloatArray:
    """∂(z^α)/∂z_i = α_i z^{α − e_i} for every column z^α, taken from the column of lower degree."""
    place = {tuple(a): i for i, a in enumerate(powers.tolist())}
    result = np.zeros_like(columns)
    for i, a in enumerate(powers.tolist()):
        if a[axis]:
            lower = list(a)
            lower[axis] -= 1
            result[..., i] = a[axis] * columns[..., place[tuple(lower)]]
    return result
