"""A density that ABINIT begins with: its own brings it back at once, and the atoms that belong to it stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.engines.abinit import AbinitEngine, AbinitOptions, DensityFile
from cellfields.engines.abinit.density_input import DENSITY_NAME, empty_file, started
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import ElectronicFields
from tests.engines.abinit.problems import INTERNAL, MG_SETTINGS, SI_STRAIN, STRAIN, needs_abinit
from tests.engines.planewave.problems import zinc_blende
from tests.toy import ToyEngine, magnesium

NEIGHBOUR = Deformation((0.982, 1.027, 1.012), (91.2, 87.4, 91.6))


@pytest.fixture(scope="module")
def engine() -> AbinitEngine:
    return AbinitEngine(magnesium(), MG_SETTINGS)


@pytest.fixture(scope="module")
def held(engine: AbinitEngine) -> CellState:
    return engine.evaluate(STRAIN, INTERNAL)


def toy_start() -> DensityStart:
    return DensityStart.of(ToyEngine(magnesium(), field_cutoff=12.0).solve(STRAIN))


def file_of(engine: AbinitEngine, deformation: Deformation, internal: np.ndarray) -> DensityFile:
    lattice = deformation.lattice(engine.crystal)
    return empty_file(engine.crystal, lattice, internal, engine.settings, engine.pseudopotentials)


# -- without ABINIT -------------------------------------------------------------------------------------------------


def test_a_state_itself_is_a_start(engine: AbinitEngine) -> None:
    state = ToyEngine(magnesium(), field_cutoff=12.0).solve(STRAIN)
    given = engine.input(STRAIN, INTERNAL, start=state)
    assert given.files == engine.input(STRAIN, INTERNAL, start=toy_start()).files
    assert DENSITY_NAME in given.files
    with pytest.raises(InputError, match=r"start: a dict cannot be .*give a CellState"):
        engine.input(STRAIN, INTERNAL, start={"density": 1})  # type: ignore[arg-type]


def test_the_file_holds_the_density_of_the_fields(engine: AbinitEngine) -> None:
    """At atoms that are where the density's are, the grid holds the function itself."""
    start = toy_start()
    crystal = engine.crystal
    file = started(file_of(engine, STRAIN, crystal.internal(start.positions)), start, crystal)
    fields, (n1, n2, n3) = start.fields, file.density.shape
    assert (n1, n2, n3) == (16, 16, 24)
    for point in ((0, 0, 0), (3, 5, 7), (15, 2, 11)):
        x = crystal.origin + np.array(point) / file.density.shape @ crystal.primitive
        m = fields.basis.indices
        known = (2 * np.abs(np.rint(m @ crystal.primitive.T)) < file.density.shape).all(axis=1)
        waves = np.exp(2j * np.pi * (m @ (x - fields.basis.origin)))
        weights = np.where((m == 0).all(axis=1), 1.0, 2.0) * known
        value = (weights * (fields.coefficients["density"] * waves).real).sum() / fields.volume
        assert abs(file.density[point] - value) < 1e-12
    assert abs(file.density.mean() * np.linalg.det(file.lattice) - 4) < 1e-12


def test_gaussians_move_with_the_atoms(engine: AbinitEngine) -> None:
    start, crystal = toy_start(), engine.crystal
    here = started(file_of(engine, STRAIN, crystal.internal(start.positions)), start, crystal)
    there = started(file_of(engine, STRAIN, INTERNAL), start, crystal)
    assert np.abs(here.density - there.density).max() > 1e-4
    again = started(file_of(engine, STRAIN, INTERNAL), here, crystal)  # from the file: the same Gaussians move
    np.testing.assert_allclose(again.density, there.density, atol=1e-13)


def test_a_run_with_a_start_is_complete(engine: AbinitEngine, tmp_path: Path) -> None:
    engine.input(STRAIN, INTERNAL, start=toy_start()).write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run.abi", "Mg.gth", DENSITY_NAME}
    assert DensityFile.read(tmp_path / DENSITY_NAME).density.shape == (16, 16, 24)
    text = (tmp_path / "run.abi").read_text()
    assert f'getden_filepath "{DENSITY_NAME}"' in text and "nnsclo -" in text


def test_the_users_variables(engine: AbinitEngine) -> None:
    own = AbinitEngine(engine.crystal, MG_SETTINGS, AbinitOptions(variables={"nnsclo": 3}))
    assert own.input(STRAIN, INTERNAL, start=toy_start()).variables["nnsclo"] == "3"
    own = AbinitEngine(engine.crystal, MG_SETTINGS, AbinitOptions(variables={"irdden": 1}))
    with pytest.raises(InputError, match=r"abinit\.variables\.irdden"):
        own.input(STRAIN, INTERNAL, start=toy_start())


def test_a_density_of_something_else_is_refused(engine: AbinitEngine) -> None:
    start = toy_start()
    fields = start.fields
    more = ElectronicFields(fields.basis, {"density": 1.25 * fields.coefficients["density"]}, fields.volume)
    with pytest.raises(InputError, match=r"10 electrons.*8.*pseudopotentials"):
        engine.input(STRAIN, INTERNAL, start=replace(start, fields=more))
    with pytest.raises(InputError, match="2 atoms"):
        engine.input(STRAIN, INTERNAL, start=replace(start, positions=start.positions[:2]))
    file = started(file_of(engine, STRAIN, INTERNAL), start, engine.crystal)
    with pytest.raises(InputError, match="the cell of the density file"):
        engine.input(NEIGHBOUR, INTERNAL, start=file)
    with pytest.raises(InputError, match="the cutoff of the density file"):
        engine.input(STRAIN, INTERNAL, start=replace(file, cutoff=7.0))


# -- with ABINIT ----------------------------------------------------------------------------------------------------


@needs_abinit
def test_its_own_density_is_self_consistent_at_once(engine: AbinitEngine, held: CellState) -> None:
    again = engine.evaluate(STRAIN, INTERNAL, start=DensityStart.of(held))
    assert again.provenance["scf_steps"] <= 3 < held.provenance["scf_steps"] - 3
    assert abs(again.free_energy - held.free_energy) < 1e-10
    np.testing.assert_allclose(again.forces, held.forces, atol=1e-8)


@needs_abinit
def test_a_crystal_without_inversion_centre() -> None:
    crystal = zinc_blende()
    engine = AbinitEngine(crystal, MG_SETTINGS.model_copy(update={"kmesh": (1, 1, 1), "fft_grid": None}))
    internal = np.array([0.004, -0.003, 0.002])
    held = engine.evaluate(SI_STRAIN, internal)
    again = engine.evaluate(SI_STRAIN, internal, start=DensityStart.of(held))
    assert again.provenance["scf_steps"] <= 3 < held.provenance["scf_steps"] - 2
    assert abs(again.free_energy - held.free_energy) < 1e-10


@needs_abinit
def test_a_relaxation_from_atoms_that_are_there(engine: AbinitEngine) -> None:
    """… is over after one solve, at the minimum of the embedded engine that they came from."""
    own = PlaneWaveEngine(engine.crystal, MG_SETTINGS).solve(STRAIN)
    state = engine.solve(STRAIN, start=DensityStart.of(own, with_atoms=True))
    assert state.provenance["solves"] <= 3
    assert abs(state.free_energy - own.free_energy) < 1e-8
    np.testing.assert_allclose(state.positions, own.positions, atol=2e-5)
