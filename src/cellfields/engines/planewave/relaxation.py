"""Relaxation of the atoms in a deformed crystal: the optimiser (relax.py) on the Kohn–Sham free energy.

    y → F(y) ,  ∂F/∂y = −m f(y)        (f: forces on the representatives; m = 2 where inversion moves atoms in pairs)

Each solve begins with the orbitals and density of the last one. Far from the minimum the density is converged less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cellfields._typing import FloatArray
from cellfields.engines.planewave.cell import Cell
from cellfields.engines.planewave.continuation import FieldStart, PlaneWaveStart
from cellfields.engines.planewave.deformed_crystal import DeformedCrystal
from cellfields.engines.planewave.mixing import AndersonMixer
from cellfields.engines.planewave.observables import crystal_forces
from cellfields.engines.planewave.progress import log_relaxation_step
from cellfields.engines.planewave.relax import largest_component, relax
from cellfields.engines.planewave.scf import GroundState
from cellfields.errors import RelaxationNotConverged

_MOST_EXTENSIONS = 5  # of the reduced basis at the end of a relaxation
_FAR, _NEAR = 30.0, 10.0  # forces in units of the tolerance: far from the end above, close to it below
_ROUGH_SCF, _FINER_SCF = 100.0, 0.01  # times the SCF tolerance: far from the end, and close to it


@dataclass(frozen=True, eq=False)
class RelaxedGround:
    """The end of a relaxation.

    Attributes:
        displacements: (n_int,) of the representatives, Bohr.
        continuation: the ground state, basis and curvature there, from which a neighbouring solve may start.
        scf_steps: number of SCF steps in each solve of the relaxation.
    """

    displacements: FloatArray
    continuation: PlaneWaveStart
    scf_steps: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Solution:
    """A ground state with its forces (N, 3) on the crystal's atoms, Hartree/Bohr, and the SCF steps it took."""

    ground: GroundState
    mixer: AndersonMixer
    forces: FloatArray
    scf_steps: int

    @property
    def largest_force(self) -> float:
        """Largest Cartesian component of the forces on the atoms, Hartree/Bohr."""
        return float(np.abs(self.forces).max())


class Relaxation:
    """A relaxation under way.

    Attributes:
        deformed: the crystal whose atoms move.
        near: whether the atoms are taken to be almost in place, so that the density is converged in every solve.
        cell: of the last solve; None before the first.
        current: start of the next solve.
        ground: solution of the last solve; None before the first.
        steps: number of SCF steps in each solve so far.
        last_force: largest Cartesian component of the forces on the atoms after the last solve, Hartree/Bohr; infinite
            before the first.
    """

    def __init__(
        self, deformed: DeformedCrystal, start: PlaneWaveStart | FieldStart | None, *, near: bool = False
    ) -> None:
        """Prepare a relaxation.

        Args:
            deformed: the crystal whose atoms move.
            start: of the first solve, with a curvature if it has one; None begins with superposed atoms.
            near: whether the atoms are taken to be almost in place.
        """
        self.deformed = deformed
        self.near = near
        self.cell: Cell | None = None
        self.current = start
        self.ground: GroundState | None = None
        self.steps: list[int] = []
        self.last_force = np.inf
        # ∂F/∂y counts the two atoms that move together; the force on one atom is half of it.
        self._together = 1.0 if deformed.crystal.inversion_centre is None else 2.0

    def run(self, displacements: FloatArray) -> RelaxedGround:
        """Relax from displacements (n_int,) of the representatives, Bohr.

        Raises:
            InputError: a cutoff too low for the bands, or a metal with smearing "none".
            SCFNotConverged, RelaxationNotConverged: a limit of steps was reached; the errors carry their histories.
        """
        settings = self.deformed.settings
        tolerance = settings.force_tolerance
        hessian = None if self.current is None else self.current.hessian
        for _ in range(_MOST_EXTENSIONS):
            result = relax(
                self.energy_and_gradient,
                displacements,
                tolerance=tolerance,
                max_steps=settings.max_relaxation_steps,
                hessian=hessian,
                size=self.largest_force,
            )
            assert self.cell is not None and isinstance(self.current, PlaneWaveStart) and self.ground is not None
            final = self.cell.final(self.ground)
            extended = final.orbitals is not self.ground.orbitals
            largest = float(np.abs(crystal_forces(final, self.deformed.crystal)).max()) if extended else 0.0
            if largest < tolerance:
                continuation = replace(self.current, ground=final, hessian=result.hessian)
                return RelaxedGround(result.y, continuation, tuple(self.steps))
            # The check extended the basis, and the forces in the larger one are above the tolerance: relax further.
            displacements, hessian = result.y, result.hessian
            self.current = PlaneWaveStart.of(final, settings, compress=False)
        raise RelaxationNotConverged(
            f"the reduced basis was extended {_MOST_EXTENSIONS} times and still leaves forces of {largest:.1e} "
            f"Ha/Bohr, wanted {tolerance:.1e}; a smaller basis_tolerance helps",
            result.history,
        )

    def energy_and_gradient(self, displacements: FloatArray) -> tuple[float, FloatArray]:
        """F (Hartree per primitive cell) and ∂F/∂y (n_int,), Hartree/Bohr, at displacements y (n_int,), Bohr.

        Raises:
            InputError: a cutoff too low for the bands, or a metal with smearing "none".
            SCFNotConverged: the SCF ended at its limit of steps; the error carries its history.
        """
        deformed, tolerance = self.deformed, self.deformed.settings.force_tolerance
        self.cell = deformed.cell(deformed.internal(displacements), self.cell)
        # Far from the minimum the density is converged less; the end is only accepted with a converged one.
        far = len(displacements) > 0 and self.last_force > _FAR * tolerance and not self.near
        solution = self._solution(self.cell, self.current, _ROUGH_SCF if far else 1.0)
        if far and solution.largest_force < tolerance:
            solution = self._refined(self.cell, solution, 1.0)
        if len(displacements) and tolerance <= solution.largest_force < _NEAR * tolerance:
            # Forces are of first order in the density's error, which may dominate them so close to the end.
            solution = self._refined(self.cell, solution, _FINER_SCF)
        self.ground, self.last_force = solution.ground, solution.largest_force
        self.steps.append(solution.scf_steps)
        log_relaxation_step(
            len(self.steps),
            self.ground.free_energy,
            self.last_force,
            solution.scf_steps,
            k_points=len(self.ground.energies),
        )
        # Compressed once, then only extended: another basis at every step would make the forces noisy.
        self.current = PlaneWaveStart.of(
            self.ground, deformed.settings, compress=len(self.steps) == 1, mixer=solution.mixer
        )
        gradient = -self._together * solution.forces[deformed.crystal.representatives].reshape(-1)
        return self.ground.free_energy, gradient

    def largest_force(self, gradient: FloatArray) -> float:
        """Largest component of the forces on the atoms, Hartree/Bohr, from a gradient ∂F/∂y (n_int,).

        Without an inversion centre the force on the first atom, which stays, is minus the sum of the others'.
        """
        on_first = 0.0 if self._together == 2 else np.abs(gradient.reshape(-1, 3).sum(axis=0)).max(initial=0.0)
        return max(float(on_first), largest_component(gradient)) / self._together

    def _solution(self, cell: Cell, start: PlaneWaveStart | FieldStart | None, accuracy: float) -> _Solution:
        """Ground state of a cell, converged to ``accuracy`` times the settings' SCF tolerance."""
        ground, mixer = cell.ground(start, accuracy=accuracy)
        return _Solution(ground, mixer, crystal_forces(ground, self.deformed.crystal), len(ground.history))

    def _refined(self, cell: Cell, rough: _Solution, accuracy: float) -> _Solution:
        """A rough solution of a cell converged further; its SCF steps include those of the rough one."""
        start = PlaneWaveStart.of(rough.ground, self.deformed.settings, compress=False, mixer=rough.mixer)
        finer = self._solution(cell, start, accuracy)
        return replace(finer, scf_steps=rough.scf_steps + finer.scf_steps)
