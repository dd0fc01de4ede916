"""Declarations of quantities, and a fifth field that goes wherever the four go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.cli._output import write_fields
from cellfields.dataset import DatasetStore
from cellfields.dataset.importing.projection import project
from cellfields.dataset.pack import pack, unpack
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import QUANTITIES
from cellfields.evaluation.evaluate import evaluate
from cellfields.export import predictor
from cellfields.export.predictor_writer import write_predictor
from cellfields.formats.grid_field import GridField, Structure
from cellfields.state import CellState, quantities
from cellfields.state.fields import FIELD_NAMES
from cellfields.state.quantities import ENERGIES, FIELDS, Integral, Quantity, field_of, quantity, register
from cellfields.surrogate import Recipe, Surrogate
from tests.surrogate.samples import draw
from tests.toy import ToyEngine, magnesium

GRID = (9, 12, 10)
RECIPE = Recipe(name="best", modes=6, degree=2, symmetry=False, slopes=False)
KINETIC = Quantity(
    "kinetic_energy_density", "field", "kinetic energy density", "τ", "Hartree/Bohr^3", "Ha Bohr⁻³", times_volume=True
)
LOCALISATION = Quantity("localisation", "field", "electron localisation", "η", "1", "")
CRYSTAL = magnesium()


@pytest.fixture
def registered() -> Iterator[None]:
    """Two more fields, one of them stored times the volume, until the test ends."""
    before = dict(FIELDS)
    register(KINETIC)
    register(LOCALISATION)
    yield
    for name in FIELDS.keys() - before.keys():
        del quantities._FIELDS[name]


def with_more_fields(state: CellState) -> CellState:
    """A state of the toy with two fields more: 0.3 ρ (1 + D₀) per Bohr³, and 0.5 + 0.1 ρ as it is."""
    assert state.fields is not None
    density = state.fields.coefficients["density"]
    localisation = 0.1 * density / state.volume
    localisation[0] += 0.5
    kinetic = 0.3 * state.deformation.as_array()[0] * density
    more = {KINETIC.name: kinetic, LOCALISATION.name: localisation}
    return replace(state, fields=replace(state.fields, coefficients={**state.fields.coefficients, **more}))


def toy_states(count: int) -> list[CellState]:
    return [with_more_fields(state) for state in map(ToyEngine(CRYSTAL, field_cutoff=2.0).solve, draw(CRYSTAL, count))]


def filled_store(path: Path, states: list[CellState]) -> DatasetStore:
    store = DatasetStore.create_or_open(path, CRYSTAL, {"engine": "toy", "settings": {}})
    for state in states:
        store.write(state)
    return store


# -- declarations -------------------------------------------------------------------------------------------------


def test_the_declared_names_and_orders_are_those_of_files() -> None:
    assert ENERGIES == ("free_energy", "band_energy", "entropic_energy", "fermi_energy")  # columns of pack files
    assert FIELD_NAMES == ("density", "coulomb_potential", "band_energy_density", "entropy_density") == tuple(FIELDS)
    assert [name for name in ENERGIES if not quantity(name).extensive] == ["fermi_energy"]
    assert quantity("density").title == "electron density ρ"
    assert quantity("density").short_title == "density ρ"


def test_integrals_are_those_of_the_toys_states() -> None:
    state = ToyEngine(CRYSTAL).solve(draw(CRYSTAL, 1)[0])
    assert state.fields is not None
    for energy in ("band_energy", "entropic_energy"):
        name = field_of(energy)
        assert name is not None
        integral = quantity(name).integral
        assert integral is not None
        factor = integral.factor(0.01)
        assert factor is not None
        assert getattr(state, energy) == pytest.approx(factor * state.fields.integral(name), rel=1e-14)
    assert field_of("electrons") == "density"
    assert field_of("fermi_energy") is None
    entropy = quantity("entropy_density").integral
    assert entropy is not None and entropy.factor(None) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b"}, "letters, digits"),
        ({"kind": "energy", "times_volume": True}, "is no field"),
        ({"extensive": True}, "cannot be extensive"),
        ({"times_volume": False, "integral": Integral("electrons")}, "must be stored times the volume"),
        ({"kind": "energy", "times_volume": False}, "only fields can be registered"),
        ({"name": "density"}, "declared already"),
        ({"name": "stress"}, "declared already"),
        ({"integral": Integral("kinetic_energy")}, "which nobody declared"),
        ({"integral": Integral("band_energy")}, "band_energy_density already"),
    ],
)
def test_contradicting_declarations_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        register(replace(KINETIC, **arguments))  # type: ignore[arg-type]
    assert tuple(FIELDS) == FIELD_NAMES


def test_a_registered_field_may_be_registered_again(registered: None) -> None:
    assert register(KINETIC) is FIELDS[KINETIC.name]
    with pytest.raises(InputError, match="declared already, otherwise"):
        register(replace(KINETIC, times_volume=False))


# -- a fifth field ------------------------------------------------------------------------------------------------


def test_stores_and_packs_keep_a_fifth_field(registered: None, tmp_path: Path) -> None:
    states = toy_states(5)
    store = filled_store(tmp_path / "dataset", states)
    pack(store, tmp_path / "mg.pack", tolerance=1e-6)
    back = unpack(tmp_path / "mg.pack", tmp_path / "back")
    for state in states:
        read, unpacked = store.read(state.deformation), back.read(state.deformation)
        assert state.fields is not None and read.fields is not None and unpacked.fields is not None
        for name in (KINETIC.name, LOCALISATION.name):
            assert read.knows(name) and unpacked.knows(name)
            np.testing.assert_array_equal(read.fields.vector(name), state.fields.vector(name))
            true, packed = state.fields.on_grid(name, GRID), unpacked.fields.on_grid(name, GRID)
            np.testing.assert_allclose(packed, true, atol=1e-5 * np.abs(true).max())
            assert unpacked.fields.integral(name) == pytest.approx(true.mean() * state.volume, rel=1e-9)


def test_physical_values_are_those_of_the_declaration(registered: None, tmp_path: Path) -> None:
    (state,) = toy_states(1)
    assert state.fields is not None
    density = state.fields.on_grid("density", GRID)
    expected = {
        KINETIC.name: 0.3 * state.deformation.as_array()[0] * density,
        LOCALISATION.name: 0.5 + 0.1 * density,
    }
    write_fields(tmp_path / "fields.npz", state, CRYSTAL, GRID)
    with np.load(tmp_path / "fields.npz", allow_pickle=False) as arrays:
        units = json.loads(str(arrays["units"]))
        for name, values in expected.items():
            np.testing.assert_allclose(state.fields.on_grid(name, GRID), values, rtol=1e-12)
            np.testing.assert_array_equal(arrays[name], state.fields.on_grid(name, GRID))
            assert units[name] == quantity(name).unit


def test_imported_grids_become_what_is_stored(registered: None) -> None:
    (state,) = toy_states(1)
    assert state.fields is not None
    basis, structure = state.fields.basis, Structure(state.lattice, CRYSTAL.species, state.positions)
    for name in (*FIELD_NAMES, KINETIC.name, LOCALISATION.name):
        grid = GridField(structure, state.fields.on_grid(name, (18, 30, 28)), np.zeros(3))
        stored, _ = project(name, grid, np.zeros(3), state.volume, basis, CRYSTAL, 2.0)
        true = state.fields.coefficients[name]
        np.testing.assert_allclose(stored, true, atol=1e-10 * np.abs(true).max())


def test_a_surrogate_learns_predicts_and_exports_a_fifth_field(registered: None, tmp_path: Path) -> None:
    *learned, unseen, other = toy_states(32)
    trained = Surrogate.train(CRYSTAL, learned, RECIPE)
    assert trained.unknown == ()
    trained.save(tmp_path / "model.safetensors")
    surrogate = Surrogate.load(tmp_path / "model.safetensors", outside="flag")
    predicted = surrogate.solve(unseen.deformation)
    assert predicted.fields is not None and unseen.fields is not None
    for name in (KINETIC.name, LOCALISATION.name):
        assert predicted.knows(name)
        true = unseen.fields.on_grid(name, GRID)
        np.testing.assert_allclose(predicted.fields.on_grid(name, GRID), true, atol=0.05 * np.ptp(true))
        assert f"{name}.relative_l2" in surrogate.uncertainty(unseen.deformation)
    judged = evaluate({"surrogate": surrogate}, [unseen, other])
    assert QUANTITIES[f"{KINETIC.name}.nrmse"].label == "kinetic energy density τ, NRMSE"
    assert set(judged.spread) <= set(QUANTITIES) and f"{KINETIC.name}.nrmse" in judged.spread

    pytest.importorskip("netCDF4")
    gradients = 1.01 * np.eye(3)[None]
    write_predictor(tmp_path / "functions.nc", surrogate, gradients)
    write_predictor(tmp_path / "grids.nc", surrogate, gradients, grid=GRID)
    with predictor.read(tmp_path / "functions.nc") as functions, predictor.read(tmp_path / "grids.nc") as grids:
        assert functions.fields == grids.fields == tuple(FIELDS)
        for name in (KINETIC.name, LOCALISATION.name):
            np.testing.assert_allclose(grids.values(name, 0), functions.values(name, 0, GRID), rtol=1e-5)


def test_a_field_that_nobody_declared_is_kept_and_has_no_physical_values(tmp_path: Path) -> None:
    states = toy_states(12)
    store = filled_store(tmp_path / "dataset", states)
    state = store.read(states[0].deformation)
    assert state.fields is not None
    assert state.knows(KINETIC.name) and not state.knows("spin_density")
    with pytest.raises(InputError, match="nobody declared 'kinetic_energy_density'"):
        state.fields.on_grid(KINETIC.name, GRID)
    with pytest.raises(InputError, match="nobody declared"):
        state.fields.integral(KINETIC.name)
    with pytest.raises(InputError, match="nobody declared"):
        write_fields(tmp_path / "fields.npz", state, CRYSTAL, GRID)
    assert not (tmp_path / "fields.npz").exists()
    predicted = Surrogate.train(CRYSTAL, states, RECIPE).solve(state.deformation)
    assert predicted.fields is not None
    assert predicted.knows(KINETIC.name) and np.isfinite(predicted.fields.vector(KINETIC.name)).all()
    assert QUANTITIES[f"{KINETIC.name}.nrmse"].label == "kinetic_energy_density, NRMSE"
