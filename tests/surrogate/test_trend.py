"""Least-squares trend: exact on polynomials, and the degree is chosen by what was left out."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.surrogate.trend import fit_trend, monomials


def sample(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def predict(z: np.ndarray, constants: np.ndarray, coefficients: np.ndarray, degree: int = 2) -> np.ndarray:
    return constants + monomials(z, degree) @ coefficients


def test_monomials_are_all_products_once():
    z = np.array([2.0, 3.0, 5.0])
    np.testing.assert_array_equal(monomials(z, 2), [2, 3, 5, 4, 6, 10, 9, 15, 25])
    np.testing.assert_array_equal(monomials(z, 1), z)
    assert monomials(z, 0).shape == (0,)


def test_quadratic_and_linear_maps_are_found_exactly_each_with_its_degree():
    z, rng = sample(60), np.random.default_rng(1)
    truth = rng.normal(size=(27, 2))
    truth[6:, 1] = 0  # the second output is linear
    outputs = 0.7 + monomials(z, 2) @ truth
    constants, coefficients = fit_trend(z, outputs, 2)
    np.testing.assert_allclose(
        predict(sample(20, 2), constants, coefficients), 0.7 + monomials(sample(20, 2), 2) @ truth
    )


def test_leave_one_out_by_formula_is_leave_one_out_by_hand():
    """The degree that wins is the one that wins when each sample is really left out and fitted anew."""
    z, rng = sample(45), np.random.default_rng(3)
    outputs = monomials(z, 1) @ rng.normal(size=(6, 12)) + rng.normal(size=(45, 12)) * np.geomspace(0.01, 30, 12)
    outputs[:, ::2] += monomials(z, 2)[:, 6:] @ rng.normal(size=(21, 6))
    by_hand = np.zeros((3, 12))
    for degree in range(3):
        for left in range(45):
            kept = np.delete(np.arange(45), left)
            design = np.c_[np.ones(45), monomials(z, degree)]
            solution = np.linalg.lstsq(design[kept], outputs[kept], rcond=None)[0]
            by_hand[degree] += (outputs[left] - design[left] @ solution) ** 2
    _, coefficients = fit_trend(z, outputs, 2)
    chosen = np.where((coefficients[6:] != 0).any(axis=0), 2, np.where((coefficients != 0).any(axis=0), 1, 0))
    np.testing.assert_array_equal(chosen, by_hand.argmin(axis=0))
    assert set(chosen) == {0, 1, 2}  # the data are such that each degree wins somewhere


@pytest.mark.parametrize(("n", "highest"), [(5, 0), (7, 0), (12, 1), (28, 1)])
def test_too_few_samples_never_get_as_many_numbers_as_they_are(n, highest):
    outputs = monomials(sample(n), 2) @ np.random.default_rng(4).normal(size=(27, 3))
    _, coefficients = fit_trend(sample(n), outputs, 2)
    allowed = {0: 0, 1: 6}[highest]
    assert (coefficients[allowed:] == 0).all()


def test_inputs_that_do_not_vary_get_no_part():
    z = sample(40)
    z[:, 3] = 0
    outputs = z[:, :1] ** 2 + z[:, 1:2]
    constants, coefficients = fit_trend(z, outputs, 2)
    np.testing.assert_allclose(predict(z, constants, coefficients), outputs, atol=1e-12)
    moved = z.copy()
    moved[:, 3] = 5
    np.testing.assert_allclose(predict(moved, constants, coefficients), outputs, atol=1e-12)


def test_degree_zero_is_the_mean():
    outputs = sample(9)[:, :2]
    constants, coefficients = fit_trend(sample(9, 5), outputs, 0)
    np.testing.assert_allclose(constants, outputs.mean(axis=0))
    assert coefficients.shape == (0, 2)
