"""Conversions between D, lattice and metric, the deformation gradient F, and the stress conjugate to D.

    G_ij = a_i · a_j ,   l_i = √G_ii ,   cos θ_ij = G_ij / (l_i l_j) ,   D = (l_i / l⁰_i, θ_bc, θ_ac, θ_ab)
    a = l_a x̂ ,   b = l_b (cos θ_ab, sin θ_ab, 0) ,   c_z = l_c √(det G) / (l_a l_b l_c sin θ_ab)
    L = L⁰ Fᵀ ,   E = ½ (FᵀF − 1)                                                rows of L: a, b, c
    d𝓕 = H : dG ,   σ = (2/V) Lᵀ H L  ⇔  H = ½ V L⁻ᵀ σ L⁻¹                       σ_ij = V⁻¹ d𝓕/dη_ij for F → (1 + η) F
    ∂𝓕/∂l_i = 2 Σ_j H_ij G_ij / l_i ,   ∂𝓕/∂θ_ij = −2 H_ij l_i l_j sin θ_ij

Pure, differentiable functions of NumPy or JAX arrays with any leading axes. They do not check their arguments;
:mod:`~cellfields.crystal.deformation` does. Lengths in Bohr, angles in
degrees, lattice vectors are rows; the standard frame has a ∥ x and b in the xy plane; tension is positive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cellfields.crystal.voigt import COLUMNS, ROWS, Numbers, from_voigt

_FIRST, _SECOND = ROWS[3:], COLUMNS[3:]
"""Edges that θa, θb, θc lie between; entry i also names the two angles that edge i is a side of."""


def array_namespace(*arrays: Any) -> Any:
    """The module that computes with these arrays: ``jax.numpy`` if one of them is a JAX array, else ``numpy``.

    It is what the first array that is not NumPy's returns as ``__array_namespace__`` (the array API standard); traced
    JAX arrays have it too. A single evaluation of a small formula takes NumPy a third of JAX's time, without compiling.
    """
    for array in arrays:
        if not isinstance(array, np.ndarray) and hasattr(array, "__array_namespace__"):
            return array.__array_namespace__()
    return np


# -- lattice and metric -----------------------------------------------------------------------------------------------


def metric_of_lattice(lattice: Numbers) -> Numbers:
    """Scalar products G (…, 3, 3) of row lattice vectors (…, 3, 3), Bohr²."""
    rows: Any = lattice
    metric: Numbers = rows @ array_namespace(rows).swapaxes(rows, -1, -2)
    return metric


def lengths_and_angles_of_metric(metric: Numbers) -> tuple[Numbers, Numbers]:
    """Lengths (…, 3) in Bohr and angles (…, 3) in degrees, (b, c), (a, c), (a, b), of G (…, 3, 3)."""
    xp = array_namespace(metric)
    lengths, cosines = _lengths_and_cosines(metric, xp)
    return lengths, xp.degrees(xp.arccos(xp.clip(cosines, -1, 1)))


def lattice_of_lengths_and_angles(lengths: Numbers, angles: Numbers) -> Numbers:
    """Row vectors (…, 3, 3) in the standard frame, from lengths (…, 3) in Bohr and angles (…, 3) in degrees.

    The result is nan where the angles close no cell.
    """
    edges: Any = lengths
    xp = array_namespace(lengths, angles)
    radians = xp.radians(angles)
    cosines = xp.cos(radians)
    cos_a, cos_b, cos_c = cosines[..., 0], cosines[..., 1], cosines[..., 2]
    sin_c = xp.sin(radians[..., 2])
    gram = 1 - cos_a**2 - cos_b**2 - cos_c**2 + 2 * cos_a * cos_b * cos_c  # det G of unit vectors
    one, zero = xp.ones_like(sin_c), xp.zeros_like(sin_c)
    rows = (one, zero, zero, cos_c, sin_c, zero, cos_b, (cos_a - cos_b * cos_c) / sin_c, xp.sqrt(gram) / sin_c)
    unit = xp.stack(rows, axis=-1)
    lattice: Numbers = unit.reshape(*unit.shape[:-1], 3, 3) * edges[..., None]
    return lattice


# -- D ----------------------------------------------------------------------------------------------------------------


def deformation_of_metric(metric: Numbers, lengths_ref: Any) -> Numbers:
    """D (…, 6) of G (…, 3, 3) relative to the reference cell's edges (3,)."""
    lengths, angles = lengths_and_angles_of_metric(metric)
    deformation: Numbers = array_namespace(metric).concatenate([lengths / lengths_ref, angles], axis=-1)
    return deformation


def deformation_of_lattice(lattice: Numbers, lengths_ref: Any) -> Numbers:
    """D (…, 6) of row vectors (…, 3, 3), in any orientation, relative to the reference cell's edges (3,)."""
    return deformation_of_metric(metric_of_lattice(lattice), lengths_ref)


def lattice_of_deformation(deformation: Numbers, lengths_ref: Any) -> Numbers:
    """Row vectors (…, 3, 3) of D (…, 6) in the standard frame: the inverse of :func:`deformation_of_lattice`."""
    six: Any = deformation
    lattice: Numbers = lattice_of_lengths_and_angles(six[..., :3] * lengths_ref, six[..., 3:])
    return lattice


def deformation_gradient_of_lattice(lattice: Numbers, lattice_ref: Any) -> Numbers:
    """F (…, 3, 3), a = F a⁰ for column vectors, from row vectors (…, 3, 3) and the reference cell's (3, 3)."""
    xp = array_namespace(lattice, lattice_ref)
    gradient: Numbers = xp.swapaxes(xp.linalg.solve(lattice_ref, lattice), -1, -2)
    return gradient


# -- stress -----------------------------------------------------------------------------------------------------------


def stress_of_energy_gradient(gradient: Numbers, lattice: Any, lengths_ref: Any) -> Numbers:
    """Cauchy stress σ (…, 3, 3), Hartree/Bohr³, in the frame of the lattice.

    Args:
        gradient: ∂𝓕/∂D (…, 6), Hartree, and Hartree per degree.
        lattice: its row vectors (…, 3, 3), Bohr.
        lengths_ref: edges of the reference cell (3,), Bohr.
    """
    by_component: Any = gradient
    xp = array_namespace(gradient, lattice, lengths_ref)
    lengths, cosines = _lengths_and_cosines(metric_of_lattice(lattice), xp)
    half_by_cosine = -0.5 * xp.degrees(by_component[..., 3:]) / xp.sqrt(1 - cosines**2)
    shares = half_by_cosine * cosines  # of each angle in the two edges it lies between
    normal = 0.5 * by_component[..., :3] / lengths_ref / lengths
    normal = normal - (shares[..., _FIRST] + shares[..., _SECOND]) / lengths**2
    shear = half_by_cosine / (lengths[..., _FIRST] * lengths[..., _SECOND])
    by_metric = from_voigt(xp.concatenate([normal, shear], axis=-1))
    volume = xp.abs(xp.linalg.det(lattice))[..., None, None]
    half = xp.swapaxes(lattice, -1, -2) @ by_metric @ lattice
    stress: Numbers = (half + xp.swapaxes(half, -1, -2)) / volume  # symmetric to the last bit
    return stress


def energy_gradient_of_stress(stress: Numbers, lattice: Any, lengths_ref: Any) -> Numbers:
    """∂𝓕/∂D (…, 6), Hartree, and Hartree per degree: the inverse of :func:`stress_of_energy_gradient`.

    Args:
        stress: Cauchy (…, 3, 3), Hartree/Bohr³, in the frame of the lattice.
        lattice: its row vectors (…, 3, 3), Bohr.
        lengths_ref: edges of the reference cell (3,), Bohr.
    """
    xp = array_namespace(stress, lattice, lengths_ref)
    inverse = xp.linalg.inv(lattice)
    volume = xp.abs(xp.linalg.det(lattice))[..., None, None]
    by_metric = 0.5 * volume * (xp.swapaxes(inverse, -1, -2) @ stress @ inverse)
    metric = metric_of_lattice(lattice)
    lengths, cosines = _lengths_and_cosines(metric, xp)
    by_length = 2 * (by_metric * metric).sum(axis=-1) / lengths
    areas = lengths[..., _FIRST] * lengths[..., _SECOND] * xp.sqrt(1 - cosines**2)
    by_angle = xp.radians(-2 * by_metric[..., _FIRST, _SECOND] * areas)
    gradient: Numbers = xp.concatenate([by_length * lengths_ref, by_angle], axis=-1)
    return gradient


def _lengths_and_cosines(metric: Any, xp: Any) -> tuple[Any, Any]:
    """Lengths (…, 3), and cosines (…, 3) of the angles (b, c), (a, c), (a, b), of a metric G (…, 3, 3)."""
    lengths = xp.sqrt(xp.diagonal(metric, axis1=-2, axis2=-1))
    return lengths, metric[..., _FIRST, _SECOND] / (lengths[..., _FIRST] * lengths[..., _SECOND])
