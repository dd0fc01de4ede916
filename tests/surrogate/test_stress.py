"""Stress is the derivative of the energy that goes with it: by finite differences, and by eq. 13 as printed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import polar, sqrtm

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, lengths_and_angles, sample_deformations
from cellfields.crystal.kinematics import deformation_of_lattice
from cellfields.crystal.voigt import VOIGT
from cellfields.surrogate import Recipe, Surrogate
from cellfields.surrogate.cauchy_stress import cauchy_stress
from cellfields.surrogate.jax_arrays import double_precision
from tests.toy import ToyEngine

# What lies outside the domain is warned of (test_domain.py); here it does not matter.
pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")

STEP = 1e-4


def silicon() -> Crystal:
    """Primitive cell, angles of 60 degrees."""
    lattice = 5.13 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Crystal(lattice, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def energies(surrogate: Surrogate, gradients: list[np.ndarray]) -> np.ndarray:
    """F of the deformation gradients, in Hartree."""
    strains = [Deformation.from_deformation_gradient(f, surrogate.crystal).as_array() for f in gradients]
    return surrogate.energy_and_gradient(strains)[0]


def derivative(values: np.ndarray) -> float:
    """Fourth-order central difference from f(−2h), f(−h), f(h), f(2h)."""
    return float((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * STEP))


def unit(i: int, j: int) -> np.ndarray:
    """Symmetric strain with ones at (i, j) and (j, i)."""
    strain = np.zeros((3, 3))
    strain[i, j] = strain[j, i] = 1
    return strain


@pytest.fixture(scope="module", params=["magnesium", "silicon"])
def trained(request: pytest.FixtureRequest, crystal: Crystal) -> Surrogate:
    if request.param == "silicon":
        crystal = silicon()
    engine = ToyEngine(crystal, field_cutoff=1.0)
    states = map(engine.solve, sample_deformations(crystal, 30, seed=0, stretch_sigma=0.03, angle_sigma=2))
    recipe = Recipe(name="taylor", field_widths=(8,), small_widths=(20, 20), epochs=100)
    return Surrogate.train(crystal, states, recipe)


def test_stress_is_the_energy_derivative_with_respect_to_an_applied_strain(trained):
    """σ_ij = V⁻¹ d𝓕/dη_ij for F → (1 + η) F."""
    for deformation in sample_deformations(trained.crystal, 2, seed=5, stretch_sigma=0.03, angle_sigma=2):
        state = trained.solve(deformation)
        gradient = deformation.deformation_gradient(trained.crystal)
        numerical = np.zeros((3, 3))
        for i, j in VOIGT:
            strained = [(np.eye(3) + s * STEP * unit(i, j)) @ gradient for s in (-2, -1, 1, 2)]
            # Off the diagonal η_ij and η_ji move together: the derivative counts the component twice.
            numerical[i, j] = numerical[j, i] = derivative(energies(trained, strained)) / (1 if i == j else 2)
        numerical /= state.volume
        np.testing.assert_allclose(state.stress, numerical, atol=1e-6 * np.abs(numerical).max())
        assert np.abs(numerical).max() > 1e-5  # a stress worth the name
        np.testing.assert_array_equal(state.stress, state.stress.T)


def test_stress_is_equation_13(trained):
    """σ = V⁻¹ F (∂𝓕/∂E) Fᵀ, with ∂𝓕/∂E by finite differences in E itself."""
    deformation = sample_deformations(trained.crystal, 1, seed=6, stretch_sigma=0.03, angle_sigma=2)[0]
    gradient = deformation.deformation_gradient(trained.crystal)
    green = deformation.green_strain(trained.crystal)
    slope = np.zeros((3, 3))
    for i, j in VOIGT:
        stretched = [sqrtm(np.eye(3) + 2 * (green + s * STEP * unit(i, j))) for s in (-2, -1, 1, 2)]
        slope[i, j] = slope[j, i] = derivative(energies(trained, stretched)) / (1 if i == j else 2)
    state = trained.solve(deformation)
    expected = gradient @ slope @ gradient.T / state.volume
    np.testing.assert_allclose(state.stress, expected, atol=1e-6 * np.abs(expected).max())


def test_an_energy_of_the_volume_alone_gives_a_pressure():
    lengths = np.array([3.0, 4.0, 5.0])
    lattice = np.array([[3.1, 0, 0], [0.4, 4.2, 0], [-0.3, 0.5, 4.8]])

    def volume(d):
        edges, (a, b, c) = d[:3] * lengths, jnp.cos(jnp.radians(d[3:]))
        return jnp.prod(edges) * jnp.sqrt(1 - a**2 - b**2 - c**2 + 2 * a * b * c)

    with double_precision():
        stress = jax.jit(lambda l: cauchy_stress(lambda d: 0.03 * volume(d), l, jnp.asarray(lengths)))(lattice)
    np.testing.assert_allclose(stress, 0.03 * np.eye(3), atol=1e-15)


def test_lengths_and_angles_in_jax_are_those_of_deformation(trained):
    deformation = sample_deformations(trained.crystal, 1, seed=7)[0]
    lattice = deformation.lattice(trained.crystal)
    rotation, _ = polar(np.random.default_rng(0).normal(size=(3, 3)))
    reference = lengths_and_angles(trained.crystal.lattice_ref)[0]
    with double_precision():
        values = jax.jit(deformation_of_lattice)(lattice @ rotation, reference)
    np.testing.assert_allclose(values, deformation.as_array(), rtol=1e-12)
