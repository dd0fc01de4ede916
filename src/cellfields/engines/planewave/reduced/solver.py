"""Self-consistency in a reduced Bloch basis, made, tested and if need be extended on the way.

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
_COARSE_SCF = 1e-7  # Hartree, self-consistency wanted on the coarse mesh
_COMPRESSION = 0.001  # electrons per Hartree of tolerance: what a carried basis may forget
_MOST_EXTENSIONS = 4
_STEP_TOLERANCE, _STEP_FIRST = 0.2, 0.02  # times the tolerance: error wanted of one step, and on the coarse mesh first
_SLACK = 2.0  # the full mesh may find this times the tolerance before the basis is extended again


@dataclass(frozen=True, eq=False)
class ReducedMeshes:
    """Attributes: full the mesh that was asked for; coarse some 60 k points off special ones, to make bases on."""

    full: ReducedMesh
    coarse: ReducedMesh

    @classmethod
    def of(cls, problem: KohnShamProblem, coarse: KMesh) -> ReducedMeshes:
        """For a problem with union plane waves, and a coarse mesh anywhere in reciprocal space."""
        basis, geometry = problem.basis, problem.geometry
        m = basis.wave_m[0]
        points = shortest_equivalents(coarse.points, geometry.reciprocal)
        return cls(
            ReducedMesh(geometry, m, basis.k_points, basis.k_weights),
            ReducedMesh(geometry, m, points, coarse.weights),
        )


@dataclass(frozen=True, eq=False)
class ReducedStart:
    """What a neighbouring solve hands over.

    Attributes:
        density: (D,) on the new problem's basis.
        bloch: basis to start from, or None.
        guess: orbitals of the neighbour; used where they are in the same basis.
        close: the neighbour is so close that its basis need not be tested before it is used.
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
        meshes: the mesh, and a coarse one.
        mixer: of the density; it learns.
        start: density and basis of a neighbouring state.
        on_step: called after every step of self-consistency, on the coarse mesh and on the full one.

    Raises:
        SCFNotConverged: with its history.
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
    """Add the second-order correction; where it shows the basis to be too small, extend that and solve again.

    Args:
        problem: cell and ions; plane waves are the union of all k spheres, k points lie in the first zone.
        settings: ``basis_tolerance`` bounds the estimated error of F before correction.
        meshes: the mesh, and a coarse one.
        ground: self-consistent in a reduced basis, not yet corrected.
        on_step: called after every step of self-consistency, where it is solved again.

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
    """One step from a density (D,) in a basis made for its potential, corrected.

    The correction makes U good to third order in what the basis lacks, but T and ∫V ρ_out by themselves are of first
    order: the basis is a larger one than self-consistency needs.

    Raises:
        EigensolverNotConverged: see :func:`~cellfields.engines.planewave.scf.one_step`.
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
    """The errors of the bases so far, Hartree, with one more.

    Raises:
        ConvergenceError: there are too many.
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
    """The part of a solution's basis that is worth handing to a neighbour; all of it without settings."""
    orbitals = ground.orbitals
    if not isinstance(orbitals, ReducedOrbitals):
        return None
    if settings is None:
        return orbitals.bloch
    matrix = orbitals.density_matrix(ground.occupations.weights)
    return orbitals.bloch.compressed(matrix, _COMPRESSION * settings.basis_tolerance, 2 * ground.energies.shape[1])


def _with_correction(ground: GroundState, settings: PlaneWaveSettings) -> GroundState:
    """Second-order correction of the eigenvalues, and of F through U and −TS."""
    problem = ground.problem
    assert isinstance(ground.orbitals, ReducedOrbitals)
    potential = problem.basis.to_real(ground.potentials_in.effective)
    occupations = ground.occupations
    energies = ground.energies + energy_correction(ground.orbitals, potential, ground.energies, occupations.weights)
    final = occupy(energies, problem.basis.k_weights, problem.electrons, settings.smearing, settings.smearing_width)
    change = final.band_energy + final.entropic_energy - occupations.band_energy - occupations.entropic_energy
    return replace(ground, free_energy=ground.free_energy + change, corrected=(energies, final))
