"""Project values on a grid onto the crystal's Fourier basis, and measure what the coefficients do not hold.

    ‖f‖² = ‖f_kept‖² + ‖f_asymmetric‖² + ‖f_beyond‖²        Parseval on the grid

The basis holds what keeps the crystal's translations and inversion, up to its cutoff. A density that another code
computed has that symmetry as far as its atoms, its mesh and its rounding do; the part without it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.formats.grid_field import GridField
from cellfields.state.fields import FourierBasis
from cellfields.state.quantities import quantity

_HUGE = 1e12
_ROUNDING = 1e-14  # of a power that is the difference of two


@dataclass(frozen=True)
class Loss:
    """Parts of a field that its coefficients do not hold, in units of ‖f‖.

    Attributes:
        asymmetry: breaks the translations or the inversion of the crystal.
        cutoff: lies beyond the cutoff of the Fourier basis.
    """

    asymmetry: float
    cutoff: float


def project(
    name: str, field: GridField, shift: FloatArray, volume: float, basis: FourierBasis, crystal: Crystal, cutoff: float
) -> tuple[Array, Loss]:
    """Coefficients (M,) of a field as :class:`ElectronicFields` stores it, and what they lack.

    Args:
        name: of the field, whose declaration says what is done: ρ, u and s are multiplied by the volume, φ gets zero
            mean.
        field: on its grid.
        shift: (3,) fractional coordinate, in the grid's cell, of the crystal's origin.
        volume: of the deformed cell, Bohr³.
        basis: of the crystal.
        crystal: whose reference cell defines the cutoff.
        cutoff: of the basis, Hartree.

    Raises:
        InputError: values that are not finite, or all zero, or a field that nobody declared.
    """
    values = np.asarray(field.values, dtype=float)
    if not ((np.abs(values) < _HUGE).all() and (np.abs(field.origin) < _HUGE).all()):  # nor nan
        raise InputError(f"the grid of its {name} holds numbers that are not finite, or larger than any crystal's")
    declared = quantity(name)
    if declared.times_volume:
        values = values * volume
    if declared.zero_mean:
        values = values - values.mean()
    total = float(np.mean(values**2))
    if total == 0:
        raise InputError(f"the grid of its {name} is zero everywhere")
    coefficients = basis.from_grid(values, field.origin - shift)
    kept = float(np.sum(basis.to_vector(coefficients) ** 2))
    inside, outside = _power(values, crystal, cutoff)
    broken = inside - kept if inside - kept > _ROUNDING * total else 0.0
    return coefficients, Loss(*(float(np.sqrt(power / total)) for power in (broken, outside)))


def _power(values: FloatArray, crystal: Crystal, cutoff: float) -> tuple[float, float]:
    """Σ|f_m|² over all m with ½|G⁰|² ≤ cutoff that the grid resolves, whatever their symmetry, and over the others."""
    reciprocal = 2 * np.pi * np.linalg.inv(crystal.lattice_ref).T
    axes = [np.fft.fftfreq(n, 1 / n) for n in values.shape]
    vectors = (axes[0][:, None, None, None] * reciprocal[0], axes[1][:, None, None] * reciprocal[1])
    energies = 0.5 * ((vectors[0] + vectors[1] + axes[2][:, None] * reciprocal[2]) ** 2).sum(axis=-1)
    resolved = [2 * np.abs(axis) < n for axis, n in zip(axes, values.shape, strict=True)]
    inside = (energies <= cutoff) & resolved[0][:, None, None] & resolved[1][:, None] & resolved[2]
    power = np.abs(np.fft.fftn(values) / values.size) ** 2
    return float(power[inside].sum()), float(power[~inside].sum())
