"""What one solve hands to the next: densities and orbitals carried between cells by their integer vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields import Deformation, DensityStart, FourierBasis, InputError
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import OddModes, PlaneWaveEngine, PlaneWaveStart
from cellfields.engines.planewave import planewave_engine as engine_module
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.continuation import FieldStart
from cellfields.engines.planewave.deformed_crystal import DeformedCrystal
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.observables import electronic_fields
from cellfields.engines.planewave.relaxation_start import RelaxationStart
from cellfields.engines.planewave.scf import GroundState, self_consistent
from tests.engines.planewave.problems import MG_INTERNAL, MG_SETTINGS, STRAIN, ground_state, make_problem
from tests.toy import ToyEngine, magnesium

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


def test_a_states_density_is_a_start() -> None:
    """Stored fields bring the SCF back to where they came from, and give another strain the answer of a cold solve."""
    engine = PlaneWaveEngine(
        magnesium(), PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 2, 2), smearing_width=0.02)
    )
    here, there = Deformation.from_array(STRAIN), Deformation.from_array(NEIGHBOUR)
    cold = engine.evaluate(here, MG_INTERNAL)
    again = engine.evaluate(here, MG_INTERNAL, start=DensityStart.of(cold))
    assert abs(again.free_energy - cold.free_energy) < 1e-10
    assert again.provenance["scf_steps"] < 0.5 * cold.provenance["scf_steps"]
    moved = np.array(MG_INTERNAL) + np.array([0.002, -0.001, 0.003])
    reference = engine.evaluate(there, moved)
    started = engine.evaluate(there, moved, start=DensityStart.of(cold))
    assert abs(started.free_energy - reference.free_energy) < 1e-10
    assert started.provenance["scf_steps"] < reference.provenance["scf_steps"]


def test_stored_density_arrives_whole(magnesium_ground: GroundState) -> None:
    crystal, problem = magnesium(), magnesium_ground.problem
    fields = electronic_fields(magnesium_ground, crystal, FourierBasis.for_crystal(crystal, 6 * MG_SETTINGS.cutoff))
    positions = crystal.positions(np.array(MG_INTERNAL))
    start = FieldStart(crystal, DensityStart(fields, positions))
    assert np.allclose(start.density_for(problem), magnesium_ground.density, atol=1e-14)


def test_atoms_that_are_in_place_stay_there() -> None:
    """A relaxation that is told where the atoms are needs one solve; without that it is the cold relaxation."""
    engine = PlaneWaveEngine(
        magnesium(),
        PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 2, 2), smearing_width=0.02, force_tolerance=1e-5),
    )
    relaxed = engine.solve(Deformation.from_array(STRAIN))
    placed = engine.solve(Deformation.from_array(STRAIN), start=DensityStart.of(relaxed, with_atoms=True))
    assert placed.provenance["solves"] == 1 < relaxed.provenance["solves"]
    assert np.allclose(placed.internal, relaxed.internal, atol=1e-12)
    density_only = engine.solve(Deformation.from_array(STRAIN), start=DensityStart.of(relaxed))
    assert abs(density_only.free_energy - relaxed.free_energy) < 1e-9
    assert density_only.provenance["solves"] > 1
    with pytest.raises(InputError, match="the crystal has 3"):
        engine.solve(Deformation.from_array(STRAIN), start=DensityStart(relaxed.fields, relaxed.positions, np.zeros(2)))


def test_a_state_without_density_is_no_start() -> None:
    state = ToyEngine(magnesium()).solve(Deformation.from_array(STRAIN))
    with pytest.raises(InputError, match="without a density"):
        DensityStart.of(replace(state, fields=None))


def test_a_state_itself_is_a_start() -> None:
    """Its density without its atoms, as DensityStart.of takes it."""
    engine = PlaneWaveEngine(
        magnesium(), PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(2, 2, 1), force_tolerance=1e-4)
    )
    here = Deformation.from_array(STRAIN)
    state = engine.solve(here)
    again = engine.solve(here, start=state)
    assert again.free_energy == engine.solve(here, start=DensityStart.of(state)).free_energy
    assert again.provenance["scf_steps"] < state.provenance["scf_steps"]
    held = engine.evaluate(here, state.internal, start=state)
    assert held.free_energy == pytest.approx(state.free_energy, abs=1e-9)


@pytest.mark.parametrize("wrong", [{"density": 1}, "state", 3.0])
def test_what_is_no_start_is_refused_by_name(wrong: object) -> None:
    engine = PlaneWaveEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(1, 1, 1)))
    for ask in (engine.solve, lambda d, start: engine.evaluate(d, MG_INTERNAL, start=start)):
        with pytest.raises(InputError, match=f"start: a {type(wrong).__name__} cannot be .*give a CellState"):
            ask(Deformation.from_array(STRAIN), start=wrong)


def test_a_start_is_used_where_the_inversion_centre_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Density and curvature of a continuation reach the relaxation that keeps the centre, and the free one after it."""
    crystal = magnesium().with_inversion("free")
    engine = PlaneWaveEngine(
        crystal, PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(2, 2, 1), force_tolerance=1e-6)
    )
    here = Deformation.from_array(STRAIN)
    state, continuation = engine.solve_and_continue(here)
    given: list[DensityStart | None] = []
    curvatures: list[np.ndarray | None] = []
    check, leave = engine_module.odd_mode_check, engine_module.off_the_saddle

    def noted(engine: PlaneWaveEngine, deformation: Deformation, *, start: DensityStart | None = None) -> OddModes:
        given.append(start)
        return check(engine, deformation, start=start)

    def left(deformed: DeformedCrystal, modes: OddModes, curvature: np.ndarray | None) -> RelaxationStart:
        curvatures.append(curvature)
        return leave(deformed, modes, curvature)

    monkeypatch.setattr(engine_module, "odd_mode_check", noted)
    monkeypatch.setattr(engine_module, "off_the_saddle", left)
    again, _ = engine.solve_and_continue(here, start=continuation)
    (start,) = given
    assert start is not None
    assert start.fields.coefficients["density"] == pytest.approx(state.fields.coefficients["density"], abs=1e-12)
    assert start.positions == pytest.approx(state.positions, abs=1e-12)
    assert np.array_equal(curvatures[0], continuation.hessian)
    assert again.free_energy == pytest.approx(state.free_energy, abs=1e-8)
