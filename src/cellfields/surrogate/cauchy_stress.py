"""Cauchy stress by differentiating an energy (paper, eq. 13 and Appendix B).

    σ = V⁻¹ F (∂𝓕/∂E) Fᵀ   ⇔   σ_ij = V⁻¹ d𝓕/dη_ij  for  F → (1 + η) F

JAX differentiates the energy by D; the chain rule from D to η is that of :mod:`cellfields.crystal.kinematics`. The
result is in the frame of the lattice, tension positive, Hartree/Bohr³.
"""

from __future__ import annotations

from collections.abc import Callable

import jax

from cellfields.crystal.kinematics import deformation_of_lattice, stress_of_energy_gradient


def cauchy_stress(energy: Callable[[jax.Array], jax.Array], lattice: jax.Array, lengths_ref: jax.Array) -> jax.Array:
    """σ (3, 3), Hartree/Bohr³, of ``energy``: D (6,) → 𝓕, at the deformed cell ``lattice`` (3, 3), Bohr."""
    return cauchy_stress_and_energy(energy, lattice, lengths_ref)[1]


def cauchy_stress_and_energy(
    energy: Callable[[jax.Array], jax.Array], lattice: jax.Array, lengths_ref: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """𝓕, Hartree, and σ (3, 3), Hartree/Bohr³, of ``energy``: D (6,) → 𝓕, at the cell ``lattice`` (3, 3), Bohr."""
    value, gradient = jax.value_and_grad(energy)(deformation_of_lattice(lattice, lengths_ref))
    return value, stress_of_energy_gradient(gradient, lattice, lengths_ref)
