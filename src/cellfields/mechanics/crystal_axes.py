"""Elastic constants in the axes that textbooks use, whatever cell the crystal was given in.

    C'_ijkl = R_ip R_jq R_kr R_ls C_pqrs          R: from the frame of ``lattice`` to the conventional crystal axes

The frame of a primitive fcc cell (a ∥ x) is not that of the cube's edges, and constants in it do not look cubic. The
conventional axes are spglib's standard ones: the edges of the cube; c along z and a along x of tetragonal, hexagonal
and trigonal crystals; b along y of monoclinic ones (spglib's documentation, "Crystallographic choice and rigid
rotation").
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import SYMMETRY_TOLERANCE, Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.symmetry import space_group_dataset
from cellfields.crystal.voigt import stiffness_from_voigt, stiffness_to_voigt
from cellfields.errors import InputError

_FIRST_CUBIC = 195  # number of the first cubic space group


def crystal_axes(crystal: Crystal, deformation: Deformation | None = None) -> tuple[FloatArray, int]:
    """Rotation R (3, 3) from the frame of ``lattice`` to the conventional axes, and the number of the space group.

    Under a strain D the axes of the reference crystal are carried along by the rotation of F = R_F U.

    Raises:
        InputError: spglib finds no space group.
    """
    kinds = list(dict.fromkeys(crystal.species))
    numbers = np.array([kinds.index(symbol) + 1 for symbol in crystal.species])
    dataset = space_group_dataset(crystal.lattice_ref, crystal.positions_ref, numbers, SYMMETRY_TOLERANCE)
    if dataset is None:
        raise InputError("positions: spglib finds no space group in this structure")
    rotation = np.array(dataset.std_rotation_matrix, dtype=float)
    u, _, v = np.linalg.svd(rotation)  # spglib's matrix differs from a rotation by the tolerance
    rotation = u @ v
    if deformation is not None:
        u, _, v = np.linalg.svd(deformation.deformation_gradient(crystal))
        rotation = rotation @ (u @ v).T
    return rotation, int(dataset.number)


def is_cubic(space_group: int) -> bool:
    """Whether a space group of that number belongs to the cubic system."""
    return space_group >= _FIRST_CUBIC


def rotated(constants: FloatArray, rotation: FloatArray) -> FloatArray:
    """Constants (6, 6) in ASE's Voigt order, in the axes that a rotation (3, 3) leads to; the unit is kept."""
    full = stiffness_from_voigt(np.asarray(constants, dtype=float))
    turned: FloatArray = np.einsum("ai,bj,ck,dl,ijkl->abcd", *[rotation] * 4, full, optimize=True)
    return stiffness_to_voigt(turned)
