"""What one solve hands to the next: densities and orbitals carried between cells by their integer vectors."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.planewave import PlaneWaveStart
from cellfields.planewave.bands import PlaneWaveBands
from cellfields.planewave.hamiltonian import KohnShamProblem
from cellfields.planewave.scf import GroundState, self_consistent
from tests.planewave.problems import MG_INTERNAL, MG_SETTINGS, STRAIN, ground_state, make_problem
from tests.toy import magnesium

NEIGHBOUR = (0.983, 1.027, 1.012, 91.2, 87.4, 91.6)


@pytest.fixture(scope="module")
def neighbour() -> KohnShamProblem:
    moved = np.array(MG_INTERNAL) + np.array([0.002, -0.001, 0.003])
    return make_problem(magnesium(), NEIGHBOUR, moved, MG_SETTINGS)


def test_nothing_changes_at_the_same_place(magnesium_ground: GroundState) -> None:
    start, problem = PlaneWaveStart(magnesium_ground), magnesium_ground.problem
    assert np.allclose(start.density_for(problem), magnesium_ground.density, atol=1e-15)
    same = make_problem(magnesium(), STRAIN, MG_INTERNAL, MG_SETTINGS)  # equal, but another object
    assert np.allclose(start.density_for(same), magnesium_ground.density, atol=1e-15)
    for mine, carried in zip(magnesium_ground.orbitals.vectors, start.orbitals_for(same), strict=True):
        assert np.array_equal(mine, carried)


def test_carried_density_holds_the_electrons_and_is_close(
    magnesium_ground: GroundState, neighbour: KohnShamProblem
) -> None:
    density = PlaneWaveStart(magnesium_ground).density_for(neighbour)
    assert abs(density[0] * neighbour.basis.volume - neighbour.electrons) < 1e-12
    exact = ground_state(neighbour, MG_SETTINGS).density
    carried = np.linalg.norm(density - exact)
    superposed = np.linalg.norm(neighbour.superposed_density() - exact)
    assert carried < 0.1 * superposed


def test_carried_orbitals_save_steps(magnesium_ground: GroundState, neighbour: KohnShamProblem) -> None:
    start = PlaneWaveStart(magnesium_ground)
    orbitals = start.orbitals_for(neighbour)
    assert [len(x) for x in orbitals] == [len(m) for m in neighbour.basis.wave_m]
    cold = ground_state(neighbour, MG_SETTINGS)
    bands = orbitals[0].shape[1]
    solver = PlaneWaveBands(neighbour, bands, orbitals)
    warm = self_consistent(neighbour, MG_SETTINGS, solver, start.density_for(neighbour), first_residual=1e-3)
    assert abs(warm.free_energy - cold.free_energy) < 1e-11
    assert len(warm.history) < len(cold.history)


def test_other_meshes_get_a_density_but_no_orbitals(magnesium_ground: GroundState) -> None:
    settings = MG_SETTINGS.model_copy(update={"kmesh": (2, 2, 1), "cutoff": 6})
    other = make_problem(magnesium(), STRAIN, MG_INTERNAL, settings)
    start = PlaneWaveStart(magnesium_ground)
    assert start.orbitals_for(other) is None
    density = start.density_for(other)
    assert density.shape == (len(other.basis.density_m),)
    # What the smaller sphere knew is carried over as it is; the rest is the ions' Gaussians.
    row = {tuple(m): i for i, m in enumerate(other.basis.density_m.tolist())}
    shared = [row[tuple(m)] for m in magnesium_ground.problem.basis.density_m.tolist()]
    assert np.allclose(density[shared], magnesium_ground.density, atol=1e-15)
