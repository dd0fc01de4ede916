"""Energy, atoms and stress of many strains at once, for multiscale calculations with a thousand cells in each step.

    F(D) ,   R̄(D) = R̄⁰ + ξ(D)·B ,   σ(D) = V⁻¹ d𝓕/dη        one compiled call for all strains

The lattices of the cells are made where the stress is differentiated, so nothing is done strain by strain in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from cellfields._typing import Array, FloatArray
from cellfields.crystal.kinematics import lattice_of_deformation, stress_of_energy_gradient

BLOCK = 64  # strains at a time: intermediate results stay in the cache


@dataclass(frozen=True, eq=False)
class Batch:
    """Predictions of n strains.

    Attributes:
        free_energy: (n,) Hartree per cell.
        internal: (n, n_int) internal coordinates, fractional.
        positions: (n, N, 3) of the atoms, fractional.
        stress: (n, 3, 3) Cauchy, Hartree/Bohr³, tension positive, in the frame of the lattice.
        in_domain: (n,) of bool, whether each strain lies in the training domain.
    """

    free_energy: FloatArray
    internal: FloatArray
    positions: FloatArray
    stress: FloatArray
    in_domain: Array

    def __len__(self) -> int:
        return len(self.free_energy)


@jax.jit
def energies_and_stresses(
    energy: Any, deformations: jax.Array, reference_lengths: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """F (n,), Hartree, and σ (n, 3, 3), Hartree/Bohr³, at D (n, 6); n is a multiple of :data:`BLOCK`, or below it."""

    def energy_and_stress(deformation: jax.Array) -> tuple[jax.Array, jax.Array]:
        lattice = lattice_of_deformation(deformation, reference_lengths)
        value, gradient = jax.value_and_grad(lambda d: energy(d)[0])(deformation)
        return value, stress_of_energy_gradient(gradient, lattice, reference_lengths)

    result: tuple[jax.Array, jax.Array] = jax.lax.map(
        energy_and_stress, deformations, batch_size=min(BLOCK, len(deformations))
    )
    return jnp.asarray(result[0]), jnp.asarray(result[1])
