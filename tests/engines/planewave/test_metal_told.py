"""smearing = "none": a metal is told while self-consistency is sought, an insulator is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.band_filling import band_overlap
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.orbitals import PlaneWaveOrbitals
from cellfields.engines.planewave.scf import _is_metal, _overlap_with_more_bands
from cellfields.errors import InputError, SCFNotConverged
from tests.engines.planewave.problems import SI_STRAIN, ground_state, make_problem, silicon


def rock_or_diamond(edge: float, second: float, species: list[str]) -> Crystal:
    lattice = edge * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    return Crystal(lattice, species, [(0, 0, 0), (second,) * 3])


def graphene() -> Crystal:
    return Crystal.from_lengths_and_angles(
        [4.65, 4.65, 12], [90, 90, 120], ["C", "C"], [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]
    )


def engine_of(crystal: Crystal, cutoff: float, kmesh: tuple[int, int, int], **more: object) -> PlaneWaveEngine:
    return PlaneWaveEngine(crystal, PlaneWaveSettings(cutoff=cutoff, kmesh=kmesh, smearing="none", **more))


@pytest.mark.parametrize("basis", ["full", "reduced"])
@pytest.mark.parametrize("steps", [9, 60])
def test_a_metal_is_told_after_a_few_steps(basis: str, steps: int) -> None:
    """Bands that cross are filled by number and change places: without this it takes all steps and ends unconverged."""
    crystal = Crystal.from_lengths_and_angles(
        [5.95, 5.95, 9.66], [90, 90, 120], ["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    )
    engine = engine_of(crystal, 5, (3, 3, 2), max_scf_steps=steps, basis=basis)
    with pytest.raises(InputError, match=r"the bands overlap by 0\.0\d+ Hartree; choose"):
        engine.evaluate(Deformation.identity(crystal), np.zeros(crystal.n_internal))


@pytest.mark.parametrize(
    ("crystal", "cutoff", "kmesh"),
    [
        (rock_or_diamond(10.2, 0.25, ["Si", "Si"]), 5, (3, 3, 3)),  # overlap in the first step
        (rock_or_diamond(10.6, 0.25, ["Ge", "Ge"]), 5, (3, 3, 3)),  # a gap of 0.016 Ha, overlap in the first step
        (rock_or_diamond(7.9, 0.5, ["Mg", "O"]), 15, (2, 2, 2)),
        (graphene(), 10, (4, 4, 1)),  # no k point where its bands touch
    ],
    ids=["Si", "Ge", "MgO", "graphene"],
)
def test_insulators_are_left_alone(crystal: Crystal, cutoff: float, kmesh: tuple[int, int, int]) -> None:
    state = engine_of(crystal, cutoff, kmesh).evaluate(Deformation.identity(crystal), np.zeros(crystal.n_internal))
    assert state.provenance["scf_steps"] <= 12
    assert state.entropic_energy == 0


def test_a_gap_that_closes_for_some_steps_is_no_metal() -> None:
    near, far = [1e-4] * 20, [1.6] * 20  # |F_Harris − F_KS|, Hartree
    assert not _is_metal([0.05] * 7, near[:7])
    assert _is_metal([0.05] * 8, near[:8])
    assert not _is_metal([0.05] * 8, far[:8])  # the density says nothing yet
    assert _is_metal([0.05] * 20, far[:12] + near[:8])
    assert not _is_metal([0.05] * 5 + [-0.01] + [0.05] * 4, near[:10])
    assert not _is_metal([0.05 * 0.8**i for i in range(12)], near[:12])  # it is opening
    assert not _is_metal([1e-5] * 20, near)  # touching bands: the end decides


def test_a_missed_band_is_found_before_an_insulator_is_called_a_metal() -> None:
    """Start vectors without the lowest band of one k point: a loose eigensolver leaves them as they are."""
    settings = PlaneWaveSettings(cutoff=5, kmesh=(2, 2, 2), smearing="none", bands=7)
    problem = make_problem(silicon(), SI_STRAIN, (0.0,) * silicon().n_internal, settings)
    ground = ground_state(problem, settings)
    assert isinstance(ground.orbitals, PlaneWaveOrbitals)
    first, *others = ground.orbitals.vectors
    vectors = [first[:, 1:6], *(block[:, :5] for block in others)]
    solver = PlaneWaveBands(problem, 5, vectors)
    energies, _ = solver.solve(problem.basis.to_real(ground.potentials.effective), 1e-2)
    gap = -band_overlap(ground.energies, problem.electrons)
    assert gap > 0.01
    assert band_overlap(energies, problem.electrons) > 0.01  # so it seems
    overlap = _overlap_with_more_bands(problem, settings, solver, ground.density)
    assert overlap == pytest.approx(-gap, abs=2e-3)


def test_a_vanishing_gap_is_named_where_self_consistency_fails() -> None:
    """InSb at this lattice constant: 1e-4 Ha, the highest filled and lowest empty band change places."""
    crystal = rock_or_diamond(12.2, 0.25, ["In", "Sb"])
    engine = engine_of(crystal, 5, (3, 3, 3), max_scf_steps=20)
    with pytest.raises(SCFNotConverged, match=r"; filled and empty bands are .* Hartree apart, .*smearing"):
        engine.evaluate(Deformation.identity(crystal), np.zeros(crystal.n_internal))
