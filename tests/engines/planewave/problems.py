"""Small Kohn–Sham problems shared by the tests of the plane-wave engine, built from its public parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.band_filling import starting_bands
from cellfields.dft.pseudopotential import CoreCharge, GTHPseudopotential, builtin_pseudopotential
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.scf import GroundState, self_consistent
from tests.toy import magnesium

STRAIN = (0.98, 1.03, 1.01, 91.5, 87.0, 92.0)  # nothing is left of the point group
SI_STRAIN = (1.012, 0.994, 1.003, 60.6, 59.2, 60.3)


def silicon() -> Crystal:
    return Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def aluminium() -> Crystal:
    return Crystal.from_lengths_and_angles([5.4] * 3, [60] * 3, ["Al"], [[0, 0, 0]])


def magnesium_silicide() -> Crystal:
    """Mg2Si: two species; silicon sits on the inversion centre, the magnesium atoms are a pair."""
    return Crystal.from_lengths_and_angles(
        [8.4] * 3, [60] * 3, ["Si", "Mg", "Mg"], [[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    )


def make_problem(
    crystal: Crystal, strain: Sequence[float], internal: Sequence[float], settings: PlaneWaveSettings
) -> KohnShamProblem:
    """The primitive cell of a strained crystal, without the engine around it."""
    lattice = Deformation.from_array(strain).lattice(crystal)
    pseudopotentials = {s: builtin_pseudopotential(s) for s in dict.fromkeys(crystal.species)}
    geometry = Geometry.of_crystal(crystal, lattice, crystal.positions(internal), pseudopotentials)
    mesh = KMesh.folded(settings.kmesh, crystal.primitive, time_reversal=settings.time_reversal)
    basis = PlaneWaveBasis.build(
        geometry, mesh, settings.cutoff, plane_waves=settings.plane_waves, shape=settings.fft_grid
    )
    return KohnShamProblem(geometry, basis, geometry.electrons)


def ground_state(
    problem: KohnShamProblem, settings: PlaneWaveSettings, start: GroundState | None = None
) -> GroundState:
    """Self-consistency in full plane waves, from superposed ions or from a solution with the same index sets."""
    bands = starting_bands(settings, problem.electrons)
    if start is None:
        return self_consistent(problem, settings, PlaneWaveBands(problem, bands), problem.superposed_density())
    solver = PlaneWaveBands(problem, bands, start.orbitals.vectors)  # type: ignore[attr-defined]
    density = start.density * (start.problem.basis.volume / problem.basis.volume)
    density[0] = problem.electrons / problem.basis.volume
    return self_consistent(problem, settings, solver, density, first_residual=1e-3)


def strained(problem: KohnShamProblem, eta: np.ndarray) -> KohnShamProblem:
    """The cell strained by 1 + η at *frozen* index sets: the same integer G, the same k in reciprocal coordinates."""
    geometry = replace(problem.geometry, lattice=problem.geometry.lattice @ (np.eye(3) + eta).T)
    basis = replace(
        problem.basis,
        volume=geometry.volume,
        reciprocal=geometry.reciprocal,
        density_g=problem.basis.density_m @ geometry.reciprocal,
        k_cartesian=problem.basis.k_points @ geometry.reciprocal,
    )
    return KohnShamProblem(geometry, basis, problem.electrons)


def moved(problem: KohnShamProblem, atom: int, shift: np.ndarray, *, partner: bool = True) -> KohnShamProblem:
    """One atom displaced by ``shift`` (Bohr, Cartesian), its inversion image oppositely; the basis stays."""
    positions = np.array(problem.geometry.positions)
    fractional = shift @ np.linalg.inv(problem.geometry.lattice)
    positions[atom] += fractional
    if partner:
        positions[problem.geometry.partners[atom]] -= fractional
    return KohnShamProblem(replace(problem.geometry, positions=positions), problem.basis, problem.electrons)


def four_point(function: Callable[[float], float], step: float = 1e-3) -> float:
    """Derivative of a function at 0, with an error of step⁴ times its fifth derivative / 30."""
    f = [function(s * step) for s in (-2, -1, 1, 2)]
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)


# A strain direction for each of the six components, symmetric.
STRAIN_PATTERNS = [
    0.5 * (np.eye(3)[[i]].T @ np.eye(3)[[j]] + np.eye(3)[[j]].T @ np.eye(3)[[i]])
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
]

# SCF to 1e-13 Ha: errors of F are of second order, so differences of F are good to about that.
MG_SETTINGS = PlaneWaveSettings(
    cutoff=5, kmesh=(2, 1, 1), smearing="cold", smearing_width=0.02, basis="full", scf_tolerance=1e-13
)
SI_SETTINGS = PlaneWaveSettings(cutoff=5, kmesh=(2, 2, 2), smearing="none", basis="full", scf_tolerance=1e-13)
MG2SI_SETTINGS = PlaneWaveSettings(
    cutoff=4, kmesh=(2, 1, 1), smearing="gaussian", smearing_width=0.02, basis="full", scf_tolerance=1e-13
)
MG_INTERNAL = (0.012, 0.018, -0.006)
SI_INTERNAL = (0.004, -0.003, 0.002)


def magnesium_problem() -> KohnShamProblem:
    return make_problem(magnesium(), STRAIN, MG_INTERNAL, MG_SETTINGS)


def silicon_problem() -> KohnShamProblem:
    return make_problem(silicon(), SI_STRAIN, SI_INTERNAL, SI_SETTINGS)


def silicide_problem() -> KohnShamProblem:
    return make_problem(magnesium_silicide(), SI_STRAIN, SI_INTERNAL, MG2SI_SETTINGS)


def zinc_blende() -> Crystal:
    """Mg and Al on zinc-blende sites: no inversion centre."""
    return Crystal.from_lengths_and_angles([7.4] * 3, [60] * 3, ["Mg", "Al"], [[0, 0, 0], [0.25, 0.25, 0.25]])


ZB_SETTINGS = PlaneWaveSettings(
    cutoff=4, kmesh=(3, 2, 1), smearing="cold", smearing_width=0.02, basis="full", scf_tolerance=1e-13
)
ZB_INTERNAL = (0.012, -0.02, 0.007)


def zinc_blende_problem() -> KohnShamProblem:
    return make_problem(zinc_blende(), SI_STRAIN, ZB_INTERNAL, ZB_SETTINGS)


@dataclass(frozen=True, eq=False)
class CoredPseudopotential(GTHPseudopotential):
    """An analytic pseudopotential with a model core density that some other one might have."""

    core: CoreCharge | None = None

    @property
    def core_charge(self) -> CoreCharge | None:  # type: ignore[override]
        return self.core


def cored(problem: KohnShamProblem) -> KohnShamProblem:
    """The same ions with model cores of 0.3 electrons/Bohr³ that end at 2.7 and 2.4 Bohr, one for each species."""
    ions = problem.geometry.pseudopotentials
    cores = {symbol: CoreCharge.teter(0.3, 0.9 - 0.1 * i) for i, symbol in enumerate(ions)}
    with_core = {
        symbol: CoredPseudopotential(*(getattr(ion, f.name) for f in fields(GTHPseudopotential)), core=cores[symbol])
        for symbol, ion in ions.items()
    }
    return replace(problem, geometry=replace(problem.geometry, pseudopotentials=with_core))
