"""Every definition of stress is the derivative it says it is, of the energy of an engine and of a surrogate."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.crystal.voigt import VOIGT, from_voigt, to_voigt
from cellfields.errors import InputError
from cellfields.mechanics.stress_measures import Stress, small_strain_stress
from cellfields.state import CellState
from cellfields.surrogate import Recipe, Surrogate
from tests.mechanics.engines import HyperelasticEngine
from tests.toy import ToyEngine, magnesium

_EIGHTH_ORDER = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}  # central differences
TRICLINIC = Deformation((1.03, 0.98, 1.02), (92.0, 87.5, 91.0))


def derivative(function, step: float = 1e-3) -> float:
    """f'(0) with an error of step⁸."""
    return sum(w * (function(n * step) - function(-n * step)) for n, w in _EIGHTH_ORDER.items()) / step


def unit(i: int, j: int) -> np.ndarray:
    strain = np.zeros((3, 3))
    strain[i, j] = strain[j, i] = 1
    return strain


def silicon() -> Crystal:
    lattice = 5.13 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return Crystal(lattice, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


@pytest.fixture(scope="module", params=[magnesium, silicon], ids=["magnesium", "silicon"])
def engine(request) -> HyperelasticEngine:
    return HyperelasticEngine(request.param(), residual=np.array([1e-4, -2e-4, 5e-5, 1e-5, 0, -2e-5]))


@pytest.fixture(scope="module")
def state(engine) -> CellState:
    return engine.solve(strained(engine.crystal))


def strained(crystal: Crystal) -> Deformation:
    shear = np.array([[1.03, 0.02, -0.01], [0.0, 0.98, 0.015], [0.0, 0.0, 1.02]])
    return Deformation.from_deformation_gradient(shear, crystal)


def energy(engine, gradient) -> float:
    return engine.solve(Deformation.from_deformation_gradient(gradient, engine.crystal)).free_energy


def test_first_piola_is_the_derivative_by_the_deformation_gradient(engine, state):
    stress = Stress.of(state, engine.crystal)
    numerical = np.array(
        [
            [
                derivative(
                    lambda h, i=i, j=j: energy(engine, stress.gradient + h * np.outer(np.eye(3)[i], np.eye(3)[j]))
                )
                for j in range(3)
            ]
            for i in range(3)
        ]
    )
    np.testing.assert_allclose(stress.first_piola, numerical / engine.crystal.volume_ref, atol=1e-12)


def test_second_piola_is_the_derivative_by_green_strain(engine, state):
    np.testing.assert_allclose(
        to_voigt(Stress.of(state, engine.crystal).second_piola),
        engine.second_piola(engine.strain(state.deformation)),
        rtol=1e-10,
        atol=1e-14,
    )


def test_energy_gradient_is_the_derivative_by_d(engine, state):
    values = state.deformation.as_array()
    numerical = [
        derivative(lambda h, e=e: engine.solve(Deformation.from_array(values + h * e)).free_energy) for e in np.eye(6)
    ]
    found = Stress.of(state, engine.crystal).energy_gradient
    np.testing.assert_allclose(found, numerical, rtol=1e-9, atol=1e-12)


def test_equation_14_is_the_derivative_by_the_papers_strain():
    """σ_ij = V⁻¹ ∂𝓕/∂ε_ij with ε by eq. 15 and 16; each shear is shared by two components."""
    engine = HyperelasticEngine(magnesium(), residual=np.array([1e-4, -2e-4, 5e-5, 1e-5, 0, -2e-5]))
    crystal, state = engine.crystal, engine.solve(TRICLINIC)
    strain = TRICLINIC.small_strain(crystal)
    numerical = np.zeros((3, 3))
    for i, j in VOIGT:
        slope = derivative(
            lambda h, i=i, j=j: (
                engine.solve(Deformation.from_small_strain(strain + h * unit(i, j), crystal)).free_energy
            )
        )
        numerical[i, j] = numerical[j, i] = slope / (1 if i == j else 2)
    expected = numerical / state.volume
    found = Stress.of(state, crystal)
    np.testing.assert_allclose(found.small_strain, expected, atol=1e-12)
    assert np.abs(found.small_strain - found.cauchy).max() > 1e-6  # they are different numbers


def test_with_right_angles_equation_14_is_cauchy_over_stretch():
    engine = HyperelasticEngine(magnesium())
    state = engine.solve(Deformation((1.05, 0.97, 1.02), (90.0, 90.0, 90.0)))
    stress = Stress.of(state, engine.crystal)
    np.testing.assert_allclose(np.diagonal(stress.small_strain), np.diagonal(stress.cauchy) / [1.05, 0.97, 1.02])


def test_equation_14_needs_a_cell_with_right_angles():
    engine = HyperelasticEngine(silicon())
    stress = Stress.of(engine.solve(strained(engine.crystal)), engine.crystal)
    with pytest.raises(InputError, match="right angles"):
        _ = stress.small_strain
    assert "small_strain" not in stress.to_dict()


def test_a_state_without_stress_is_refused(state, engine):
    from dataclasses import replace

    with pytest.raises(InputError, match="no stress"):
        Stress.of(replace(state, stress=None), engine.crystal)


def test_voigt_order_is_that_of_ase():
    from ase.stress import full_3x3_to_voigt_6_stress

    tensor = from_voigt(np.arange(1.0, 7.0))
    np.testing.assert_array_equal(full_3x3_to_voigt_6_stress(tensor), np.arange(1.0, 7.0))
    np.testing.assert_array_equal(to_voigt(tensor), np.arange(1.0, 7.0))


# -- the surrogate --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["paper", "taylor", "best"])
def surrogate(request) -> Surrogate:
    engine = ToyEngine(magnesium(), field_cutoff=1.0)
    states = map(engine.solve, sample_deformations(engine.crystal, 40, seed=0, stretch_sigma=0.03, angle_sigma=2))
    networks = {"small_widths": (20, 30, 20), "field_widths": (8,), "epochs": 60}
    recipe = Recipe(name=request.param, **({"degree": 3} if request.param == "best" else networks))
    return Surrogate.train(engine.crystal, states, recipe)


def test_surrogate_stress_is_the_derivative_of_its_energy_to_1e_8(surrogate):
    crystal = surrogate.crystal
    for deformation in sample_deformations(crystal, 3, seed=9, stretch_sigma=0.02, angle_sigma=1.5):
        state = surrogate.solve(deformation)
        gradient = deformation.deformation_gradient(crystal)
        numerical = np.zeros((3, 3))
        for i, j in VOIGT:
            slope = derivative(lambda h, i=i, j=j, f=gradient: energy(surrogate, (np.eye(3) + h * unit(i, j)) @ f))
            numerical[i, j] = numerical[j, i] = slope / (1 if i == j else 2) / state.volume
        assert np.abs(state.stress - numerical).max() <= 1e-8 * np.abs(numerical).max()


def test_appendix_b_backpropagation():
    """The paper's formulae, line by line, against automatic differentiation of the same network."""
    engine = ToyEngine(magnesium(), field_cutoff=1.0)
    states = map(engine.solve, sample_deformations(engine.crystal, 30, seed=0))
    recipe = Recipe(field_widths=(4,), small_widths=(50, 100, 50), epochs=20)
    surrogate = Surrogate.train(engine.crystal, states, recipe)
    net = jax.tree.map(lambda leaf: np.asarray(leaf, float), surrogate.regressors["free_energy"])
    kernels, biases = net.network.kernels, net.network.biases
    strain = TRICLINIC.as_array()
    # first and fourth line: W⁽⁰⁾ and b⁽⁰⁾ are standard deviation and mean of D, W⁽⁵⁾ and b⁽⁵⁾ those of 𝓕
    hidden = [(strain - net.input_mean) * net.input_scale]
    for kernel, bias in zip(kernels[:3], biases[:3], strict=True):
        hidden.append(np.tanh(kernel.T @ hidden[-1] + bias))
    energy = net.output_scale[0] * (kernels[3].T @ hidden[-1] + biases[3])[0] + net.output_mean[0]
    slope = net.output_scale[0] * kernels[3][:, 0]  # ∂𝓕/∂h⁽³⁾
    for kernel, value in zip(kernels[2::-1], hidden[:0:-1], strict=True):
        slope = kernel @ (slope * (1 - value**2))  # Σ_j ∂𝓕/∂h_j g'(·)_j W_ij
    slope = slope * net.input_scale  # 1 / W⁽⁰⁾_ii
    value, gradient = surrogate.energy_and_gradient([strain])
    assert energy == pytest.approx(value[0], rel=1e-14)
    np.testing.assert_allclose(slope, gradient[0], rtol=1e-10)
    # and the last line, the chain rule to ∂𝓕/∂ε, against the stress
    stress = Stress.of(surrogate.solve(TRICLINIC), engine.crystal)
    by_chain = small_strain_stress(slope, TRICLINIC, engine.crystal)
    np.testing.assert_allclose(by_chain, stress.small_strain, rtol=1e-9, atol=1e-16)
