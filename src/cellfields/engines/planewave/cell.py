"""One cell with its atoms in place, and its ground state: from a start or none, in plane waves or a reduced basis."""

from __future__ import annotations

from dataclasses import dataclass

from cellfields._typing import Coefficients
from cellfields.dft.band_filling import starting_bands
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.continuation import FieldStart, PlaneWaveStart
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.mixing import AndersonMixer
from cellfields.engines.planewave.progress import ScfCallback
from cellfields.engines.planewave.reduced.solver import (
    ReducedMeshes,
    ReducedStart,
    corrected,
    one_step_reduced,
    solve_reduced,
)
from cellfields.engines.planewave.scf import GroundState, one_step, self_consistent

_COLD_RESIDUAL, _WARM_RESIDUAL = 1e-2, 1e-3  # Hartree, eigensolver tolerance of the first self-consistency step
_DENSITY_ONLY_RESIDUAL = 1e-5  # Hartree, as above, where only a density is given, which rough orbitals would spoil


@dataclass(frozen=True, eq=False)
class Cell:
    """The Kohn–Sham problem of one cell with its atoms in place, and the way in which it is solved.

    Attributes:
        problem: lattice, ions and plane waves.
        settings: of the engine.
        meshes: k points of the reduced basis, or None for full plane waves.
    """

    problem: KohnShamProblem
    settings: PlaneWaveSettings
    meshes: ReducedMeshes | None

    def ground(
        self,
        start: PlaneWaveStart | FieldStart | None,
        *,
        accuracy: float = 1.0,
        on_step: ScfCallback | None = None,
    ) -> tuple[GroundState, AndersonMixer]:
        """Self-consistent solution, and the density mixer with the history of its steps.

        Args:
            start: density, orbitals and reduced basis to begin with; None begins with superposed atoms.
            accuracy: factor on the settings' SCF tolerance.
            on_step: called after every step of self-consistency.

        Raises:
            InputError: a cutoff too low for the bands, or a metal with smearing "none".
            SCFNotConverged: the SCF ended at its limit of steps; the error carries its history.
        """
        problem, settings = self.problem, self.settings
        if accuracy != 1:
            settings = settings.model_copy(update={"scf_tolerance": accuracy * settings.scf_tolerance})
        if start is None:
            mixer = AndersonMixer(problem.basis.inverse_g2, fraction=settings.mixing)
            density = problem.superposed_density()
        else:
            mixer, density = start.mixer_for(problem, settings), start.density_for(problem)
        if self.meshes is not None:
            reduced = None if start is None else ReducedStart(density, start.bloch, *start.reduced_guess(problem))
            return solve_reduced(problem, settings, self.meshes, mixer, reduced, on_step=on_step), mixer
        orbitals = None if start is None else start.orbitals_for(problem)
        solver = PlaneWaveBands(problem, starting_bands(settings, problem.electrons), orbitals)
        without_orbitals = _COLD_RESIDUAL if start is None else _DENSITY_ONLY_RESIDUAL
        first = without_orbitals if orbitals is None else _WARM_RESIDUAL
        ground = self_consistent(problem, settings, solver, density, mixer=mixer, first_residual=first, on_step=on_step)
        return ground, mixer

    def final(self, ground: GroundState, *, on_step: ScfCallback | None = None) -> GroundState:
        """A ground state with the correction for the reduced basis; unchanged in full plane waves.

        Args:
            ground: of this cell, self-consistent.
            on_step: called after every step of self-consistency, where the basis must be extended and it solves again.

        Raises:
            ConvergenceError: the basis is still too small after a few extensions.
        """
        if self.meshes is None:
            return ground
        return corrected(self.problem, self.settings, self.meshes, ground, on_step=on_step)

    def one_step(self, density: Coefficients) -> GroundState:
        """Orbitals, density and energies in the potential of a density (D,): one SCF step, without mixing.

        In a reduced basis they have the correction for it.

        Raises:
            InputError: a cutoff too low for the bands.
            EigensolverNotConverged: the orbitals did not converge.
        """
        problem, settings = self.problem, self.settings
        if self.meshes is not None:
            return one_step_reduced(problem, settings, self.meshes, density)
        solver = PlaneWaveBands(problem, starting_bands(settings, problem.electrons))
        return one_step(problem, settings, solver, density)
