"""What follows from elastic constants by algebra: averages, symmetry, Young's modulus in every direction.

    E(n)⁻¹ = s_ijkl n_i n_j n_k n_l                          s = C⁻¹
    Voigt: uniform strain, Reuss: uniform stress, Hill: their mean (Hill 1952)
    ⟨C⟩ = |G|⁻¹ Σ_{Q ∈ G} Q Q Q Q : C                        G: point group; ⟨C⟩ has its symmetry

Constants are (6, 6) in ASE's Voigt order; results have the unit of the constants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import polar

from cellfields._typing import FloatArray
from cellfields.crystal import SYMMETRY_TOLERANCE, Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.symmetry import space_group
from cellfields.crystal.voigt import to_voigt
from cellfields.errors import InputError
from cellfields.mechanics.crystal_axes import rotated

_SAME_STRAIN = 1e-6


@dataclass(frozen=True)
class Moduli:
    """Bulk and shear modulus in the averages of Voigt, Reuss and Hill, in the unit of the constants."""

    bulk_voigt: float
    bulk_reuss: float
    shear_voigt: float
    shear_reuss: float

    @property
    def bulk(self) -> float:
        """Hill's bulk modulus."""
        return 0.5 * (self.bulk_voigt + self.bulk_reuss)

    @property
    def shear(self) -> float:
        """Hill's shear modulus."""
        return 0.5 * (self.shear_voigt + self.shear_reuss)

    @property
    def young(self) -> float:
        """Hill's Young's modulus, 9KG/(3K + G)."""
        return 9 * self.bulk * self.shear / (3 * self.bulk + self.shear)

    @property
    def poisson(self) -> float:
        """Hill's Poisson's ratio, (3K − 2G)/(6K + 2G)."""
        return (3 * self.bulk - 2 * self.shear) / (6 * self.bulk + 2 * self.shear)

    @property
    def universal_anisotropy(self) -> float:
        """5 G_V/G_R + K_V/K_R − 6, zero for an isotropic solid (Ranganathan and Ostoja-Starzewski 2008)."""
        return 5 * self.shear_voigt / self.shear_reuss + self.bulk_voigt / self.bulk_reuss - 6


def zener_anisotropy(constants: FloatArray) -> float:
    """2 C44/(C11 − C12) of constants (6, 6) of a cubic crystal in its own axes, one for an isotropic solid."""
    return float(2 * constants[3, 3] / (constants[0, 0] - constants[0, 1]))


def moduli(constants: FloatArray) -> Moduli:
    """Bulk and shear modulus of constants (6, 6), averaged over all orientations.

    Raises:
        InputError: the constants are singular.
    """
    c, s = constants, compliance(constants)

    def parts(m: FloatArray) -> tuple[float, float, float]:
        diagonal, off = np.trace(m[:3, :3]), m[0, 1] + m[0, 2] + m[1, 2]
        return float(diagonal), float(off), float(np.trace(m[3:, 3:]))

    (cd, co, cs), (sd, so, ss) = parts(c), parts(s)
    return Moduli(
        bulk_voigt=(cd + 2 * co) / 9,
        bulk_reuss=1 / (sd + 2 * so),
        shear_voigt=(cd - co + 3 * cs) / 15,
        shear_reuss=15 / (4 * sd - 4 * so + 3 * ss),
    )


def compliance(constants: FloatArray) -> FloatArray:
    """Compliance C⁻¹ (6, 6), with ε₄ = 2 ε_yz and so on, in the inverse unit of the constants.

    Raises:
        InputError: the constants are singular.
    """
    if np.linalg.cond(constants) > 1e12:
        raise InputError("these elastic constants are singular: they have no compliance")
    return np.asarray(np.linalg.inv(constants))


def youngs_modulus(constants: FloatArray, directions: FloatArray) -> FloatArray:
    """Young's modulus E (…) of constants (6, 6) along unit vectors (…, 3).

    Raises:
        InputError: the constants are singular.
    """
    n = np.asarray(directions, dtype=float)
    # Each shear stands twice in s_ijkl n n n n, and C⁻¹ in Voigt form holds 2 ε.
    strain = to_voigt(n[..., :, None] * n[..., None, :])
    return np.asarray(1 / np.einsum("...i,ij,...j->...", strain, compliance(constants), strain))


def point_group(crystal: Crystal, deformation: Deformation | None = None) -> FloatArray:
    """Rotations and reflections (n, 3, 3), Cartesian, that leave the reference crystal as it is.

    With D given, only those that leave the strain unchanged too, in the frame of the deformed cell:
    F = R U ,  Q U = U Q
    """
    lattice, positions = crystal.to_primitive(crystal.lattice_ref, crystal.positions_ref)
    kinds = list(dict.fromkeys(crystal.species))
    numbers = np.array([kinds.index(crystal.species[atom]) for atom in crystal.primitive_atoms])
    symmetry = space_group(lattice, positions, numbers, SYMMETRY_TOLERANCE)
    rotations = np.unique(symmetry["rotations"], axis=0)
    operations = np.asarray(lattice.T @ rotations @ np.linalg.inv(lattice.T))
    if deformation is None:
        return operations
    turn, stretch = polar(deformation.deformation_gradient(crystal))
    leaves_strain = np.abs(operations @ stretch - stretch @ operations).max(axis=(1, 2)) < _SAME_STRAIN
    return np.asarray(turn @ operations[leaves_strain] @ turn.T)


def symmetrised(constants: FloatArray, operations: FloatArray) -> tuple[FloatArray, float]:
    """The part (6, 6) of the constants that operations (n, 3, 3) leave alone, and the largest |C_IJ| outside it."""
    average = np.mean([rotated(constants, operation) for operation in operations], axis=0)
    return average, float(np.abs(constants - average).max())
