"""Self-consistency in a reduced Bloch basis, which is made, tested and extended where its error is too large.

first basis → SCF on a coarse mesh → extension by residuals → SCF on the full mesh → Δε on the full mesh
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cellfields._typing import FloatArray
from cellfields.dft.band_filling import starting_bands
from cellfields.dft.occupation import occupy
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.bands import possible_bands
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh, shortest_equivalents
from cellfields.engines.planewave.mixing import AndersonMixer
from cellfields.engines.planewave.progress import ScfCallback
from cellfields.engines.planewave.reduced.bands import ReducedBands, ReducedSpace
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.correction import energy_correction
from cellfields.engines.planewave.reduced.making import extended_basis, first_basis
from cellfields.engines.planewave.reduced.mesh import ReducedMesh
from cellfields.engines.planewave.reduced.orbitals import ReducedOrbitals
from cellfields.engines.planewave.scf import GroundState, one_step, self_consistent
from cellfields.errors import ConvergenceError

_COLD_RESIDUAL, _WARM_RESIDUAL = 5e-4, 1e-4  # Hartree, eigensolver tolerance of the first step on the full mesh
_COARSE_SCF = 1e-7  # Hartree, tolerance of self-consistency on the coarse mesh
_COMPRESSION = 0.001  # electrons per Hartree of tolerance that a basis handed to a neighbour may lose
_MOST_EXTENSIONS = 4
_STEP_TOLERANCE, _STEP_FIRST = 0.2, 0.02  # times the tolerance: error of a single step, and first on the coarse mesh
_SLACK = 2.0  # times the tolerance: error on the full mesh above which the basis is extended again


@dataclass(frozen=True, eq=False)
class ReducedMeshes:
    """The k points of a solution in a reduced basis.

    Attributes:
        full: the mesh of the settings.
        coarse: some 60 k points off the special ones, on which bases are made and tested.
    """

    full: ReducedMesh
    coarse: ReducedMesh

    @classmethod
    def of(cls, problem: KohnShamProblem, coarse: KMesh) -> ReducedMeshes:
        """The meshes of a problem whose plane waves are a union; the coarse mesh is moved into the first zone."""
        basis, geometry = problem.basis, problem.geometry
        m = basis.wave_m[0]
        points = shortest_equivalents(coarse.points, geometry.reciprocal)
        return cls(
            ReducedMesh(geometry, m, basis.k_points, basis.k_weights),
            ReducedMesh(geometry, m, points, coarse.weights),
        )


@dataclass(frozen=True, eq=False)
class ReducedStart:
    """A start from a neighbouring solve.

    Attributes:
        density: (D,) on the new problem's plane waves.
        bloch: basis to start from, or None.
        guess: orbitals of the neighbour, used where they are in the basis of the solution; or None.
        close: whether the neighbour is so close that its basis is used without a test.
    """

    density: FloatArray
    bloch: BlochBasis | None
    guess: ReducedOrbitals | None = None
    close: bool = False


def solve_reduced(
    problem: KohnShamProblem,
    settings: PlaneWaveSettings,
    meshes: ReducedMeshes,
    mixer: AndersonMixer,
    start: ReducedStart | None = None,
    *,
    on_step: ScfCallback | None = None,
) -> GroundState:
    """Ground state with :class:`ReducedOrbitals`, not yet corrected (see :func:`corrected`).

    Args:
        problem: cell and ions; plane waves are the union of all k spheres, k points lie in the first zone.
        settings: ``basis_tolerance`` bounds the estimated error of F before correction.
        meshes: the full mesh and a coarse one.
        mixer: of the density; its history grows.
        start: density and basis of a neighbouring state, or None to begin with superposed atoms.
        on_step: called after every step of self-consistency, on the coarse mesh and on the full one.

    Raises:
        InputError: a cutoff or basis too small for the bands, or a metal with smearing "none".
        SCFNotConverged: the SCF ended at its limit of steps; the error carries its history.
    """
    basis = problem.basis
    bands = starting_bands(settings, problem.electrons)
    if start is not None and start.guess is not None and settings.bands is None:
        bands = max(bands, start.guess.vectors.shape[2])
    bands = possible_bands(problem, bands)
    density = problem.superposed_density() if start is None else start.density
    potential = basis.to_real(problem.potentials(density).effective)
    if start is None or start.bloch is None:
        bloch = first_basis(problem, settings, potential, bands)
    else:
        bloch = start.bloch.carried_to(basis.wave_m[0])
    history: tuple[dict[str, float], ...] = ()
    if start is None:
        solver = ReducedBands(ReducedSpace.of(problem, bloch), meshes.coarse, bands)
        coarse = self_consistent(
            problem, settings, solver, density, mixer=mixer, tolerance=_COARSE_SCF, on_step=on_step
        )
        mixer.change_problem()
        history, bands, density = coarse.history, solver.bands, coarse.density
        potential = basis.to_real(coarse.potentials.effective)
    if start is None or start.bloch is None or not start.close:
        bloch = extended_basis(problem, settings, bloch, potential, meshes.coarse, bands, settings.basis_tolerance)
    guess = None if start is None else start.guess
    if guess is not None and (guess.bloch is not bloch or guess.mesh is not meshes.full):
        guess = None
    solver = ReducedBands(ReducedSpace.of(problem, bloch), meshes.full, bands, guess)
    first = _COLD_RESIDUAL if start is None else _WARM_RESIDUAL
    ground = self_consistent(problem, settings, solver, density, mixer=mixer, first_residual=first, on_step=on_step)
    return replace(ground, history=history + ground.history)


def corrected(
    problem: KohnShamProblem,
    settings: PlaneWaveSettings,
    meshes: ReducedMeshes,
    ground: GroundState,
    *,
    on_step: ScfCallback | None = None,
) -> GroundState:
    """A ground state with the second-order correction, solved again in a larger basis where that is too large.

    Args:
        problem: cell and ions; plane waves are the union of all k spheres, k points lie in the first zone.
        settings: ``basis_tolerance`` bounds the estimated error of F before correction.
        meshes: the full mesh and a coarse one.
        ground: self-consistent in a reduced basis, not yet corrected.
        on_step: called after every step of self-consistency where it is solved again.

    Raises:
        ConvergenceError: the basis is still too small after a few extensions.
    """
    tolerance = settings.basis_tolerance
    final = _with_correction(ground, settings)
    errors: list[float] = []
    while (error := abs(final.free_energy - final.uncorrected_free_energy)) >= _SLACK * settings.basis_tolerance:
        errors = _not_too_often(errors, error, settings.basis_tolerance)
        tolerance *= 0.3 * settings.basis_tolerance / error
        assert isinstance(ground.orbitals, ReducedOrbitals)
        potential = problem.basis.to_real(ground.potentials.effective)
        bands = ground.energies.shape[1]
        bloch = extended_basis(problem, settings, ground.orbitals.bloch, potential, meshes.coarse, bands, tolerance)
        solver = ReducedBands(ReducedSpace.of(problem, bloch), meshes.full, bands)
        again = self_consistent(problem, settings, solver, ground.density, first_residual=1e-3, on_step=on_step)
        ground = replace(again, history=ground.history + again.history)
        final = _with_correction(ground, settings)
    return final


def one_step_reduced(
    problem: KohnShamProblem, settings: PlaneWaveSettings, meshes: ReducedMeshes, density: FloatArray
) -> GroundState:
    """One SCF step from a density (D,), in a basis made for its potential, with the second-order correction.

    With the correction U errs to third order in the error of the basis, but T and ∫V ρ_out by themselves to first
    order, so that the basis is made larger than for self-consistency.

    Raises:
        InputError: a cutoff too low for the bands.
        EigensolverNotConverged: the orbitals did not converge.
        ConvergenceError: the basis is still too small after a few extensions.
    """
    bands = possible_bands(problem, starting_bands(settings, problem.electrons))
    potential = problem.basis.to_real(problem.potentials(density).effective)
    bloch = first_basis(problem, settings, potential, bands)
    wanted = _STEP_TOLERANCE * settings.basis_tolerance
    tolerance = _STEP_FIRST * settings.basis_tolerance
    errors: list[float] = []
    while True:
        bloch = extended_basis(problem, settings, bloch, potential, meshes.coarse, bands, tolerance)
        solver = ReducedBands(ReducedSpace.of(problem, bloch), meshes.full, bands)
        final = _with_correction(one_step(problem, settings, solver, density), settings)
        error = abs(final.free_energy - final.uncorrected_free_energy)
        if error < _SLACK * wanted:
            return final
        errors = _not_too_often(errors, error, wanted)
        tolerance, bands = tolerance * 0.3 * wanted / error, solver.bands


def _not_too_often(errors: list[float], error: float, wanted: float) -> list[float]:
    """The list of errors of the bases so far, Hartree, with one more.

    Raises:
        ConvergenceError: it is longer than the number of extensions allowed.
    """
    history = [*errors, error]
    if len(history) > _MOST_EXTENSIONS:
        raise ConvergenceError(
            f"the reduced basis was extended {_MOST_EXTENSIONS} times and still errs by {error:.1e} Hartree in F "
            f'(wanted {wanted:.0e}); basis = "full" does without it',
            [{"basis_error": value} for value in history],
        )
    return history


def carried_basis(ground: GroundState, settings: PlaneWaveSettings | None) -> BlochBasis | None:
    """The reduced basis of a solution for a neighbouring solve, or None from full plane waves.

    Args:
        ground: the solution.
        settings: whose ``basis_tolerance`` decides which part of the basis is kept; None keeps all of it.
    """
    orbitals = ground.orbitals
    if not isinstance(orbitals, ReducedOrbitals):
        return None
    if settings is None:
        return orbitals.bloch
    matrix = orbitals.density_matrix(ground.occupations.weights)
    return orbitals.bloch.compressed(matrix, _COMPRESSION * settings.basis_tolerance, 2 * ground.energies.shape[1])


def _with_correction(ground: GroundState, settings: PlaneWaveSettings) -> GroundState:
    """A ground state with second-order corrections of its eigenvalues, and of F through U and −TS."""
    problem = ground.problem
    assert isinstance(ground.orbitals, ReducedOrbitals)
    potential = problem.basis.to_real(ground.potentials_in.effective)
    occupations = ground.occupations
    energies = ground.energies + energy_correction(ground.orbitals, potential, ground.energies, occupations.weights)
    final = occupy(energies, problem.basis.k_weights, problem.electrons, settings.smearing, settings.smearing_width)
    change = final.band_energy + final.entropic_energy - occupations.band_energy - occupations.entropic_energy
    return replace(ground, free_energy=ground.free_energy + change, corrected=(energies, final))
