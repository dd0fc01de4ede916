"""The cell's numbers in each other's terms: maps invert each other, derivatives are derivatives, and JAX agrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import special_ortho_group

from cellfields.crystal import kinematics
from cellfields.crystal.kinematics import (
    array_namespace,
    deformation_gradient_of_lattice,
    deformation_of_lattice,
    deformation_of_metric,
    energy_gradient_of_stress,
    lattice_of_deformation,
    lattice_of_lengths_and_angles,
    lengths_and_angles_of_metric,
    metric_of_lattice,
    stress_of_energy_gradient,
)
from cellfields.surrogate.jax_arrays import double_precision

Array = NDArray[np.float64]

RNG = np.random.default_rng(5)
LENGTHS = np.array([5.9, 7.1, 8.3])
REFERENCE = lattice_of_lengths_and_angles(LENGTHS, np.array([85.0, 93.0, 104.0]))
STRAINS = np.array([1, 1, 1, 85, 93, 104]) + RNG.normal(size=(6, 6)) * [0.05, 0.05, 0.05, 3, 3, 3]
STRAINS = np.concatenate([STRAINS, [[1, 1, 1, 90, 90, 90], [1.02, 0.97, 1, 60, 60, 60]]])
STRESSES = 1e-3 * RNG.normal(size=(len(STRAINS), 3, 3))
STRESSES = STRESSES + STRESSES.transpose(0, 2, 1)
GRADIENTS = RNG.normal(size=(len(STRAINS), 6)) * [1, 1, 1, 0.01, 0.01, 0.01]
LATTICES = lattice_of_deformation(STRAINS, LENGTHS)


def energy(strain: Any) -> Any:
    """Any smooth function of D (6,), with a slope and a curvature in each component."""
    xp = array_namespace(strain)
    stretch, angle = strain[..., :3] - 1, xp.radians(strain[..., 3:] - 90)
    mixed = (stretch * angle).sum(axis=-1)
    return 0.3 * (stretch**2).sum(axis=-1) + xp.sin(angle).sum(axis=-1) * 0.1 + mixed + stretch[..., 0] * angle[..., 2]


def derivative(function: Callable[[float], Any], step: float = 1e-3) -> Any:
    """Central difference of the fourth order."""
    return (8 * (function(step) - function(-step)) - function(2 * step) + function(-2 * step)) / (12 * step)


def by_components(function: Callable[[Array], Any], values: Array, step: float = 1e-3) -> Array:
    """Derivatives by each component of D (6,), angles in degrees; the last axis is that of D."""
    scales = np.array([1, 1, 1, 57, 57, 57])
    slopes = [derivative(lambda h, e=e: function(values + h * e), step) for e in np.diag(scales)]
    return np.moveaxis(np.array(slopes), 0, -1) / scales


# -- the maps invert each other -----------------------------------------------------------------------------------


def test_lattice_and_deformation_invert_each_other() -> None:
    np.testing.assert_allclose(deformation_of_lattice(LATTICES, LENGTHS), STRAINS, rtol=1e-13)
    np.testing.assert_array_equal(LATTICES[:, [0, 0, 1], [1, 2, 2]], 0)
    assert (np.diagonal(LATTICES, axis1=1, axis2=2) > 0).all()


def test_rotations_drop_out_of_the_metric() -> None:
    turn = special_ortho_group.rvs(3, random_state=np.random.default_rng(1))
    metric = metric_of_lattice(LATTICES @ turn.T)
    np.testing.assert_allclose(metric, np.einsum("nix,njx->nij", LATTICES, LATTICES), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(deformation_of_metric(metric, LENGTHS), STRAINS, rtol=1e-13)
    lengths, angles = lengths_and_angles_of_metric(metric)
    np.testing.assert_allclose(lengths, STRAINS[:, :3] * LENGTHS, rtol=1e-13)
    np.testing.assert_allclose(angles, STRAINS[:, 3:], rtol=1e-13)


def test_deformation_gradient_carries_the_reference_cell() -> None:
    gradients = deformation_gradient_of_lattice(LATTICES, REFERENCE)
    np.testing.assert_allclose(REFERENCE @ gradients.transpose(0, 2, 1), LATTICES, atol=1e-14)
    np.testing.assert_array_equal(deformation_gradient_of_lattice(LATTICES[2], REFERENCE), gradients[2])


def test_stress_and_energy_gradient_invert_each_other() -> None:
    gradients = energy_gradient_of_stress(STRESSES, LATTICES, LENGTHS)
    np.testing.assert_allclose(stress_of_energy_gradient(gradients, LATTICES, LENGTHS), STRESSES, atol=1e-16)
    stresses = stress_of_energy_gradient(GRADIENTS, LATTICES, LENGTHS)
    np.testing.assert_allclose(energy_gradient_of_stress(stresses, LATTICES, LENGTHS), GRADIENTS, atol=1e-14)
    np.testing.assert_array_equal(stresses, stresses.transpose(0, 2, 1))


# -- derivatives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", range(len(STRAINS)))
def test_stress_is_the_derivative_by_a_further_strain(row: int) -> None:
    """σ_ij = V⁻¹ d𝓕/dη_ij for F → (1 + η) F, with ∂𝓕/∂D by differences too, in a turned frame."""
    turn = special_ortho_group.rvs(3, random_state=np.random.default_rng(row))
    lattice = LATTICES[row] @ turn.T
    slope = by_components(energy, STRAINS[row])
    stress = stress_of_energy_gradient(slope, lattice, LENGTHS)

    def strained(i: int, j: int, h: float) -> Any:
        eta = np.zeros((3, 3))
        eta[i, j] = h
        return energy(deformation_of_lattice(lattice @ (np.eye(3) + eta).T, LENGTHS))

    numerical = [[derivative(lambda h, i=i, j=j: strained(i, j, h)) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(stress, np.array(numerical) / np.linalg.det(lattice), atol=1e-13)
    np.testing.assert_allclose(energy_gradient_of_stress(stress, lattice, LENGTHS), slope, atol=1e-13)


def test_automatic_differentiation_gives_the_same_stress() -> None:
    def strained(eta: jax.Array, lattice: jax.Array) -> Any:
        return energy(deformation_of_lattice(lattice @ (jnp.eye(3) + eta).T, LENGTHS))

    with double_precision():
        by_eta = jax.jit(jax.vmap(jax.grad(strained), in_axes=(None, 0)))(jnp.zeros((3, 3)), jnp.asarray(LATTICES))
        by_d = jax.vmap(jax.grad(energy))(jnp.asarray(STRAINS))
    expected = np.asarray(by_eta) / np.linalg.det(LATTICES)[:, None, None]
    np.testing.assert_allclose(stress_of_energy_gradient(np.asarray(by_d), LATTICES, LENGTHS), expected, atol=1e-15)


@pytest.mark.parametrize("row", range(len(STRAINS)))
def test_the_maps_are_differentiable(row: int) -> None:
    """JAX's derivatives of D → lattice, D → σ and lattice → D are those by differences, right angles among them."""

    def stress(strain: Any) -> Any:
        return stress_of_energy_gradient(GRADIENTS[row], lattice_of_deformation(strain, LENGTHS), LENGTHS)

    def round_trip(strain: Any) -> Any:
        return deformation_of_lattice(lattice_of_deformation(strain, LENGTHS), LENGTHS)

    with double_precision():
        values = jnp.asarray(STRAINS[row])
        slopes = jax.jacfwd(lambda d: lattice_of_deformation(d, LENGTHS))(values)
        stress_slopes, identity = jax.jacrev(stress)(values), jax.jacrev(round_trip)(values)
    numerical = by_components(lambda d: lattice_of_deformation(d, LENGTHS), STRAINS[row])
    np.testing.assert_allclose(slopes, numerical, atol=1e-9)
    np.testing.assert_allclose(stress_slopes, by_components(stress, STRAINS[row]), atol=1e-9)
    np.testing.assert_allclose(identity, np.eye(6), atol=1e-12)


# -- NumPy and JAX ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("metric_of_lattice", (LATTICES,)),
        ("lengths_and_angles_of_metric", (metric_of_lattice(LATTICES),)),
        ("lattice_of_lengths_and_angles", (STRAINS[:, :3] * LENGTHS, STRAINS[:, 3:])),
        ("deformation_of_metric", (metric_of_lattice(LATTICES), LENGTHS)),
        ("deformation_of_lattice", (LATTICES, LENGTHS)),
        ("lattice_of_deformation", (STRAINS, LENGTHS)),
        ("deformation_gradient_of_lattice", (LATTICES, REFERENCE)),
        ("stress_of_energy_gradient", (GRADIENTS, LATTICES, LENGTHS)),
        ("energy_gradient_of_stress", (STRESSES, LATTICES, LENGTHS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numpy_and_jax_agree(name: str, arguments: tuple[Array, ...]) -> None:
    function = getattr(kinematics, name)
    plain = function(*arguments)
    alone = function(*(a[3] if len(a) == len(STRAINS) else a for a in arguments))
    with double_precision():
        compiled = jax.jit(function)(*arguments)
        eager = function(jnp.asarray(arguments[0]), *arguments[1:])
    many = zip(*map(jax.tree.leaves, (plain, alone, compiled, eager)), strict=True)
    for values, single, by_jit, by_jax in many:
        assert isinstance(values, np.ndarray) and isinstance(by_jax, jax.Array) and by_jax.dtype == np.float64
        np.testing.assert_allclose(single, values[3], rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(by_jit, values, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(by_jax, values, rtol=1e-12, atol=1e-14)


def test_the_first_array_that_is_not_numpys_says_what_computes() -> None:
    assert array_namespace(LENGTHS, 1.0) is np
    assert array_namespace(LENGTHS, jnp.zeros(3)) is jnp
