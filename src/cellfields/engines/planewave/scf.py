"""Self-consistency:  ρ → V_eff[ρ] → (E, ψ) → f → ρ_out, until ρ_out = ρ; or one such step with exact (E, ψ).

    F_KS[ρ_out] = U − ∫V_in ρ_out + ∫V_loc ρ_out + E_H[ρ_out] + E_xc[ρ_out] + E_Ewald + E_core − TS
    F_Harris[ρ_in] = U − E_H[ρ_in] − ∫V_xc ρ_in + E_xc[ρ_in] + E_Ewald + E_core − TS

Both are stationary; their difference measures what is left to converge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.dft.band_filling import band_overlap, has_enough_bands, metal_without_smearing
from cellfields.dft.occupation import Occupations, occupy
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.arithmetic import inner, squares
from cellfields.engines.planewave.bands import BandSolver
from cellfields.engines.planewave.hamiltonian import KohnShamProblem, Potentials
from cellfields.engines.planewave.mixing import AndersonMixer
from cellfields.engines.planewave.orbitals import Orbitals
from cellfields.engines.planewave.progress import ScfCallback, ScfStep, log_scf_step
from cellfields.engines.planewave.terms import local
from cellfields.errors import EigensolverNotConverged, SCFNotConverged

_LOOSEST, _TIGHTEST = 1e-2, 1e-8  # bounds of the eigensolver's residual norm, Hartree
_EIGEN_TO_DENSITY = 0.03  # eigensolver tolerance over density residual: looser spoils the mixing history
_DENSITY_TO_ENERGY = 0.2  # density residual wanted, in units of √(energy tolerance): U is first order in it
_METAL_STEPS = 8  # in a row, in which bands must overlap before a crystal is called a metal
_CLEAR_OVERLAP, _SMALL_GAP = 1e-4, 2e-3  # Hartree
_CHECKING = 1e-4  # of the eigensolver, Hartree, where it is asked whether the bands overlap indeed
_MOST_SOLVES = 12  # in one potential: more bands, and what a solver's own limit on its steps leaves


@dataclass(frozen=True, eq=False)
class GroundState:
    """Solution of a :class:`KohnShamProblem`: self-consistent, or in the potential of a given density (one step).

    Attributes:
        problem: what was solved.
        density: ρ_out (D,); density_in the one whose potential made the orbitals (self-consistent: the same).
        potentials: of ``density``; potentials_in of ``density_in``.
        orbitals: the orbitals.
        energies: (K, n) eigenvalues.
        occupations: of the states.
        free_energy: F_KS, corrected for the basis where it is a reduced one.
        history: one mapping a step.
        corrected: eigenvalues and occupations beyond the reduced basis, when there is a correction.
    """

    problem: KohnShamProblem
    density: Coefficients
    density_in: Coefficients
    potentials: Potentials
    potentials_in: Potentials
    orbitals: Orbitals
    energies: FloatArray
    occupations: Occupations
    free_energy: float
    history: tuple[dict[str, float], ...]
    corrected: tuple[FloatArray, Occupations] | None = None

    @property
    def uncorrected_free_energy(self) -> float:
        """F_KS in the basis that was used."""
        before, after = self.occupations, self.final_occupations
        change = after.band_energy + after.entropic_energy - before.band_energy - before.entropic_energy
        return self.free_energy - change

    @property
    def final_energies(self) -> FloatArray:
        """Best known eigenvalues (K, n)."""
        return self.energies if self.corrected is None else self.corrected[0]

    @property
    def final_occupations(self) -> Occupations:
        """Occupations that belong to them."""
        return self.occupations if self.corrected is None else self.corrected[1]


def self_consistent(
    problem: KohnShamProblem,
    settings: PlaneWaveSettings,
    solver: BandSolver,
    density_in: Coefficients,
    *,
    mixer: AndersonMixer | None = None,
    tolerance: float | None = None,
    first_residual: float = _LOOSEST,
    on_step: ScfCallback | None = None,
) -> GroundState:
    """Iterate to self-consistency.

    Args:
        problem: cell, ions, basis.
        settings: tolerances, smearing, bands.
        solver: gives the eigenpairs.
        density_in: start density (D,).
        mixer: carries a mixing history, or None for a new one.
        tolerance: |F_Harris − F_KS| wanted, Hartree (default: the settings').
        first_residual: eigensolver tolerance of the first step.
        on_step: called after every step, before it is known whether it was the last one; what it raises ends the SCF.

    Raises:
        InputError: a metal with smearing "none", as soon as its bands have overlapped for several steps: filled by
            number they change places from step to step, and it may never converge.
        SCFNotConverged: with the history of energies and residuals.
    """
    basis = problem.basis
    wanted = settings.scf_tolerance if tolerance is None else tolerance
    mixer = mixer or AndersonMixer(basis.inverse_g2, fraction=settings.mixing)
    history: list[dict[str, float]] = []
    overlaps: list[float] = []
    differences: list[float] = []
    eigen_tolerance = first_residual

    for step in range(settings.max_scf_steps):
        ground, harris, residual = _step(problem, settings, solver, density_in, eigen_tolerance)
        occupations, kohn_sham = ground.occupations, ground.free_energy
        change = ground.density - density_in
        norm = float(np.sqrt(4 * np.pi * basis.volume * (squares(change) @ basis.inverse_g2)))
        done = ScfStep(step, kohn_sham, harris - kohn_sham, norm, residual, occupations.fermi_energy)
        history.append(asdict(done))
        log_scf_step(done)
        if on_step is not None:
            on_step(done)
        overlaps.append(_overlap(settings, problem.electrons, ground.energies))
        differences.append(abs(harris - kohn_sham))
        if _is_metal(overlaps, differences):
            overlap = _overlap_with_more_bands(problem, settings, solver, density_in)
            if overlap > _CLEAR_OVERLAP:
                raise metal_without_smearing(overlap)
            overlaps, differences = [overlap], [np.inf]  # a band was missing, and is there now
        enough_bands = has_enough_bands(settings, occupations.per_state)
        if (
            enough_bands
            and abs(harris - kohn_sham) < wanted
            and norm < _DENSITY_TO_ENERGY * np.sqrt(wanted)
            and residual**2 < wanted
        ):
            if overlaps[-1] >= 0:
                raise metal_without_smearing(overlaps[-1])
            return replace(ground, history=tuple(history))
        _prepare(solver, occupations, enough_bands)
        density_in = mixer.mix(density_in, ground.density)
        eigen_tolerance = float(np.clip(_EIGEN_TO_DENSITY * norm, _TIGHTEST, eigen_tolerance))
    raise SCFNotConverged(
        f"self-consistency was not reached in {settings.max_scf_steps} steps: "
        f"|F_Harris − F_KS| = {abs(history[-1]['harris_minus_kohn_sham']):.1e} Ha, wanted {wanted:.1e}"
        + _advice(overlaps),
        history,
    )


def one_step(
    problem: KohnShamProblem, settings: PlaneWaveSettings, solver: BandSolver, density_in: Coefficients
) -> GroundState:
    """One step of self-consistency, with orbitals converged and bands enough: ρ_out is what V_eff[ρ_in] makes, unmixed.

    T and ∫V ρ_out are first order in the orbitals' error, so these converge as far as those of a whole SCF do. Filled
    bands stay filled where a rough density closes the gap.

    Raises:
        EigensolverNotConverged: with the largest residual of each attempt.
    """
    tolerance = _LOOSEST
    history: list[dict[str, float]] = []
    for _ in range(_MOST_SOLVES):
        ground, _, residual = _step(problem, settings, solver, density_in, tolerance)
        enough_bands = has_enough_bands(settings, ground.occupations.per_state)
        if enough_bands and residual <= _TIGHTEST:
            return ground
        history.append({"eigenvalue_residual": residual})
        _prepare(solver, ground.occupations, enough_bands)
        tolerance = _TIGHTEST if enough_bands else _LOOSEST  # once it is known which bands matter
    raise EigensolverNotConverged(
        f"the orbitals in the potential of the given density were left with residuals of {residual:.1e} Hartree, "
        f"wanted {_TIGHTEST:.0e}",
        history,
    )


def _step(
    problem: KohnShamProblem,
    settings: PlaneWaveSettings,
    solver: BandSolver,
    density_in: Coefficients,
    eigen_tolerance: float,
) -> tuple[GroundState, float, float]:
    """ρ_in → ρ_out; with F_Harris and the largest residual norm of the orbitals."""
    potentials_in = problem.potentials(density_in)
    energies, residual = solver.solve(problem.basis.to_real(potentials_in.effective), eigen_tolerance)
    occupations = occupy(energies, solver.k_weights, problem.electrons, settings.smearing, settings.smearing_width)
    orbitals = solver.orbitals()
    density_out = orbitals.density(occupations.weights)
    potentials_out = problem.potentials(density_out)
    harris, kohn_sham = _free_energies(problem, density_in, density_out, potentials_in, potentials_out, occupations)
    ground = GroundState(
        problem, density_out, density_in, potentials_out, potentials_in, orbitals, energies, occupations, kohn_sham, ()
    )
    return ground, harris, residual


def _prepare(solver: BandSolver, occupations: Occupations, enough_bands: bool) -> None:
    """For the next step: what the occupations say of the bands that matter, or more bands."""
    if enough_bands:
        solver.learn(occupations.per_state)
    else:
        solver.grow(solver.bands + max(2, solver.bands // 4))


def _overlap(settings: PlaneWaveSettings, electrons: float, energies: FloatArray) -> float:
    """Highest filled minus lowest empty energy of filled bands (K, n), Hartree; −∞ where that is no question."""
    if settings.smearing != "none" or energies.shape[1] <= round(electrons / 2):
        return -np.inf
    return band_overlap(energies, electrons)


def _is_metal(overlaps: list[float], differences: list[float]) -> bool:
    """Whether filled and empty bands have overlapped for several steps, clearly, and not less and less.

    Steps count whose density is near enough to self-consistency for the overlap to mean something, |F_Harris − F_KS|
    (``differences``, Hartree) below the overlap (``overlaps``, Hartree): the potential of a rough density may close the
    gap of an insulator for many steps.
    """
    recent, errors = overlaps[-_METAL_STEPS:], differences[-_METAL_STEPS:]
    if len(recent) < _METAL_STEPS or min(recent) <= _CLEAR_OVERLAP or recent[-1] <= 0.5 * max(recent):
        return False
    return all(error < overlap for error, overlap in zip(errors, recent, strict=True))


def _overlap_with_more_bands(
    problem: KohnShamProblem, settings: PlaneWaveSettings, solver: BandSolver, density_in: Coefficients
) -> float:
    """Overlap of filled and empty bands (Hartree) in the potential of a density, found with two bands more.

    An iterative eigensolver that is left at a loose tolerance may miss a filled band at one k point, so that an empty
    one stands in its place and the bands of an insulator seem to overlap. New start vectors find the band.
    """
    solver.grow(solver.bands + 2)
    ground, _, _ = _step(problem, settings, solver, density_in, _CHECKING)
    return _overlap(settings, problem.electrons, ground.energies)


def _advice(overlaps: list[float]) -> str:
    """What to say of a gap that is so small that bands change places."""
    if overlaps[-1] < -_SMALL_GAP:
        return ""
    return (
        f"; filled and empty bands are {-overlaps[-1]:.1e} Hartree apart, so close that they need a smearing: "
        'choose "cold", "fermi-dirac" or "gaussian"'
    )


def _free_energies(
    problem: KohnShamProblem,
    density_in: Coefficients,
    density_out: Coefficients,
    potentials_in: Potentials,
    potentials_out: Potentials,
    occupations: Occupations,
) -> tuple[float, float]:
    """(F_Harris, F_KS)."""
    volume = problem.geometry.volume
    constant = problem.ewald.energy + problem.core_energy + occupations.entropic_energy + occupations.band_energy
    harris = (
        constant - potentials_in.hartree_energy + potentials_in.xc_energy - volume * inner(potentials_in.xc, density_in)
    )
    kohn_sham = (
        constant
        - volume * inner(potentials_in.effective, density_out)
        + local.energy(problem.basis, density_out, problem.local_potential)
        + potentials_out.hartree_energy
        + potentials_out.xc_energy
    )
    return harris, kohn_sham
