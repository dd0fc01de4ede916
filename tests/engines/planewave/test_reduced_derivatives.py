"""Forces and stress of the reduced basis are exact derivatives of its energy, with the basis functions frozen.

    F_B(R, η) = self-consistent free energy in fixed functions B_i(G);   force = −∂F_B/∂R,   V σ = ∂F_B/∂η

How far that energy is from that of full plane waves is another question (test_reduced.py, benchmarks/basis_error.py).
"""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.dft.band_filling import starting_bands
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import observables
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.reduced.bands import ReducedBands, ReducedSpace
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.making import extended_basis, first_basis
from cellfields.engines.planewave.reduced.mesh import ReducedMesh
from cellfields.engines.planewave.scf import GroundState, self_consistent
from tests.engines.planewave.problems import (
    MG_INTERNAL,
    STRAIN,
    STRAIN_PATTERNS,
    four_point,
    make_problem,
    moved,
    strained,
)
from tests.toy import magnesium

SETTINGS = PlaneWaveSettings(
    cutoff=4, kmesh=(3, 2, 2), smearing="cold", smearing_width=0.02, plane_waves="union", scf_tolerance=1e-13
)


def solve(problem: KohnShamProblem, bloch: BlochBasis) -> GroundState:
    """Self-consistency in given functions."""
    mesh = ReducedMesh(problem.geometry, bloch.m, problem.basis.k_points, problem.basis.k_weights)
    solver = ReducedBands(ReducedSpace.of(problem, bloch), mesh, starting_bands(SETTINGS, problem.electrons))
    return self_consistent(problem, SETTINGS, solver, problem.superposed_density())


@pytest.fixture(scope="module")
def frozen() -> tuple[KohnShamProblem, BlochBasis, GroundState]:
    """A deliberately small basis: its energy is 1e-4 Ha off, so a missing piece of a derivative would show."""
    problem = make_problem(magnesium(), STRAIN, MG_INTERNAL, SETTINGS)
    potential = problem.basis.to_real(problem.potentials(problem.superposed_density()).effective)
    bands = starting_bands(SETTINGS, problem.electrons)
    bloch = first_basis(problem, SETTINGS, potential, bands)
    mesh = ReducedMesh(problem.geometry, bloch.m, problem.basis.k_points, problem.basis.k_weights)
    bloch = extended_basis(problem, SETTINGS, bloch, potential, mesh, bands, 1e-4)
    return problem, bloch, solve(problem, bloch)


def test_forces(frozen: tuple[KohnShamProblem, BlochBasis, GroundState]) -> None:
    problem, bloch, ground = frozen
    forces = observables.forces(ground)
    assert np.abs(forces).max() > 1e-3  # the atoms are displaced on purpose
    for axis in range(3):
        shift = np.eye(3)[axis]
        slope = four_point(lambda t, s=shift: solve(moved(problem, 0, t * s), bloch).free_energy, 0.01)
        # Both atoms of the pair move. F is good to 1e-13 Ha, the step is 0.01 Bohr.
        assert -2 * forces[0, axis] == pytest.approx(slope, abs=2e-8)


@pytest.mark.parametrize("component", range(6))
def test_stress(frozen: tuple[KohnShamProblem, BlochBasis, GroundState], component: int) -> None:
    problem, bloch, ground = frozen
    pattern = STRAIN_PATTERNS[component]
    slope = four_point(lambda t: solve(strained(problem, t * pattern), bloch).free_energy, 2e-3)
    expected = float((observables.stress(ground) * pattern).sum()) * problem.geometry.volume
    assert expected == pytest.approx(slope, abs=2e-7)  # Hartree per unit strain; V σ is 1e-2


def test_full_mesh_is_the_mesh(frozen: tuple[KohnShamProblem, BlochBasis, GroundState]) -> None:
    problem, _, ground = frozen
    mesh = KMesh.folded(SETTINGS.kmesh, magnesium().primitive)
    assert ground.energies.shape[0] == len(mesh.points) == len(problem.basis.k_points)
