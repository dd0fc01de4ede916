"""A cell that somebody else's code wrote, seen as a deformation of the crystal.

    y_π(i) = x⁰_i + d_i + t  (mod 1)        y: the foreign atoms, x⁰: the reference ones, all fractional

D follows from the lengths and angles of the foreign lattice vectors, which must be the deformed a, b, c in this order,
in any orientation. The order of the atoms π and the origin t are searched; the displacements d must be what the
crystal's internal coordinates allow, d = Σ_α ξ_α B_α, up to the errors of a relaxation. Without an inversion centre the
first atom stays, with one the centre does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.formats.grid_field import Structure

ASYMMETRY = 0.02  # Bohr; relaxations of other codes keep the symmetry to 1e-3 or so
_HUGE = 1e6  # Bohr, and lattice vectors
_DECIMALS = 10  # of D, as in a dataset's keys


@dataclass(frozen=True, eq=False)
class Match:
    """A foreign structure expressed as a deformation and internal coordinates of the crystal.

    Attributes:
        deformation: D.
        internal: (n_int,) ξ.
        shift: (3,) t, the foreign fractional coordinate of the crystal's origin.
        order: (N,) π, the foreign index of each of the crystal's atoms.
        rotation: (3, 3) Q; row vectors v of the foreign frame are v @ Q in the standard one.
        asymmetry: the largest distance of an atom from the place that ξ gives it, Bohr.
    """

    deformation: Deformation
    internal: FloatArray
    shift: FloatArray
    order: IntArray
    rotation: FloatArray
    asymmetry: float


def match(crystal: Crystal, structure: Structure) -> Match:
    """Find D and ξ of a structure, the order of its atoms and the place of the crystal's origin in it.

    Raises:
        InputError: other atoms, a cell that is no deformation of the reference cell within the allowed ranges, atoms
            too far from the reference ones, or in places that break the crystal's translations or inversion.
    """
    if Counter(structure.species) != Counter(crystal.species):
        raise InputError(f"its atoms are {formula(structure.species)}, the crystal's {formula(crystal.species)}")
    positions = np.asarray(structure.positions, dtype=float)
    if not all((np.abs(numbers) < _HUGE).all() for numbers in (structure.lattice, positions)):  # nor nan
        raise InputError("its lattice vectors or positions are not finite, or larger than any crystal's")
    deformation = Deformation.from_lattice(structure.lattice, crystal)
    deformation = Deformation.from_array(np.round(deformation.as_array(), _DECIMALS))
    lattice = deformation.lattice(crystal)
    candidates = [_settle(crystal, lattice, structure.species, positions, t) for t in _shifts(crystal, structure)]
    # Equally good ones differ by a symmetry of the crystal: take the one that moves the origin least.
    order, shift, displacements = min(candidates, key=lambda candidate: _badness(candidate, lattice))
    farthest = _longest(displacements, lattice)
    limit = shortest_bond(crystal) / 4
    if farthest > limit:
        raise InputError(
            f"it is no deformation of the crystal: with the best order and origin an atom is {farthest:.3g} Bohr from "
            f"its reference fractional position (at most {limit:.3g}, a quarter of the shortest distance)"
        )
    if crystal.inversion_centre is None:
        fixed = displacements[crystal.translation_images[:, crystal.primitive_atoms[0]]].mean(axis=0)
        shift, displacements = shift + fixed, displacements - fixed
    basis = crystal.internal_basis
    internal = np.einsum("ani,ni->a", basis, displacements) / np.maximum((basis**2).sum(axis=(1, 2)), 1)
    asymmetry = _longest(displacements - np.einsum("a,ani->ni", internal, basis), lattice)
    if asymmetry > ASYMMETRY:
        raise InputError(
            f"its atoms break the translations or the inversion of the crystal by {asymmetry:.3g} Bohr "
            f"(at most {ASYMMETRY:g})"
        )
    rotation = np.linalg.solve(np.asarray(structure.lattice, dtype=float), lattice)
    return Match(deformation, internal, shift, order, np.asarray(rotation), asymmetry)


def _shifts(crystal: Crystal, structure: Structure) -> list[FloatArray]:
    """Origins that put one atom of the rarest kind onto a reference atom."""
    rarest = min(Counter(crystal.species).items(), key=lambda item: item[1])[0]
    anchor = crystal.positions_ref[crystal.species.index(rarest)]
    return [y - anchor for y, s in zip(structure.positions, structure.species, strict=True) if s == rarest]


def _settle(
    crystal: Crystal, lattice: FloatArray, species: Sequence[str], positions: FloatArray, shift: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Order, origin and displacements near one origin, such that the displacements sum to zero."""
    forbidden = np.array([[expected != present for present in species] for expected in crystal.species])
    for _ in range(3):  # the first origin is off by the displacement of one atom; then it stays
        difference = positions[None, :] - shift - crystal.positions_ref[:, None]
        difference -= np.rint(difference)
        distances = ((difference @ lattice) ** 2).sum(axis=2)
        rows, order = linear_sum_assignment(np.where(forbidden, 1e6, distances))
        displacements = difference[rows, order]
        mean = displacements.mean(axis=0)
        shift, displacements = shift + mean, displacements - mean
    return np.asarray(order, dtype=np.int64), shift, displacements


def _badness(candidate: tuple[IntArray, FloatArray, FloatArray], lattice: FloatArray) -> tuple[float, ...]:
    order, shift, displacements = candidate
    moved = float(np.linalg.norm((shift - np.rint(shift)) @ lattice))
    return round(_longest(displacements, lattice), 4), round(moved, 4), *(float(x) for x in order)


def _longest(fractional: FloatArray, lattice: FloatArray) -> float:
    return float(np.linalg.norm(fractional @ lattice, axis=1).max())


def shortest_bond(crystal: Crystal) -> float:
    """Shortest distance between two atoms of the reference crystal, images included, Bohr."""
    steps = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    difference = crystal.positions_ref[:, None] - crystal.positions_ref[None, :]
    distances = np.linalg.norm((difference[:, :, None] + steps) @ crystal.lattice_ref, axis=3)
    return float(distances[distances > 1e-3].min())


def formula(species: Sequence[str]) -> str:
    """Chemical formula with the symbols in alphabetical order and every count written out: Mg4, Mg1O1."""
    return "".join(f"{symbol}{count}" for symbol, count in sorted(Counter(species).items()))
