"""Cauchy stress by differentiating an energy (paper, eq. 13 and Appendix B).

    σ = V⁻¹ F (∂𝓕/∂E) Fᵀ   ⇔   σ_ij = V⁻¹ d𝓕/dη_ij  for  F → (1 + η) F

Under η the row vectors of the lattice become L (1 + η)ᵀ and D follows from their lengths and angles, so that the chain
rule dD/dη is left to JAX. The result is in the frame of the lattice, tension positive, Hartree/Bohr³.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def deformation_of_lattice(lattice: jax.Array, lengths_ref: jax.Array) -> jax.Array:
    """D (6,) of row vectors (3, 3) relative to the reference edges (3,), differentiable; angles in degrees."""
    return deformation_of_metric(lattice @ lattice.T, lengths_ref)


def deformation_of_metric(metric: jax.Array, lengths_ref: jax.Array) -> jax.Array:
    """The same from the scalar products a_i · a_j (3, 3)."""
    lengths = jnp.sqrt(jnp.diagonal(metric))
    cosines = jnp.stack(
        [
            metric[1, 2] / (lengths[1] * lengths[2]),
            metric[0, 2] / (lengths[0] * lengths[2]),
            metric[0, 1] / (lengths[0] * lengths[1]),
        ]
    )
    return jnp.concatenate([lengths / lengths_ref, jnp.degrees(jnp.arccos(cosines))])


def lattice_of_deformation(deformation: jax.Array, lengths_ref: jax.Array) -> jax.Array:
    """Row vectors (3, 3) of D (6,) in the standard frame, a ∥ x and b in the xy plane: the inverse of the above."""
    cos_a, cos_b, cos_c = jnp.cos(jnp.radians(deformation[3:]))
    sin_c = jnp.sin(jnp.radians(deformation[5]))
    y = (cos_a - cos_b * cos_c) / sin_c
    unit = jnp.stack([1.0, 0.0, 0.0, cos_c, sin_c, 0.0, cos_b, y, jnp.sqrt(1 - cos_b**2 - y**2)]).reshape(3, 3)
    return jnp.asarray(unit * (deformation[:3] * lengths_ref)[:, None])


def cauchy_stress(energy: Callable[[jax.Array], jax.Array], lattice: jax.Array, lengths_ref: jax.Array) -> jax.Array:
    """σ (3, 3) of ``energy``: D (6,) → 𝓕, at the deformed cell ``lattice``."""
    return cauchy_stress_and_energy(energy, lattice, lengths_ref)[1]


def cauchy_stress_and_energy(
    energy: Callable[[jax.Array], jax.Array], lattice: jax.Array, lengths_ref: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """𝓕 and σ (3, 3)."""

    def strained(eta: jax.Array) -> jax.Array:
        return energy(deformation_of_lattice(lattice @ (jnp.eye(3) + eta).T, lengths_ref))

    value, gradient = jax.value_and_grad(strained)(jnp.zeros((3, 3)))
    return value, jnp.asarray((gradient + gradient.T) / (2 * jnp.linalg.det(lattice)))


@jax.jit
def energy_gradient(stress: jax.Array, lattice: jax.Array, lengths_ref: jax.Array) -> jax.Array:
    """∂𝓕/∂D (6,), angles in degrees, of the Cauchy stress (3, 3) at ``lattice``: the inverse of :func:`cauchy_stress`.

    V σ : η = ∂𝓕/∂D · dD/dη for the six independent symmetric η.
    """
    strains = jnp.stack(
        [
            0.5 * (jnp.eye(3)[i][:, None] * jnp.eye(3)[j] + jnp.eye(3)[j][:, None] * jnp.eye(3)[i])
            for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
        ]
    )

    def strained(amplitudes: jax.Array) -> jax.Array:
        eta = jnp.tensordot(amplitudes, strains, axes=1)
        return deformation_of_lattice(lattice @ (jnp.eye(3) + eta).T, lengths_ref)

    jacobian = jax.jacfwd(strained)(jnp.zeros(6))  # (6 of D, 6 of η)
    work = jnp.linalg.det(lattice) * jnp.einsum("ij,vij->v", stress, strains)
    return jnp.asarray(jnp.linalg.solve(jacobian.T, work))
