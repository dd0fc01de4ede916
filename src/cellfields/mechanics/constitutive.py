"""A surrogate as a hyperelastic material: F → P and dP/dF at thousands of material points at once, in JAX.

    w(C) = 𝓕(D(C)) / V⁰ ,   C = FᵀF ,   S = 2 ∂w/∂C ,   P = F S
    dP_iJ/dF_kL = δ_ik S_LJ + F_iM F_kN ∂S_MJ/∂E_NL

w depends on F through C alone, so the law is objective by construction: P(QF) = Q P(F) for every rotation Q. It is the
second derivative of one function, so dP/dF is symmetric. Polyconvexity is *not* claimed: a crystal is not polyconvex,
it has instabilities, and a surrogate of it should have them too.

Outside the strains that the surrogate was trained on the answer is nan, unless extrapolation is asked for: a compiled
function cannot raise, and a wrong number in one integration point of a million would not be noticed.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal.kinematics import deformation_of_metric
from cellfields.crystal.voigt import TENSOR_FROM_ENGINEERING, from_voigt, stiffness_from_voigt
from cellfields.errors import InputError
from cellfields.surrogate import Surrogate
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.units import GPA

_UNITS = {"hartree/bohr^3": 1.0, "gpa": GPA}
_CHUNK = 64  # points at a time: their intermediate results stay in the cache
_BLOCK = 1024  # points of one compiled call
_CHANGE = 2 * from_voigt(np.diag(TENSOR_FROM_ENGINEERING))  # (6, 3, 3): dC = 2 dE of each engineering strain


class ConstitutiveLaw(eqx.Module):
    """F → P, dP/dF. A pytree of arrays: it may be passed through ``jax.jit``, ``jax.vmap`` and ``jax.grad``.

    P is in the frame that F is given in; F acts on the reference crystal in its frame (a ∥ x, b in the xy plane). A
    crystal that lies in the body with rotation R (columns: the crystal's axes) has P(F) = law(F R) Rᵀ.

    Attributes:
        energy: the surrogate's map D → 𝓕.
        lattice: (3, 3) reference lattice vectors, Bohr.
        domain: centre, box and ellipsoid of the training strains.
        scale: from Hartree per cell to the unit of P.
        guarded: answers nan outside the domain.
    """

    energy: Any
    lattice: Any
    domain: _Domain
    scale: float = eqx.field(static=True)
    guarded: bool = eqx.field(static=True)

    @classmethod
    def from_surrogate(
        cls,
        surrogate: Surrogate,
        *,
        units: Literal["hartree/bohr^3", "gpa"] = "hartree/bohr^3",
        outside: Literal["nan", "extrapolate"] = "nan",
        dtype: Literal["float64", "float32"] = "float64",
    ) -> Self:
        """Make the law of a trained surrogate.

        Args:
            surrogate: a surrogate that knows the free energy.
            units: unit of P and dP/dF.
            outside: what to return beyond the training domain: "nan", or "extrapolate" for the surrogate's values.
            dtype: type of all arithmetic; "float64" needs calls inside JAX's x64 mode, which :meth:`evaluate` enters.

        Raises:
            InputError: the surrogate has no free energy, or units, outside or dtype is not one of the values above.
        """
        if "free_energy" not in surrogate.regressors:
            raise InputError("this surrogate does not know the free energy: it has no stress to give")
        for name, value, allowed in (
            ("units", units, _UNITS),
            ("outside", outside, ("nan", "extrapolate")),
            ("dtype", dtype, ("float64", "float32")),
        ):
            if value not in allowed:
                raise InputError(f"{name} = {value!r} must be one of {', '.join(allowed)}")
        crystal = surrogate.crystal
        law = cls(
            energy=surrogate.regressors["free_energy"],
            lattice=crystal.lattice_ref,
            domain=_Domain.of(surrogate),
            scale=_UNITS[units] / crystal.volume_ref,
            guarded=outside == "nan",
        )
        with double_precision():
            cast: Self = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), law)
        return cast

    def __call__(self, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        """One material point: F (3, 3) → P (3, 3), A (3, 3, 3, 3) with A[i, J, k, L] = ∂P_iJ/∂F_kL.

        Traceable: ``jax.jit(jax.vmap(law))`` takes (n, 3, 3). Many points are quicker in pieces that fit the cache:
        ``jax.lax.map(law, gradients, batch_size=64)``.
        """
        metric = gradient.T @ gradient
        second, stiffness = self._in_material_frame(metric)
        if self.guarded:
            inside = self.inside(gradient)
            second, stiffness = jnp.where(inside, second, jnp.nan), jnp.where(inside, stiffness, jnp.nan)
        first = gradient @ second
        material = stiffness_from_voigt(stiffness)  # ∂S_MJ/∂E_NL
        spatial = jnp.einsum("im,kn,mjnl->ijkl", gradient, gradient, material)
        tangent = spatial + jnp.einsum("ik,jl->ijkl", jnp.eye(3, dtype=gradient.dtype), second)
        return first, tangent

    def inside(self, gradient: jax.Array) -> jax.Array:
        """Whether F (…, 3, 3) lies in the training domain and has det F > 0: bool (…); traceable."""

        def is_inside(f: jax.Array) -> jax.Array:
            return jnp.logical_and(self.domain.contains(self._deformation(f.T @ f)), jnp.linalg.det(f) > 0)

        return jnp.asarray(jnp.vectorize(is_inside, signature="(i,j)->()")(gradient))

    def evaluate(self, gradients: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Many material points from NumPy to NumPy, compiled: F (…, 3, 3) → P (…, 3, 3), dP/dF (…, 3, 3, 3, 3).

        Raises:
            InputError: the gradients do not have the shape (…, 3, 3).
        """
        gradients = np.asarray(gradients)
        if gradients.shape[-2:] != (3, 3):
            raise InputError(f"deformation gradients must be an array (…, 3, 3), got shape {gradients.shape}")
        leading, count = gradients.shape[:-2], int(np.prod(gradients.shape[:-2]))
        # Each batch size takes seconds to compile, so only two are used.
        block = _CHUNK if count <= _CHUNK else _BLOCK
        padded = np.tile(np.eye(3), (-(-count // block) * block, 1, 1))
        padded[:count] = gradients.reshape(-1, 3, 3)
        first = np.empty(padded.shape, self.lattice.dtype)
        tangent = np.empty((len(padded), 3, 3, 3, 3), self.lattice.dtype)
        with double_precision():
            for rows in (slice(start, start + block) for start in range(0, len(padded), block)):
                first[rows], tangent[rows] = _evaluate(self, jnp.asarray(padded[rows], self.lattice.dtype))
        return first[:count].reshape(*leading, 3, 3), tangent[:count].reshape(*leading, 3, 3, 3, 3)

    # -- inside -------------------------------------------------------------------------------------------------

    def _deformation(self, metric: jax.Array) -> jax.Array:
        """D (6,) of C (3, 3): a_i · a_j = a⁰_i · C a⁰_j."""
        lengths = jnp.linalg.norm(self.lattice, axis=1)
        deformation: jax.Array = deformation_of_metric(self.lattice @ metric @ self.lattice.T, lengths)
        return deformation

    def _in_material_frame(self, metric: jax.Array) -> tuple[jax.Array, jax.Array]:
        """S (3, 3) and ∂S_I/∂E_J (6, 6) with engineering shears, at C (3, 3)."""

        def energy_density(strain: jax.Array) -> jax.Array:
            change = jnp.tensordot(strain, jnp.asarray(_CHANGE, strain.dtype), axes=1)
            return jnp.asarray(self.scale * self.energy(self._deformation(metric + change))[0])

        zero = jnp.zeros(6, metric.dtype)
        slope = jax.grad(energy_density)
        return from_voigt(slope(zero)), jax.jacfwd(slope)(zero)


class _Domain(eqx.Module):
    """:class:`~cellfields.surrogate.training_domain.TrainingDomain` as JAX arrays."""

    lower: Any
    upper: Any
    mean: Any
    whitening: Any
    reach: Any

    @classmethod
    def of(cls, surrogate: Surrogate) -> Self:
        domain = surrogate.domain
        slack = 1e-6 * np.abs(domain.mean)  # room for single precision
        return cls(domain.lower - slack, domain.upper + slack, domain.mean, domain.whitening, np.array(domain.reach))

    def contains(self, deformation: jax.Array) -> jax.Array:
        boxed = jnp.all((deformation >= self.lower) & (deformation <= self.upper))
        distance = jnp.linalg.norm(self.whitening @ (deformation - self.mean))
        return jnp.logical_and(boxed, distance <= self.reach)


@jax.jit
def _evaluate(law: ConstitutiveLaw, gradients: jax.Array) -> tuple[jax.Array, jax.Array]:
    result: tuple[jax.Array, jax.Array] = jax.lax.map(law, gradients, batch_size=_CHUNK)
    return result
