"""Displacements that break an inversion centre: their force constants say whether imposing it hides an instability.

    K e = −[f(+δe) − f(−δe)] / 2δ ,    f_i(−δe) = −f_{P(i)}(+δe)        (P: the atom that inversion maps i onto)

e runs over the odd patterns, u_{P(i)} = +u_i without the rigid translations; one solve each. A negative eigenvalue is a
soft mode: the crystal lowers its energy by becoming polar, or by pairing its atoms (ferroelectrics, Peierls).

Displacements repeat with the primitive cell. A chain of evenly spaced atoms that would pair, or a perovskite whose
octahedra would tilt, has its soft mode at the zone's boundary, which this analysis does not find in any supercell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import FirstPrinciplesEngine
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart

_STEP = 0.02  # Bohr, displacement of an atom
_NOISE = 5e-4  # Hartree/Bohr²; a reduced basis errs by up to 7e-6 Hartree/Bohr in forces that _STEP makes


class EngineOfCrystals(Protocol):
    """An engine that can make others with the same settings for other crystals, as a check of odd modes needs."""

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""

    def for_crystal(self, crystal: Crystal) -> FirstPrinciplesEngine:
        """An engine with the same settings for another crystal of the same elements."""


@dataclass(frozen=True, eq=False)
class OddModes:
    """Harmonic analysis of the displacements that break the inversion centre of one relaxed state.

    Attributes:
        state: the state, relaxed with its inversion centre.
        curvatures: (n,) eigenvalues of the force constants, Hartree/Bohr², rising; empty where there is only one
            independent atom (hcp Mg, diamond), whose odd displacements translate the whole crystal.
        patterns: (n, N, 3) Cartesian displacements of the crystal's atoms, Σ|u|² = 1 over the primitive cell.
        cells: number of primitive cells in the crystal's cell; all of them move alike.
    """

    state: CellState
    curvatures: FloatArray
    patterns: FloatArray
    cells: int = 1

    @property
    def unstable(self) -> bool:
        """Whether imposing inversion hides an instability."""
        return bool(len(self.curvatures) and self.curvatures[0] < -_NOISE)

    @property
    def verdict(self) -> str:
        """The result in one sentence, with the curvature of the softest odd mode."""
        alike = f" (patterns that differ among its {self.cells} primitive cells are not asked for)" * (self.cells > 1)
        if not len(self.curvatures):
            return f"no displacement of single atoms breaks the inversion centre{alike}"
        count, softest = int((self.curvatures < -_NOISE).sum()), self.curvatures[0]
        if not count:
            return f"the inversion centre is stable: the softest odd mode has {softest:.2e} Ha/Bohr²{alike}"
        return (
            f"imposing inversion hides an instability: {count} odd mode{'s have' if count > 1 else ' has'} negative "
            f'curvature, down to {softest:.2e} Ha/Bohr²; relax with inversion = "free"'
        )

    @property
    def seed(self) -> FloatArray:
        """Unit displacement (N, 3), Cartesian, along the unstable modes.

        It is the projection of a fixed pattern without symmetry onto them, so that it changes little with strain, and
        degenerate modes need no choice among them.
        """
        soft = self.patterns[self.curvatures < -_NOISE]
        n = self.patterns[0].size
        fixed = np.cos(1 + np.arange(n) ** 2 % 17).reshape(self.patterns[0].shape)
        along = np.einsum("aij,ij->a", soft, fixed)
        if np.abs(along).max() < 1e-3 * np.sqrt(n):  # the pattern is almost orthogonal to them
            along = np.eye(len(soft))[0]
        return np.asarray(np.einsum("a,aij->ij", along / np.linalg.norm(along), soft))

    def hessian(self, atoms: IntArray, even: float | FloatArray) -> FloatArray:
        """Second derivatives ∂²F/∂u∂u (3n, 3n), Hartree/Bohr², of the primitive cell's n atoms.

        Args:
            atoms: (n,) indices of the primitive cell's atoms.
            even: a guess for the even modes, Hartree/Bohr²: one number, or (3n − 3, 3n − 3) for displacements relative
                to the first atom, of which the even part is taken.
        """
        size = 3 * len(atoms)
        patterns = self.patterns[:, atoms].reshape(-1, size)
        rigid = np.tile(np.eye(3), len(atoms)) / np.sqrt(len(atoms))
        rest = np.eye(size) - patterns.T @ patterns - rigid.T @ rigid
        if np.ndim(even):
            relative = np.hstack([-np.tile(np.eye(3), (len(atoms) - 1, 1)), np.eye(size - 3)])
            guess = rest @ relative.T @ even @ relative @ rest
        else:
            guess = even * rest
        return np.asarray((patterns.T * self.curvatures) @ patterns + guess)


def odd_mode_check(
    engine: EngineOfCrystals, deformation: Deformation, *, start: DensityStart | None = None
) -> OddModes:
    """Relax with the inversion centre imposed, and analyse the displacements that break it.

    Args:
        engine: of a crystal with an inversion centre, whether imposed or free.
        deformation: of the cell.
        start: density with which the relaxation begins.

    Raises:
        InputError: the crystal has no inversion centre.
        SCFNotConverged, RelaxationNotConverged: a limit of steps was reached; the errors carry their histories.
    """
    imposed = engine.for_crystal(engine.crystal.with_inversion("impose"))
    free = engine.for_crystal(engine.crystal.with_inversion("free"))
    if imposed.crystal.inversion_centre is None:
        raise InputError("crystal: it has no inversion centre, so there are no odd modes")
    state = imposed.solve(deformation, start=start)
    density = DensityStart.of(state)

    def forces(positions: FloatArray) -> FloatArray:
        displaced = free.evaluate(deformation, free.crystal.internal(positions), start=density)
        assert displaced.forces is not None
        return displaced.forces

    return odd_modes(imposed.crystal, state, forces)


def odd_modes(crystal: Crystal, state: CellState, forces: Callable[[FloatArray], FloatArray]) -> OddModes:
    """Odd modes of a relaxed state, by finite differences of forces.

    Args:
        crystal: the reference crystal, with its inversion centre imposed.
        state: relaxed with that centre.
        forces: fractional positions (N, 3) → forces (N, 3), Hartree/Bohr, without using the inversion centre.
    """
    directions = odd_patterns(crystal)
    inverse = np.linalg.inv(state.lattice)
    assert crystal.inversion_images is not None
    responses = []
    for direction in directions:
        displaced = forces(state.positions + _STEP * direction @ inverse)
        responses.append(-0.5 * (displaced + displaced[crystal.inversion_images]) / _STEP)
    constants = np.einsum("aij,bij->ab", directions, np.array(responses).reshape(directions.shape))
    constants = constants / crystal.n_translations
    curvatures, rotation = np.linalg.eigh(0.5 * (constants + constants.T))
    return OddModes(state, curvatures, np.einsum("ba,bij->aij", rotation, directions), crystal.n_translations)


def odd_patterns(crystal: Crystal) -> FloatArray:
    """Orthonormal Cartesian displacements (n, N, 3), u_{P(i)} = u_i, Σ u = 0, in the norm of the primitive cell."""
    assert crystal.inversion_images is not None
    first_image = crystal.translation_images.min(axis=0)  # the atom of the primitive cell that each atom is a copy of
    classes = np.minimum(first_image, first_image[crystal.inversion_images])
    members = (classes[:, None] == np.unique(classes)).astype(float)  # (N, r): which atoms move alike
    unit = members / np.sqrt(members.sum(axis=0))
    translation = unit.T @ np.ones(len(unit))  # a rigid shift, in these coordinates
    internal = np.linalg.qr(np.column_stack([translation, np.eye(len(translation))]))[0][:, 1:]
    shapes = (unit @ internal).T * np.sqrt(crystal.n_translations)
    return np.asarray(np.einsum("si,xy->sxiy", shapes, np.eye(3)).reshape(-1, crystal.n_atoms, 3))
