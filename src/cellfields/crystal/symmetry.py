"""The symmetries of a crystal that survive *every* homogeneous deformation: lattice translations and inversion.

    x → x + t   and   x → −x + 2c        (fractional coordinates; F acts on both sides alike)

Everything else in the space group moves to the deformation (it maps D to another D), so it does not appear here.
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
    """Result of :func:`find_symmetry`.

    Attributes:
        translations: (T, 3) pure translations in fractional coordinates, zero first.
        translation_images: (T, N) atom that atom i lands on under each translation.
        inversion_centre: (3,) fractional, or None.
        inversion_images: (N,) atom that atom i lands on under the inversion, or None.
        primitive: (3, 3) rows, primitive vectors as combinations of the crystal's own: a_p = primitive @ a.
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
        numbers: (N,) a label a species.
        tolerance: distance in Bohr within which atoms coincide.
    """
    found = space_group(lattice, positions, numbers, tolerance)
    if found is None:
        raise InputError("positions: spglib finds no symmetry at all in this structure; do two atoms coincide?")
    rotations, shifts = found["rotations"], found["translations"]
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
    """:func:`find_symmetry`, repeated until it finds the positions that it returns: they are then a fixed point.

    Averaging over the operations can bring atoms so near to more operations that spglib finds those too, and the last
    digits of an average of averages may differ. Positions that obey the operations within rounding are left alone.

    Raises:
        InputError: spglib finds no symmetry, or each pass over the positions finds another one.
    """
    for _ in range(_PASSES):
        found = find_symmetry(lattice, positions, numbers, tolerance)
        moved = np.abs(found.positions - positions) / np.maximum(1.0, np.abs(positions))
        if moved.max() < _ROUNDING:
            return replace(found, positions=positions)
        positions = found.positions
    raise InputError("positions are symmetric only within a tolerance too wide to be made exact; give more digits")


def space_group(lattice: FloatArray, positions: FloatArray, numbers: IntArray, tolerance: float) -> Any:
    """spglib's operations, or None; old versions return None on failure (and warn of that), new ones raise."""
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
    """The translations form a group of this order, so each is a fraction with this denominator."""
    snapped: FloatArray = np.rint(translations * order) % order / order
    return snapped


def _images(lattice: FloatArray, positions: FloatArray, moved: FloatArray, tolerance: float) -> IntArray:
    """Index of the atom at each moved position."""
    difference = moved[:, None, :] - positions[None, :, :]
    distance = np.linalg.norm((difference - np.rint(difference)) @ lattice, axis=2)
    images = distance.argmin(axis=1)
    if distance.min(axis=1).max() > 10 * tolerance or len(set(images)) != len(positions):
        raise InputError("positions are symmetric only within a tolerance too wide to be made exact; give more digits")
    return np.asarray(images, dtype=np.int64)


def _choose_inversion(
    lattice: FloatArray, positions: FloatArray, inversions: FloatArray, tolerance: float
) -> tuple[FloatArray, IntArray]:
    """Of all inversion centres take the one that maps the first atom onto the first possible atom.

    Its coordinates are the mid-point of the two, wrapped into [0, ½): deterministic, and for the paper's magnesium
    cell the point (0, 1/3, 1/4) between atoms 1 and 3.
    """
    candidates = [(_images(lattice, positions, w - positions, tolerance), w) for w in inversions]
    images, _ = min(candidates, key=lambda candidate: int(candidate[0][0]))
    # Average over all atoms: the centre of the structure as given, not of one pair of rounded coordinates.
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
