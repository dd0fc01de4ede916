"""The constitutive law: the surrogate's stress and its exact derivative, objective, guarded, in both precisions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.units import Bohr, GPa, Hartree
from scipy.spatial.transform import Rotation

from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.errors import InputError
from cellfields.mechanics import ConstitutiveLaw, Stress, uniaxial_test
from cellfields.surrogate.jax_arrays import double_precision


@pytest.fixture(scope="module")
def gradients(learned) -> np.ndarray:
    strains = sample_deformations(learned.crystal, 5, seed=3, stretch_sigma=0.01, angle_sigma=0.5)
    return np.array([d.deformation_gradient(learned.crystal) for d in strains])


@pytest.fixture(scope="module")
def law(learned) -> ConstitutiveLaw:
    return ConstitutiveLaw.from_surrogate(learned)


def test_it_is_the_first_piola_stress_of_the_surrogate(learned, law, gradients):
    first, _ = law.evaluate(gradients)
    for gradient, found in zip(gradients, first, strict=True):
        state = learned.solve(Deformation.from_deformation_gradient(gradient, learned.crystal))
        expected = Stress.of(state, learned.crystal).first_piola
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_tangent_is_its_derivative_and_symmetric(law, gradients):
    _, tangent = law.evaluate(gradients)
    step = 1e-5
    for gradient, found in zip(gradients, tangent, strict=True):
        probes = gradient + step * np.eye(9).reshape(9, 3, 3)
        mirrors = gradient - step * np.eye(9).reshape(9, 3, 3)
        numerical = (law.evaluate(probes)[0] - law.evaluate(mirrors)[0]) / (2 * step)
        np.testing.assert_allclose(found, np.moveaxis(numerical, 0, -1).reshape(3, 3, 3, 3), atol=1e-10)
        np.testing.assert_allclose(found, found.transpose(2, 3, 0, 1), atol=1e-13)


def test_objectivity(law, gradients):
    """P(QF) = Q P(F), and the tangent turns with it."""
    turns = Rotation.random(len(gradients), random_state=1).as_matrix()
    first, tangent = law.evaluate(gradients)
    turned, turned_tangent = law.evaluate(turns @ gradients)
    np.testing.assert_allclose(turned, turns @ first, atol=1e-14)
    expected = np.einsum("nia,nkb,naJbL->niJkL", turns, turns, tangent)
    np.testing.assert_allclose(turned_tangent, expected, atol=1e-13)


def test_jit_vmap_and_grad(law, gradients):
    with double_precision():
        first, tangent = jax.jit(jax.vmap(law))(jnp.asarray(gradients))
        np.testing.assert_allclose(first, law.evaluate(gradients)[0], atol=1e-15)
        by_jax = jax.jit(jax.jacfwd(lambda f: law(f)[0]))(jnp.asarray(gradients[0]))
        np.testing.assert_allclose(by_jax, tangent[0], atol=1e-13)


def test_leading_axes(law, gradients):
    one, tangent = law.evaluate(gradients[0])
    assert one.shape == (3, 3) and tangent.shape == (3, 3, 3, 3)
    many, _ = law.evaluate(np.broadcast_to(gradients[0], (2, 520, 3, 3)))  # more than one block
    np.testing.assert_allclose(many, np.broadcast_to(one, (2, 520, 3, 3)), atol=1e-16)
    with pytest.raises(InputError, match=r"\(…, 3, 3\)"):
        law.evaluate(np.zeros((4, 9)))


def test_single_precision(learned, law, gradients):
    single = ConstitutiveLaw.from_surrogate(learned, dtype="float32")
    first, tangent = single.evaluate(gradients)
    assert first.dtype == tangent.dtype == np.float32
    exact, exact_tangent = law.evaluate(gradients)
    assert np.abs(first - exact).max() < 1e-4 * np.abs(exact).max()
    assert np.abs(tangent - exact_tangent).max() < 1e-4 * np.abs(exact_tangent).max()


def test_outside_the_domain_it_is_nan_unless_asked_to_extrapolate(learned, law, gradients):
    far = np.diag([1.2, 1.0, 1.0])
    batch = np.stack([gradients[0], far])
    first, tangent = law.evaluate(batch)
    assert np.isfinite(first[0]).all() and np.isfinite(tangent[0]).all()
    assert np.isnan(first[1]).all() and np.isnan(tangent[1]).all()
    with double_precision():
        assert jax.jit(jax.vmap(law.inside))(jnp.asarray(batch)).tolist() == [True, False]
        assert law.inside(jnp.asarray(batch)).tolist() == [True, False]
    inverted = np.diag([-1.0, 1, 1]) @ gradients[0]  # its FᵀF is that of an element in the domain
    assert np.isnan(law.evaluate(inverted)[0]).all()
    free = ConstitutiveLaw.from_surrogate(learned, outside="extrapolate")
    assert np.isfinite(free.evaluate(far)[0]).all()


def test_units(learned, law, gradients):
    in_gpa = ConstitutiveLaw.from_surrogate(learned, units="gpa")
    np.testing.assert_allclose(
        in_gpa.evaluate(gradients)[0], (Hartree / Bohr**3 / GPa) * law.evaluate(gradients)[0], rtol=1e-9
    )


@pytest.mark.parametrize("wrong", [{"units": "psi"}, {"outside": "raise"}, {"dtype": "float16"}])
def test_wrong_words(learned, wrong):
    with pytest.raises(InputError, match="must be one of"):
        ConstitutiveLaw.from_surrogate(learned, **wrong)


def test_the_learned_curve_is_that_of_the_formula(formula, learned):
    """One code path, two engines: the "ML" curve on the "true" one."""
    strains = [-0.02, -0.01, 0.01, 0.02]
    true, found = (uniaxial_test(engine, 1, strains).table() for engine in (formula, learned))
    np.testing.assert_allclose(found.stress, true.stress, atol=1e-6)
    np.testing.assert_allclose(found.strains, true.strains, atol=5e-4)
