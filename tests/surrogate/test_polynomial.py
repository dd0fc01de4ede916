"""The polynomial with a prior: against kernel ridge, brute-force leave-one-out, and functions that it can hold."""

from __future__ import annotations

from math import factorial

import jax
import numpy as np
import pytest

from cellfields.surrogate import polynomial
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.surrogate.polynomial import blended, fit_polynomial
from cellfields.surrogate.trend import exponents, monomials

RNG = np.random.default_rng(5)


def cubic(z: np.ndarray) -> np.ndarray:
    first = z[..., 0] ** 3 - 2 * z[..., 1] * z[..., 2] + 0.5 * z[..., 0]
    return np.stack([first, 1 + z[..., 1] ** 2 * z[..., 2]], axis=-1)


@pytest.mark.parametrize("degree", [1, 2, 3, 6])
def test_monomials_are_all_products(degree: int) -> None:
    z = RNG.normal(size=(4, 3))
    powers = exponents(3, degree)
    assert len({tuple(a) for a in powers.tolist()}) == len(powers)
    assert np.allclose(monomials(z, degree), np.prod(z[:, None, :] ** powers, axis=2))
    with double_precision():
        assert np.allclose(monomials(jax.numpy.asarray(z), degree), monomials(z, degree))


def test_ridge_in_these_columns_is_kernel_ridge(monkeypatch: pytest.MonkeyPatch) -> None:
    ridge, length, degree = 1e-3, 1.7, 4
    monkeypatch.setattr(polynomial, "_RIDGES", np.array([ridge]))
    z, new = RNG.normal(size=(12, 1, 3)), RNG.normal(size=(5, 3))
    y = np.sin(z.sum(axis=2, keepdims=True))
    fit = fit_polynomial(z, y, degree=degree, lengths=[length])
    mine = fit.constant + monomials(new, degree) @ fit.coefficients

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return sum((a @ b.T / length**2) ** n / factorial(n) for n in range(degree + 1))

    centred = y[:, 0] - y.mean()
    weights = np.linalg.solve(kernel(z[:, 0], z[:, 0]) + ridge * np.eye(12), centred)
    assert np.allclose(mine, y.mean() + kernel(new, z[:, 0]) @ weights, atol=1e-9)


@pytest.mark.parametrize(("ridge", "tolerance"), [(1e-2, 1e-9), (1e-8, 1e-4), (float(polynomial._RIDGES[0]), 2e-2)])
def test_left_out_errors_are_those_of_refits(ridge: float, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brute force: drop all images of a strain, fit again with the same centre, predict its first image.

    What rounding leaves of 1 − H, and of the refit's normal equations, is the less the smaller the ridge.
    """
    monkeypatch.setattr(polynomial, "_RIDGES", np.array([ridge]))
    z = RNG.normal(size=(9, 2, 2))
    y = np.sin(z.sum(axis=2, keepdims=True))
    fit = fit_polynomial(z, y, degree=3, lengths=[2.0])
    powers = np.concatenate([np.zeros((1, 2), int), exponents(2, 3)])
    scale = np.array([2.0 ** -a.sum() / np.sqrt(np.prod([factorial(n) for n in a])) for a in powers])
    design = np.concatenate([np.ones((9, 2, 1)), monomials(z, 3)], axis=2) * scale
    spread = (y - y.mean()).std()  # the ridge is measured in it
    for out in range(9):
        rest = np.delete(design, out, axis=0).reshape(-1, len(powers))
        targets = np.delete(y - y.mean(), out, axis=0).reshape(-1, 1) / spread
        augmented = np.vstack([rest, np.sqrt(ridge) * np.eye(len(powers))])
        weights = np.linalg.lstsq(augmented, np.vstack([targets, np.zeros((len(powers), 1))]), rcond=None)[0]
        error = (y[out, 0] - y.mean()) - design[out, 0] @ weights * spread
        assert np.allclose(fit.left_out[out], error, atol=tolerance * spread, rtol=tolerance)


def test_a_polynomial_is_found_exactly() -> None:
    z = RNG.normal(size=(60, 1, 3))
    fit = fit_polynomial(z, cubic(z), degree=5, lengths=[2.0, 4.0])
    new = RNG.normal(size=(20, 3))
    assert np.allclose(fit.constant + monomials(new, 5) @ fit.coefficients, cubic(new), atol=1e-4)
    assert np.abs(fit.left_out).max() < 1e-3


def test_slopes_stand_in_for_samples() -> None:
    """Six samples of a cubic in three variables are far too few, with their gradients they are enough."""
    z = RNG.normal(size=(8, 1, 3))
    y = cubic(z)[..., :1]
    gradient = np.stack([3 * z[..., 0] ** 2 + 0.5, -2 * z[..., 2], -2 * z[..., 1]], axis=2)[..., None]
    new = RNG.normal(size=(50, 3))
    truth = cubic(new)[:, :1]

    def error(slopes: np.ndarray | None) -> float:
        fit = fit_polynomial(z, y, degree=3, lengths=[2.0, 4.0], slopes=slopes)
        return float(np.abs(fit.constant + monomials(new, 3) @ fit.coefficients - truth).max())

    assert error(gradient) < 0.05 * error(None)
    assert error(gradient) < 1e-2


def test_what_does_not_vary_is_predicted_exactly() -> None:
    z = RNG.normal(size=(10, 1, 2))
    fit = fit_polynomial(z, np.full((10, 1, 1), 3.5), degree=2, lengths=[2.0])
    assert fit.constant == 3.5 and not fit.coefficients.any()


def test_a_blend_is_the_mean_of_its_polynomials_and_of_their_left_out_errors() -> None:
    z = RNG.normal(size=(30, 1, 3))
    y = np.stack([np.sin(9 * z.sum(axis=2)), np.sin(9 * z[..., 0])], axis=-1)  # too rough for either
    fits = [fit_polynomial(z, y, degree=degree, lengths=[2.0]) for degree in (2, 3)]
    mixed, new = blended(fits), RNG.normal(size=(5, 3))
    values = [fit.constant + monomials(new, d) @ fit.coefficients for fit, d in zip(fits, (2, 3), strict=True)]
    np.testing.assert_allclose(mixed.constant + monomials(new, 3) @ mixed.coefficients, np.mean(values, axis=0))
    np.testing.assert_allclose(mixed.left_out, 0.5 * (fits[0].left_out + fits[1].left_out))
    assert blended(fits[:1]).coefficients.shape == fits[0].coefficients.shape


def test_a_degree_that_is_too_low_is_not_blended_in() -> None:
    z = RNG.normal(size=(40, 1, 3))
    low, high = (fit_polynomial(z, cubic(z), degree=degree, lengths=[2.0]) for degree in (2, 3))
    assert blended([low, high]) is high
