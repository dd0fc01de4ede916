"""One step from a given density: what a self-consistent density returns, how orbitals and bands are made sure of."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine, scf
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.scf import GroundState, one_step
from cellfields.errors import EigensolverNotConverged
from tests.engines.planewave.problems import MG_INTERNAL, MG_SETTINGS, STRAIN
from tests.toy import magnesium


def test_a_self_consistent_density_comes_back(magnesium_ground: GroundState) -> None:
    problem = magnesium_ground.problem
    found = one_step(problem, MG_SETTINGS, PlaneWaveBands(problem, 6), magnesium_ground.density)
    assert found.density_in is magnesium_ground.density
    assert np.abs(found.density - magnesium_ground.density).max() < 1e-8
    assert abs(found.free_energy - magnesium_ground.free_energy) < 1e-12
    assert np.abs(found.energies[:, :4] - magnesium_ground.energies[:, :4]).max() < 1e-7


def test_too_few_bands_grow(magnesium_ground: GroundState) -> None:
    problem = magnesium_ground.problem
    solver = PlaneWaveBands(problem, 3)
    found = one_step(problem, MG_SETTINGS, solver, magnesium_ground.density)
    assert solver.bands > 3
    assert abs(found.free_energy - magnesium_ground.free_energy) < 1e-12


def test_orbitals_that_do_not_converge(magnesium_ground: GroundState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scf, "_TIGHTEST", 0.0)
    problem = magnesium_ground.problem
    with pytest.raises(EigensolverNotConverged, match="in the potential of the given density") as caught:
        one_step(problem, MG_SETTINGS, PlaneWaveBands(problem, 6), magnesium_ground.density)
    assert len(caught.value.history) == 12


def test_reduced_basis_agrees_with_full_plane_waves() -> None:
    """Far from self-consistency, where the reduced basis belongs to another potential than any SCF's."""
    settings = PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(3, 2, 2), smearing_width=0.02, plane_waves="union")
    strain = Deformation.from_array(STRAIN)
    found = {}
    for basis in ("full", "reduced"):
        engine = PlaneWaveEngine(magnesium(), settings.model_copy(update={"basis": basis}))
        cell = engine.held(strain, np.array(MG_INTERNAL))
        found[basis] = cell.one_step(cell.problem.superposed_density())
    full, reduced = found["full"], found["reduced"]
    assert abs(full.free_energy - reduced.free_energy) < 2e-7
    assert abs(reduced.uncorrected_free_energy - full.free_energy) < 2e-6
    assert np.linalg.norm(full.density - reduced.density) < 1e-4 * np.linalg.norm(full.density)
