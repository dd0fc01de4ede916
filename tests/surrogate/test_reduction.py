"""PCA in function space: exactness, truncation, and the electron number."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.surrogate.reduction import LiftedFields, Reduction

RNG = np.random.default_rng(0)


def test_all_modes_reproduce_the_training_vectors_and_modes_are_orthonormal():
    vectors = RNG.normal(size=(9, 40))
    reduction = Reduction.fit(vectors, 50)
    assert reduction.size == 8  # centring takes one
    np.testing.assert_allclose(reduction.modes @ reduction.modes.T, np.eye(8), atol=1e-13)
    np.testing.assert_allclose(reduction.lift(reduction.project(vectors)), vectors, atol=1e-13)
    assert reduction.truncation_error(vectors).max() < 1e-14


def test_large_data_give_the_same_modes_as_a_full_decomposition():
    """Subspace iteration against the full SVD, on a spectrum that falls off as those of fields do."""
    rotation, _ = np.linalg.qr(RNG.normal(size=(700, 600)))
    vectors = RNG.normal(size=(900, 600)) * np.exp(-np.arange(600) / 12) @ rotation.T + 5
    vectors[:, 3] = 5
    reduction = Reduction.fit(vectors, 10)
    singular, rows = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)[1:]
    assert reduction.size == 10 and (reduction.modes[:, 3] == 0).all()
    np.testing.assert_allclose(reduction.modes @ reduction.modes.T, np.eye(10), atol=1e-12)
    outside = reduction.modes - (reduction.modes @ rows[:10].T) @ rows[:10]
    assert np.linalg.norm(outside, 2) < 1e-9  # sine of the largest angle between the two spaces
    variances = np.linalg.norm(reduction.project(vectors), axis=0)
    np.testing.assert_allclose(variances, singular[:10], rtol=1e-10)
    np.testing.assert_array_equal(Reduction.fit(vectors, 10).modes, reduction.modes)


def test_truncation_leaves_exactly_the_discarded_variance():
    vectors = RNG.normal(size=(12, 30)) * np.geomspace(1, 1e-3, 30)
    singular = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    reduction = Reduction.fit(vectors, 4)
    assert reduction.size == 4
    left_out = reduction.truncation_error(vectors) * np.linalg.norm(vectors, axis=1)
    assert np.sum(left_out**2) == pytest.approx(np.sum(singular[4:] ** 2), rel=1e-10)


def test_pca_of_vectors_is_pca_of_functions(states):
    """The L² norm of what is left out is the same on a real-space grid: Parseval."""
    vectors = np.array([state.fields.vector("density") for state in states])
    reduction = Reduction.fit(vectors, 3)
    basis = states[0].fields.basis
    fields = LiftedFields(basis, {"density": reduction}, {"density": reduction.project(vectors[0])})
    shape = (27, 45, 45)
    grid = basis.to_grid(states[0].fields.coefficients["density"] - fields["density"], shape)
    expected = reduction.truncation_error(vectors[0]) * np.linalg.norm(vectors[0])
    assert np.sqrt(np.mean(grid**2)) == pytest.approx(expected, rel=1e-10)


def test_no_mode_touches_a_coefficient_that_is_constant_up_to_rounding(states):
    vectors = np.array([state.fields.vector("density") for state in states])
    vectors[:, 0] = 8 * (1 + 1e-13 * RNG.normal(size=len(vectors)))  # as a real engine's electron number comes
    reduction = Reduction.fit(vectors, 20)
    assert (reduction.modes[:, 0] == 0).all()
    wild = reduction.lift(100 * RNG.normal(size=(5, reduction.size)))
    np.testing.assert_array_equal(wild[:, 0], reduction.mean[0])
    assert reduction.mean[0] == pytest.approx(8, abs=1e-12)


def test_modes_that_the_data_do_not_have_are_not_invented():
    line = np.outer(np.linspace(-1, 1, 10), RNG.normal(size=20)) + 3.0
    assert Reduction.fit(line, 5).size == 1
    constant = Reduction.fit(np.ones((4, 7)), 5)
    assert constant.size == 0
    np.testing.assert_array_equal(constant.lift(np.zeros(0)), np.ones(7))


def test_cell_mean_is_the_first_entry_of_the_lifted_vector(states):
    vectors = np.array([state.fields.vector("band_energy_density") for state in states])
    reduction = Reduction.fit(vectors, 5)
    reduced = reduction.project(vectors)
    np.testing.assert_allclose(reduction.cell_mean(reduced), reduction.lift(reduced)[:, 0], rtol=1e-14)


def test_fields_are_lifted_only_when_asked_for(states):
    vectors = np.array([state.fields.vector("density") for state in states])
    reduction = Reduction.fit(vectors, 5)
    lifted = LiftedFields(states[0].fields.basis, {"density": reduction}, {"density": reduction.project(vectors[0])})
    assert "density" in lifted and "coulomb_potential" not in lifted and len(lifted) == 1
    assert lifted._lifted == {}
    assert lifted["density"] is lifted["density"]


@pytest.mark.parametrize("vectors", [np.ones((1, 5)), np.ones(5), np.full((3, 5), np.nan)])
def test_useless_data_are_refused(vectors):
    with pytest.raises(InputError, match=r"at least 2 vectors|not finite"):
        Reduction.fit(vectors, 3)
