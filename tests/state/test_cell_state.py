"""The result type and the engine protocols."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.contract import Engine, FirstPrinciplesEngine
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.state import CellState
from tests.toy import ToyEngine, magnesium


@pytest.fixture(scope="module")
def state() -> CellState:
    return ToyEngine(magnesium()).solve(Deformation((1.01, 0.98, 1.0), (91, 89, 90.5)))


def test_volume_is_that_of_the_lattice(state: CellState) -> None:
    assert np.isclose(state.volume, state.deformation.volume(magnesium()), rtol=1e-13)


def test_dict_is_json_and_says_its_units(state: CellState) -> None:
    table = json.loads(json.dumps(state.to_dict()))
    required = {
        "deformation", "free_energy", "band_energy", "entropic_energy", "fermi_energy",
        "positions", "internal", "lattice", "stress", "units",
    }  # fmt: skip
    assert required <= set(table)
    assert table["free_energy"] == state.free_energy  # JSON keeps every digit of a float
    assert np.array_equal(table["positions"], state.positions)
    assert np.array_equal(table["deformation"], [1.01, 0.98, 1.0, 91, 89, 90.5])
    assert table["units"]["energy"] == "Hartree per cell of the crystal given"
    assert table["units"]["stress"] == "Hartree/Bohr^3, tension positive"
    assert "fields" not in table


def test_dict_leaves_out_what_is_not_known() -> None:
    crystal = magnesium()
    bare = CellState(
        Deformation.identity(crystal), crystal.lattice_ref, crystal.positions_ref, np.zeros(3), free_energy=-1.0
    )
    table = bare.to_dict()
    assert not {"band_energy", "entropic_energy", "fermi_energy", "forces", "stress"} & set(table)
    assert table["energy_terms"] == {}


def test_zero_is_known() -> None:
    """A value of exactly 0 (the −TS of an insulator) is written, not taken for a missing one."""
    crystal = magnesium()
    bare = CellState(
        Deformation.identity(crystal),
        crystal.lattice_ref,
        crystal.positions_ref,
        np.zeros(3),
        -1.0,
        entropic_energy=0.0,
    )
    assert bare.to_dict()["entropic_energy"] == 0.0


def test_states_are_immutable(state: CellState) -> None:
    with pytest.raises(FrozenInstanceError):
        state.free_energy = 0.0  # type: ignore[misc]


def test_engines_satisfy_the_protocols() -> None:
    toy = ToyEngine(magnesium())
    plane_waves = PlaneWaveEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=4, kmesh=(1, 1, 1)))
    assert isinstance(toy, Engine)
    assert not isinstance(toy, FirstPrinciplesEngine)  # it cannot hold atoms where you put them
    assert isinstance(plane_waves, Engine)
    assert isinstance(plane_waves, FirstPrinciplesEngine)
    assert not isinstance(magnesium(), Engine)
