"""Derivatives of polynomials and the stress that follows, against automatic differentiation and differences."""

from __future__ import annotations

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, lengths_and_angles
from cellfields.surrogate import Surrogate
from cellfields.surrogate._joint import JointMaps
from cellfields.surrogate._slopes import derivative, lattices_of, stress_of_slopes
from cellfields.surrogate.cauchy_stress import cauchy_stress
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.surrogate.trend import exponents, monomials
from tests.surrogate.samples import draw

pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")
RNG = np.random.default_rng(3)


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_a_polynomials_derivative_is_a_polynomial(degree: int) -> None:
    trend = RNG.normal(size=len(exponents(6, degree)))
    constant, coefficients = derivative(trend, degree)
    z = RNG.normal(size=(5, 6))
    with double_precision():
        by_jax = jax.vmap(jax.grad(lambda x: monomials(x, degree) @ trend))(jnp.asarray(z))
    np.testing.assert_allclose(constant + monomials(z, degree) @ coefficients, by_jax, rtol=1e-12, atol=1e-12)


def test_stress_is_that_of_automatic_differentiation(crystal: Crystal) -> None:
    """Of an energy that is no more than its slopes at one strain: F = s · D."""
    lengths = lengths_and_angles(crystal.lattice_ref)[0]
    strains = np.array([d.as_array() for d in draw(crystal, 7, seed=2)])
    slopes = RNG.normal(size=(7, 6))
    lattices = lattices_of(strains, lengths)
    found = stress_of_slopes(slopes, strains, lattices)
    for row, strain in enumerate(strains):
        np.testing.assert_allclose(lattices[row], Deformation.from_array(strain).lattice(crystal), atol=1e-14)
        np.testing.assert_allclose(stress_of_slopes(slopes[row], strain, lattices[row]), found[row], rtol=1e-12)
        with double_precision():
            by_jax = cauchy_stress(lambda d, s=slopes[row]: d @ s, jnp.asarray(lattices[row]), jnp.asarray(lengths))
        np.testing.assert_allclose(found[row], by_jax, rtol=1e-11, atol=1e-14)


def test_joint_maps_are_the_maps_one_by_one(surrogate: Surrogate) -> None:
    joint = JointMaps.of(surrogate._in_double)
    assert (joint.slopes is not None) == (surrogate.recipe.name == "best")
    strains = np.array([d.as_array() for d in draw(surrogate.crystal, 150, seed=2)])
    outputs, slopes = joint.with_slopes(strains)
    assert list(outputs) == list(surrogate.regressors)
    for name, regressor in surrogate._in_double.items():
        np.testing.assert_allclose(outputs[name], regressor(strains), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(joint(strains[3])[name], outputs[name][3], rtol=1e-10, atol=1e-13)
    if slopes is not None:
        energy, gradient = surrogate.energy_and_gradient(strains)
        np.testing.assert_allclose(outputs["free_energy"][:, 0], energy, rtol=1e-13)
        np.testing.assert_allclose(slopes, gradient, rtol=1e-9, atol=1e-13)


def test_polynomials_need_no_compilation(surrogate: Surrogate, monkeypatch: pytest.MonkeyPatch) -> None:
    if surrogate.recipe.name != "best":
        pytest.skip("networks are differentiated by JAX")
    fresh = pickle.loads(pickle.dumps(surrogate))
    monkeypatch.setattr("cellfields.surrogate.surrogate._stress", None)
    monkeypatch.setattr("cellfields.surrogate.surrogate.energies_and_stresses", None)
    strain = draw(fresh.crystal, 1, seed=2)[0]
    state, batch = fresh.solve(strain), fresh.solve_batch([strain.as_array()])
    np.testing.assert_allclose(state.stress, batch.stress[0], rtol=1e-12)
