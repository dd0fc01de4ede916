"""The symmetries of a crystal that every homogeneous deformation keeps: lattice translations and inversion.

    x → x + t   and   x → −x + 2c        (fractional coordinates; F acts on both sides alike)

Every other operation of the space group maps a deformation D to another one; :mod:`cellfields.state.axis_operations`
has those.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import spglib
from ase.geometry.minkowski_reduction import minkowski_reduce

from cellfields._typing import FloatArray, IntArray
from cellfields.errors import InputError

_PASSES = 10
_ROUNDING = 1e-14  # relative to 1 or to a position, whichever is larger


@dataclass(frozen=True, eq=False)
class DeformationProofSymmetry:
    """Translations and inversion centre of a structure, and its positions made to obey them exactly.

    Attributes:
        translations: (T, 3) pure translations in fractional coordinates, zero first.
        translation_images: (T, N) index of the atom that each translation maps atom i onto.
        inversion_centre: (3,) fractional, or None.
        inversion_images: (N,) index of the atom that the inversion maps atom i onto, or None.
        primitive: (3, 3) rows, primitive vectors as combinations of the lattice vectors: a_p = primitive @ a.
        positions: (N, 3) fractional coordinates, averaged so that the operations hold exactly.
    """

    translations: FloatArray
    translation_images: IntArray
    inversion_centre: FloatArray | None
    inversion_images: IntArray | None
    primitive: FloatArray
    positions: FloatArray


def find_symmetry(
    lattice: FloatArray, positions: FloatArray, numbers: IntArray, tolerance: float
) -> DeformationProofSymmetry:
    """Find translations and an inversion centre with spglib, then make the positions obey them exactly.

    Args:
        lattice: (3, 3) rows, Bohr.
        positions: (N, 3) fractional.
        numbers: (N,) integers, one label for each species.
        tolerance: distance in Bohr within which atoms coincide.

    Raises:
        InputError: spglib finds no symmetry, or an operation maps atoms onto places more than ten tolerances from one.
    """
    operations = space_group(lattice, positions, numbers, tolerance)
    if operations is None:
        raise InputError("positions: spglib finds no symmetry at all in this structure; do two atoms coincide?")
    rotations, shifts = operations["rotations"], operations["translations"]
    translations = shifts[(rotations == np.eye(3, dtype=int)).all(axis=(1, 2))]
    translations = _snap(translations % 1.0, len(translations))
    translations = translations[np.lexsort(translations.T[::-1])]
    images = np.array([_images(lattice, positions, positions + t, tolerance) for t in translations])
    inversions = shifts[(rotations == -np.eye(3, dtype=int)).all(axis=(1, 2))]
    if len(inversions) == 0:
        centre, inverted = None, None
    else:
        centre, inverted = _choose_inversion(lattice, positions, inversions, tolerance)
    positions = _symmetrised(positions, translations, images, centre, inverted)
    return DeformationProofSymmetry(
        translations, images, centre, inverted, _primitive(lattice, translations), positions
    )


def exact_symmetry(
    lattice: FloatArray, positions: FloatArray, numbers: IntArray, tolerance: float
) -> DeformationProofSymmetry:
    """Symmetry of positions that reproduce themselves: :func:`find_symmetry`, repeated until the positions stay put.

    Averaging over the operations can bring atoms so near to further operations that spglib finds those too, and the
    last digits of an average of averages may differ. Positions that obey the operations within rounding are kept.

    Args:
        lattice: (3, 3) rows, Bohr.
        positions: (N, 3) fractional.
        numbers: (N,) integers, one label for each species.
        tolerance: distance in Bohr within which atoms coincide.

    Raises:
        InputError: spglib finds no symmetry, or ten passes over the positions do not settle.
    """
    for _ in range(_PASSES):
        symmetry = find_symmetry(lattice, positions, numbers, tolerance)
        moved = np.abs(symmetry.positions - positions) / np.maximum(1.0, np.abs(positions))
        if moved.max() < _ROUNDING:
            return replace(symmetry, positions=positions)
        positions = symmetry.positions
    raise InputError("positions are symmetric only within a tolerance too wide to be made exact; give more digits")


def space_group(lattice: FloatArray, positions: FloatArray, numbers: IntArray, tolerance: float) -> Any:
    """Space group operations of a structure by spglib (``rotations``, ``translations``), or None where it finds none.

    Old versions of spglib return None on failure and warn of that; new ones raise.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return spglib.get_symmetry((lattice.tolist(), positions.tolist(), numbers.tolist()), symprec=tolerance)
        except Exception:  # spglib's own error type exists only in its newest versions
            return None


def space_group_dataset(lattice: FloatArray, positions: FloatArray, numbers: IntArray, tolerance: float) -> Any:
    """spglib's dataset of a structure (number, standard axes, …), or None where it finds no symmetry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            cell = (lattice.tolist(), positions.tolist(), numbers.tolist())
            return spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except Exception:  # as in space_group
            return None


def _snap(translations: FloatArray, order: int) -> FloatArray:
    """Translations (T, 3) rounded to multiples of 1/order: they form a group of that order."""
    snapped: FloatArray = np.rint(translations * order) % order / order
    return snapped


def _images(lattice: FloatArray, positions: FloatArray, moved: FloatArray, tolerance: float) -> IntArray:
    """Index (N,) of the atom at each moved position.

    Raises:
        InputError: no atom lies within ten tolerances of one of them, or one atom lies at two of them.
    """
    difference = moved[:, None, :] - positions[None, :, :]
    distance = np.linalg.norm((difference - np.rint(difference)) @ lattice, axis=2)
    images = distance.argmin(axis=1)
    if distance.min(axis=1).max() > 10 * tolerance or len(set(images)) != len(positions):
        raise InputError("positions are symmetric only within a tolerance too wide to be made exact; give more digits")
    return np.asarray(images, dtype=np.int64)


def _choose_inversion(
    lattice: FloatArray, positions: FloatArray, inversions: FloatArray, tolerance: float
) -> tuple[FloatArray, IntArray]:
    """The inversion centre that maps the first atom onto the atom of smallest index, and the image of each atom.

    Its coordinates are wrapped into [0, ½). For the paper's magnesium cell it is the point (0, 1/3, 1/4) between atoms
    1 and 3.
    """
    candidates = [(_images(lattice, positions, w - positions, tolerance), w) for w in inversions]
    images, _ = min(candidates, key=lambda candidate: int(candidate[0][0]))
    # Averaged over all atoms, so that it does not depend on the rounding of one pair of coordinates.
    sums = positions + positions[images]
    sums = sums - np.rint(sums - sums[0])
    centre = (sums.mean(axis=0) % 1.0) / 2
    centre = np.array([float(Fraction(x).limit_denominator(48)) if _is_simple(x) else x for x in centre])
    return centre % 0.5, images


def _is_simple(value: float) -> bool:
    return abs(float(Fraction(value).limit_denominator(48)) - value) < 1e-6


def _symmetrised(
    positions: FloatArray,
    translations: FloatArray,
    images: IntArray,
    centre: FloatArray | None,
    inverted: IntArray | None,
) -> FloatArray:
    """Average each atom over the positions that its images predict for it."""
    total = np.zeros_like(positions)
    count = 0
    for t, image in zip(translations, images, strict=True):
        shifted = positions[image] - t
        total += shifted - np.rint(shifted - positions)
        count += 1
        if centre is not None and inverted is not None:
            back = 2 * centre - positions[inverted[image]] - t
            total += back - np.rint(back - positions)
            count += 1
    return total / count


def _primitive(lattice: FloatArray, translations: FloatArray) -> FloatArray:
    """Shortest right-handed basis of the lattice that the translations and the cell generate."""
    order = len(translations)
    if order == 1:
        return np.eye(3)
    generators = np.rint(np.vstack([translations * order, order * np.eye(3)])).astype(np.int64)
    basis = _hermite(generators)[:3] / order
    reduced, _ = minkowski_reduce(basis @ lattice)
    primitive = np.rint(np.linalg.solve(lattice.T, reduced.T).T * order) / order
    if np.linalg.det(primitive) < 0:
        primitive[2] *= -1
    return np.asarray(primitive)


def _hermite(rows: IntArray) -> IntArray:
    """Row echelon form over the integers; its non-zero rows are a basis of the lattice the rows generate."""
    rows = rows.copy()
    top = 0
    for column in range(3):
        while True:
            nonzero = [r for r in range(top, len(rows)) if rows[r, column] != 0]
            if len(nonzero) == 0:
                break
            pivot = min(nonzero, key=lambda r: abs(rows[r, column]))
            rows[[top, pivot]] = rows[[pivot, top]]
            for r in range(top + 1, len(rows)):
                rows[r] -= (rows[r, column] // rows[top, column]) * rows[top]
            if not rows[top + 1 :, column].any():
                top += 1
                break
    return rows
