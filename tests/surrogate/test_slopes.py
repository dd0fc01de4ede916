"""Derivatives of polynomials, against automatic differentiation."""

from __future__ import annotations

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellfields.surrogate import Surrogate
from cellfields.surrogate._joint import JointMaps
from cellfields.surrogate._slopes import derivative
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
