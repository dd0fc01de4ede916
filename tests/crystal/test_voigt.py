"""Symmetric tensors as six numbers: one order, the same as ASE's, and the same in JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress

from cellfields.crystal.voigt import (
    COLUMNS,
    NAMES,
    PLACES,
    ROWS,
    TENSOR_FROM_ENGINEERING,
    VOIGT,
    from_voigt,
    stiffness_from_voigt,
    stiffness_to_voigt,
    to_voigt,
)

RNG = np.random.default_rng(7)


def test_the_tables_say_the_same() -> None:
    for place, (i, j) in enumerate(VOIGT):
        assert PLACES[i, j] == PLACES[j, i] == place
        assert (ROWS[place], COLUMNS[place]) == (i, j)
        assert NAMES[place] == "xyz"[i] + "xyz"[j]
        assert TENSOR_FROM_ENGINEERING[place] == (1 if i == j else 0.5)


def test_the_order_is_ases() -> None:
    tensor = from_voigt(np.arange(1.0, 7.0))
    np.testing.assert_array_equal(tensor, tensor.T)
    np.testing.assert_array_equal(full_3x3_to_voigt_6_stress(tensor), np.arange(1.0, 7.0))
    np.testing.assert_array_equal(to_voigt(tensor), np.arange(1.0, 7.0))


def test_many_at_once_and_in_jax() -> None:
    components = RNG.normal(size=(4, 5, 6))
    tensors = from_voigt(components)
    assert tensors.shape == (4, 5, 3, 3)
    np.testing.assert_array_equal(to_voigt(tensors), components)
    single = jnp.asarray(components, jnp.float32)
    np.testing.assert_array_equal(from_voigt(single), tensors.astype(np.float32))
    np.testing.assert_array_equal(to_voigt(from_voigt(single)), components.astype(np.float32))


def test_stiffnesses_contract_as_matrices() -> None:
    """C : ε with engineering shears is the matrix times six numbers."""
    constants, strain = RNG.normal(size=(2, 6, 6)), RNG.normal(size=6)
    tensor = stiffness_from_voigt(constants)
    np.testing.assert_array_equal(stiffness_to_voigt(tensor), constants)
    stress = np.einsum("nijkl,kl->nij", tensor, from_voigt(strain * TENSOR_FROM_ENGINEERING))
    np.testing.assert_allclose(to_voigt(stress), constants @ strain, rtol=1e-12, atol=1e-13)
