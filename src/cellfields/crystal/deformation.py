"""Deformation D = (λa, λb, λc, θa, θb, θc) of a reference cell; its lattice and strains (paper, eq. 9, 15, 16).

    a = λa |a⁰| x̂ ,   b in the xy plane ,   θa = ∠(b, c), θb = ∠(a, c), θc = ∠(a, b)
    a = F a⁰ ,  b = F b⁰ ,  c = F c⁰ ,   E = ½ (Fᵀ F − 1)

Lengths in Bohr, angles in degrees. Lattice vectors are the *rows* of a (3, 3) array, always in the frame a ∥ x,
b in the xy plane, for the reference cell and the deformed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
from scipy.special import ndtr, ndtri

from cellfields._typing import FloatArray
from cellfields.crystal.kinematics import (
    deformation_gradient_of_lattice,
    deformation_of_lattice,
    lattice_of_lengths_and_angles,
    lengths_and_angles_of_metric,
    metric_of_lattice,
)
from cellfields.crystal.voigt import from_voigt, to_voigt
from cellfields.errors import InputError

if TYPE_CHECKING:
    from cellfields.crystal.crystal import Crystal

STRETCH_RANGE = (0.5, 2.0)
ANGLE_RANGE = (20.0, 160.0)
Component = Literal["lambda_a", "lambda_b", "lambda_c", "theta_a", "theta_b", "theta_c"]
COMPONENTS: tuple[Component, ...] = get_args(Component)
"""Names of the six numbers of D, in order, as files and settings write them."""

SYMBOLS = ("λa", "λb", "λc", "θa", "θb", "θc")
"""Symbols of the six numbers of D, in order, as messages and reports show them."""

_FLATTEST = 1e-4  # squared volume of a cell with unit edges


def lattice_from_lengths_and_angles(lengths: FloatArray, angles: FloatArray) -> FloatArray:
    """Row lattice vectors in the standard frame, (3, 3), from three lengths and three angles in degrees.

    Raises:
        InputError: no cell has these angles, or its vectors would be nearly coplanar.
    """
    cos_a, cos_b, cos_c = np.cos(np.radians(angles))
    if 1 - cos_a**2 - cos_b**2 - cos_c**2 + 2 * cos_a * cos_b * cos_c < _FLATTEST:
        raise InputError(
            f"angles θ = {tuple(float(x) for x in angles)} degrees close no cell: each must be smaller than the sum of "
            "the other two, and their sum smaller than 360"
        )
    unit = lattice_of_lengths_and_angles(np.ones(3), np.asarray(angles, dtype=float))
    unit[np.abs(unit) < 1e-15] = 0.0  # right angles give exact zeros
    return np.asarray(unit * np.asarray(lengths, dtype=float)[:, None])


def lengths_and_angles(lattice: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lengths (3,) and angles (3,) in degrees of row lattice vectors (3, 3)."""
    return lengths_and_angles_of_metric(metric_of_lattice(lattice))


def in_standard_frame(lattice: FloatArray) -> FloatArray:
    """A right-handed lattice (3, 3 rows, Bohr) turned into the standard frame, a ∥ x and b in the xy plane.

    A lattice that is in this frame already keeps its numbers to the last bit, so that it may be written to a file and
    read back without change.

    Raises:
        InputError: the vectors are nearly coplanar.
    """
    upper = lattice[np.triu_indices(3, 1)]
    if not upper.any() and (np.diagonal(lattice) > 0).all():
        small = np.abs(lattice) < 1e-15 * np.linalg.norm(lattice, axis=1)[:, None]
        lattice_from_lengths_and_angles(*lengths_and_angles(lattice))  # refuses what is nearly coplanar
        return np.where(small, 0.0, lattice)
    return lattice_from_lengths_and_angles(*lengths_and_angles(lattice))


@dataclass(frozen=True)
class Deformation:
    """A homogeneous deformation of a crystal's cell, up to a rotation.

    Attributes:
        stretches: λa, λb, λc, ratios of the cell's edges to those of the reference cell, each in 0.5 … 2.
        angles: θa, θb, θc in degrees, the angles between (b, c), (a, c), (a, b), each in 20 … 160.

    Raises:
        InputError: a stretch or angle outside its range, or angles that close no cell.
    """

    stretches: tuple[float, float, float]
    angles: tuple[float, float, float]

    def __post_init__(self) -> None:
        for label, names, values, (low, high), unit, hint in (
            ("stretches", SYMBOLS[:3], self.stretches, STRETCH_RANGE, "", "1 means undeformed"),
            ("angles", SYMBOLS[3:], self.angles, ANGLE_RANGE, " degrees", "angles are in degrees, not radians"),
        ):
            if len(values) != 3:
                raise InputError(f"{label} needs three numbers ({', '.join(names)}), got {len(values)}")
            for name, value in zip(names, values, strict=True):
                if not low <= value <= high:  # also catches nan
                    raise InputError(f"{name} = {value:g} is outside {low:g} … {high:g}{unit} ({hint})")
        object.__setattr__(self, "stretches", tuple(float(x) for x in self.stretches))
        object.__setattr__(self, "angles", tuple(float(x) for x in self.angles))
        lattice_from_lengths_and_angles(np.ones(3), np.array(self.angles))

    # -- constructors -------------------------------------------------------------------------------------------

    @classmethod
    def identity(cls, crystal: Crystal) -> Self:
        """The undeformed state: unit stretches and the reference cell's own angles."""
        _, angles = lengths_and_angles(crystal.lattice_ref)
        return cls((1.0, 1.0, 1.0), tuple(np.round(angles, 12)))

    @classmethod
    def from_array(cls, values: Sequence[float] | FloatArray) -> Self:
        """The deformation of six numbers (λa, λb, λc, θa, θb, θc), angles in degrees.

        Raises:
            InputError: not six numbers, or numbers out of range.
        """
        if len(values) != 6:
            raise InputError(f"D needs six numbers {','.join(SYMBOLS)}, got {len(values)}")
        a, b, c, ta, tb, tc = (float(x) for x in values)
        return cls((a, b, c), (ta, tb, tc))

    @classmethod
    def from_lattice(cls, lattice: FloatArray, crystal: Crystal) -> Self:
        """The deformation that takes the reference cell to a lattice.

        Args:
            lattice: (3, 3) rows in Bohr, right-handed, in any orientation.
            crystal: the reference crystal.

        Raises:
            InputError: a determinant that is not positive, or a stretch or angle out of range.
        """
        if np.linalg.det(lattice) <= 0:
            raise InputError("lattice vectors must be right-handed and span a volume (determinant > 0)")
        reference, _ = lengths_and_angles(crystal.lattice_ref)
        return cls.from_array(deformation_of_lattice(np.asarray(lattice, dtype=float), reference))

    @classmethod
    def from_deformation_gradient(cls, gradient: FloatArray, crystal: Crystal) -> Self:
        """The deformation of F (3, 3), which acts on the reference cell in the standard frame; rotations drop out.

        Raises:
            InputError: a determinant of F that is not positive, or a stretch or angle out of range.
        """
        return cls.from_lattice(crystal.lattice_ref @ np.asarray(gradient, dtype=float).T, crystal)

    @classmethod
    def from_small_strain(cls, strain: FloatArray, crystal: Crystal) -> Self:
        """The deformation of the paper's small strain ε (3, 3), eq. 15–16.

        Raises:
            InputError: the reference cell is not orthogonal, ε is not symmetric, or a stretch or angle is out of range.
        """
        _require_orthogonal(crystal)
        e = np.asarray(strain, dtype=float)
        if not np.allclose(e, e.T, atol=1e-12):
            raise InputError("small strain ε must be a symmetric 3 × 3 array")
        stretches = np.linalg.norm(np.eye(3) + e, axis=1)
        angles = 90 - np.degrees(2 * to_voigt(e)[3:])
        return cls(tuple(stretches), tuple(angles))

    # -- geometry -----------------------------------------------------------------------------------------------

    def as_array(self) -> FloatArray:
        """The six numbers (λa, λb, λc, θa, θb, θc), shape (6,), angles in degrees."""
        return np.array(self.stretches + self.angles)

    def lattice(self, crystal: Crystal) -> FloatArray:
        """Row lattice vectors of the deformed cell (3, 3), Bohr, standard frame."""
        reference, _ = lengths_and_angles(crystal.lattice_ref)
        return lattice_from_lengths_and_angles(np.array(self.stretches) * reference, np.array(self.angles))

    def volume(self, crystal: Crystal) -> float:
        """Volume of the deformed cell, Bohr³."""
        return float(np.linalg.det(self.lattice(crystal)))

    def volumetric_strain(self, crystal: Crystal) -> float:
        """Relative change of the cell's volume, V / V⁰ − 1."""
        return self.volume(crystal) / float(np.linalg.det(crystal.lattice_ref)) - 1

    def deformation_gradient(self, crystal: Crystal) -> FloatArray:
        """Deformation gradient F (3, 3), a = F a⁰ for column vectors; upper triangular in the standard frame."""
        return deformation_gradient_of_lattice(self.lattice(crystal), crystal.lattice_ref)

    def green_strain(self, crystal: Crystal) -> FloatArray:
        """Green–Lagrange strain E = ½ (FᵀF − 1), (3, 3)."""
        gradient = self.deformation_gradient(crystal)
        return 0.5 * (gradient.T @ gradient - np.eye(3))

    def small_strain(self, crystal: Crystal) -> FloatArray:
        """The paper's small strain ε (3, 3), eq. 15–16, of an orthogonal reference cell.

        Raises:
            InputError: the reference cell is not orthogonal, or a shear too large for eq. 15 to have a solution.
        """
        _require_orthogonal(crystal)
        shear = np.radians(90 - np.array(self.angles)) / 2  # ε₂₃, ε₁₃, ε₁₂
        e23, e13, e12 = shear
        squares = np.array(self.stretches) ** 2 - np.array([e12**2 + e13**2, e12**2 + e23**2, e13**2 + e23**2])
        if (squares <= 0).any():
            raise InputError("the shear is too large for the small-strain relations (eq. 15)")
        return from_voigt(np.concatenate([np.sqrt(squares) - 1, shear]))


def strains_of_gradients(gradients: FloatArray, crystal: Crystal) -> FloatArray:
    """D (n, 6) of many deformation gradients F (n, 3, 3); it depends on FᵀF alone, so that rotations drop out.

    Raises:
        InputError: a gradient whose determinant is not positive, or whose D is out of range; it names the first one.
    """
    gradients = np.asarray(gradients, dtype=float)
    with np.errstate(invalid="ignore"):
        broken = ~(np.linalg.det(gradients) > 0)
    if broken.any():
        raise InputError(f"deformation gradient {int(broken.argmax())} must be finite numbers of determinant > 0")
    reference, _ = lengths_and_angles(crystal.lattice_ref)
    strains = deformation_of_lattice(crystal.lattice_ref @ gradients.transpose(0, 2, 1), reference)
    low, high = np.repeat(np.transpose([STRETCH_RANGE, ANGLE_RANGE]), 3, axis=1)
    outside = ~((strains >= low) & (strains <= high)).all(axis=1)
    if outside.any():
        row = int(outside.argmax())
        try:
            Deformation.from_array(strains[row])
        except InputError as error:
            raise InputError(f"deformation gradient {row}: {error}") from None
    return strains


def _require_orthogonal(crystal: Crystal) -> None:
    _, angles = lengths_and_angles(crystal.lattice_ref)
    if np.abs(angles - 90).max() > 1e-6:
        raise InputError("small strain (eq. 15–16) is defined for reference cells with right angles only")


def sample_deformations(
    crystal: Crystal,
    count: int,
    *,
    seed: int,
    stretch_sigma: float = 0.05,
    angle_sigma: float = 3.0,
    cut: float = 2.0,
    decimals: int = 4,
    hold: Sequence[str] = (),
) -> list[Deformation]:
    """Draw strains as the paper does (section 4.2): independent normals, cut at ``cut`` sigma, rounded.

    Args:
        count: number of deformations.
        seed: of ``numpy.random.default_rng``; the first n of a longer draw are the draw of n.
        stretch_sigma: standard deviation of each λ − 1 before the cut; the paper's 0.05 spans 0.9 … 1.1.
        angle_sigma: standard deviation of each θ − θ⁰ in degrees before the cut; the paper's 3 spans ±6.
        cut: truncation in units of sigma.
        decimals: rounding of all six numbers, as in the authors' tables.
        hold: names (of :data:`COMPONENTS`) that keep the reference value: ``lambda_c``, ``theta_a``, ``theta_b`` for a
            slab or a sheet in the plane of a and b. The others are drawn as if nothing were held.

    Raises:
        InputError: a number out of range, an unknown name, or nothing left to draw.
    """
    unknown = [name for name in hold if name not in COMPONENTS]
    if unknown or set(hold) == set(COMPONENTS):
        raise InputError(f"hold = {list(hold)} must name some of {', '.join(COMPONENTS)}, but not all")
    if count < 0 or stretch_sigma < 0 or angle_sigma < 0 or cut <= 0:
        raise InputError("count, stretch_sigma and angle_sigma must not be negative, and cut must be positive")
    rng = np.random.default_rng(seed)
    normal = ndtri(rng.uniform(ndtr(-cut), ndtr(cut), size=(count, 6)))  # truncated normal by its inverse
    reference = Deformation.identity(crystal).as_array()
    values = np.round(reference + normal * np.repeat([stretch_sigma, angle_sigma], 3), decimals)
    held_columns = [COMPONENTS.index(name) for name in hold]
    values[:, held_columns] = reference[held_columns]
    return [Deformation.from_array(row) for row in values]
