"""A density that is not of the engine's ions, cell, cutoff or grid is refused, and the message names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.energetics import TrialDensity
from cellfields.engines.abinit import AbinitEngine
from cellfields.engines.identity import EngineIdentity
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError, SettingsMismatchError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis
from tests.energetics.cases import case, with_field
from tests.toy import ToyEngine, magnesium


def engine_with(**changes) -> PlaneWaveEngine:  # type: ignore[no-untyped-def]
    given = case("Mg")
    return PlaneWaveEngine(given.engine.crystal, given.engine.settings.model_copy(update=changes))


def engine_of(symbol: str) -> PlaneWaveEngine:
    """The same lattice with other atoms."""
    crystal, settings = case("Mg").engine.crystal, case("Mg").engine.settings
    other = Crystal(crystal.lattice_ref, (symbol,) * 4, crystal.positions_ref)
    return PlaneWaveEngine(other, settings)


def no_density(state: CellState) -> CellState:
    return replace(state, fields=None)


def other_lattice(state: CellState) -> CellState:
    return replace(state, lattice=1.001 * state.lattice)


def other_volume(state: CellState) -> CellState:
    return replace(state, fields=replace(state.fields, volume=1.01 * state.fields.volume))


def moved_atoms(state: CellState) -> CellState:
    return replace(state, positions=state.positions + 0.01)


def fewer_atoms(state: CellState) -> CellState:
    return replace(state, positions=state.positions[:2])


def unknown_atoms(state: CellState) -> CellState:
    return replace(state, unknown=frozenset({"internal"}))


def not_finite(state: CellState) -> CellState:
    values = state.fields.coefficients["density"].copy()
    values[3] = np.nan
    return with_field(state, "density", values)


def more_electrons(state: CellState) -> CellState:
    return with_field(state, "density", 1.001 * state.fields.coefficients["density"])


def other_origin(state: CellState) -> CellState:
    basis = FourierBasis(state.fields.basis.indices, np.array([0.1, 0, 0]), state.fields.basis.real)
    return replace(state, fields=ElectronicFields(basis, state.fields.coefficients, state.fields.volume))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_density, "density: the state has none"),
        (other_lattice, "cell: the state's lattice is not that of its deformation"),
        (other_volume, "cell: the density belongs to a cell of .* Bohr³"),
        (moved_atoms, "positions: the state's atoms are not where its internal coordinates put them"),
        (fewer_atoms, "positions: the state has 2 atoms with 3 internal coordinates, the engine's crystal 4 with 3"),
        (unknown_atoms, "positions: the state's atoms are not known"),
        (not_finite, "density: it holds numbers that are not finite"),
        (more_electrons, "pseudopotentials: the density holds 8.008 electrons, the engine's ions bring 8"),
        (other_origin, "inversion: the density is expanded about another origin"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_states_that_do_not_fit(spoil: Callable[[CellState], CellState], message: str) -> None:
    given = case("Mg")
    with pytest.raises(InputError, match=message):
        TrialDensity.of(given.engine, spoil(given.state))


def test_another_kind_of_engine() -> None:
    with pytest.raises(InputError, match="engine: a route to the energy needs a PlaneWaveEngine, not a ToyEngine"):
        TrialDensity.of(ToyEngine(magnesium()), case("Mg").state)  # type: ignore[arg-type]


def test_another_cell() -> None:
    """The state of a strain, said to be that of another."""
    given = case("Mg")
    other = replace(given.state, deformation=Deformation.identity(given.engine.crystal))
    with pytest.raises(InputError, match="cell: the state's lattice is not that of its deformation"):
        TrialDensity.of(given.engine, other)


def test_another_cutoff() -> None:
    with pytest.raises(InputError, match=r"cutoff: the density has .* Fourier coefficients"):
        TrialDensity.of(engine_with(cutoff=7), case("Mg").state)


def test_other_ions_by_their_electrons() -> None:
    with pytest.raises(InputError, match="pseudopotentials: the density holds 8 electrons, the engine's ions bring 12"):
        TrialDensity.of(engine_of("Al"), case("Mg").state)


def test_other_ions_by_the_coulomb_potential() -> None:
    """Beryllium brings as many electrons as magnesium; φ − V_H is not its local pseudopotential."""
    with pytest.raises(InputError, match="pseudopotentials: the state's Coulomb potential is not that of"):
        TrialDensity.of(engine_of("Be"), case("Mg").state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutoff": 7, "field_cutoff": 24}, "cutoff: the density was made with 6.0, the engine has 7"),
        ({"fft_grid": (20, 20, 32)}, r"fft_grid: the density was made with None, the engine has \[20, 20, 32\]"),
        ({"smearing_width": 0.01}, "smearing_width: the density was made with 0.02, the engine has 0.01"),
        ({"smearing": "gaussian"}, "smearing: the density was made with cold, the engine has gaussian"),
    ],
    ids=str,
)
def test_other_settings_by_the_table(changes: dict, message: str) -> None:
    given = case("Mg")
    with pytest.raises(SettingsMismatchError, match=message):
        TrialDensity.of(engine_with(**changes), given.state, made_by=given.engine.identity)


def test_a_table_of_abinits_names_files_and_the_potential_decides() -> None:
    given = case("Mg")
    abinit = AbinitEngine(given.engine.crystal, given.engine.settings)
    TrialDensity.of(given.engine, given.state, made_by=abinit.identity)
    with pytest.raises(InputError, match="pseudopotentials: the state's Coulomb potential is not that of"):
        TrialDensity.of(engine_of("Be"), given.state, made_by=abinit.identity)


def test_another_pseudopotential_or_functional_by_the_table() -> None:
    given = case("Mg")
    table = given.engine.identity.table
    other = {**table, "settings": {**table["settings"], "pseudopotentials": {"Mg": "0123456789abcdef"}}}
    with pytest.raises(SettingsMismatchError, match=r"pseudopotentials.Mg: the density was made with another one"):
        TrialDensity.of(given.engine, given.state, made_by=EngineIdentity(other))
    other = {**table, "settings": {**table["settings"], "functional": "pbe"}}
    with pytest.raises(SettingsMismatchError, match="functional: the density was made with pbe, the engine has lda"):
        TrialDensity.of(given.engine, given.state, made_by=EngineIdentity(other))


def test_another_mesh_is_no_other_density() -> None:
    """What a density costs to make decides nothing about what it is worth."""
    given = case("Mg")
    finer = engine_with(kmesh=(2, 2, 1))
    assert TrialDensity.of(finer, given.state, made_by=given.engine.identity).copies == 2


def test_a_table_without_settings_says_nothing() -> None:
    given = case("Mg")
    with pytest.raises(InputError, match="Coulomb potential"):
        TrialDensity.of(engine_of("Be"), given.state, made_by=EngineIdentity({"engine": "imported"}))
