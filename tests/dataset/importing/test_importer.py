"""From sources to a sealed dataset: good records in, bad ones refused by name, foreign states never mixed with own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal.deformation import sample_deformations
from cellfields.dataset import DatasetStore, label
from cellfields.dataset.importing import Record, import_records, imported_identity, read_source
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import InputError, SettingsMismatchError
from cellfields.formats.grid_field import Structure
from tests.dataset.importing.writers import foreign_atoms, save_chgcar, save_cube, values
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
STATES = list(map(ToyEngine(CRYSTAL, 3.0).solve, sample_deformations(CRYSTAL, 6, seed=1, stretch_sigma=0.02)))
IDENTITY = imported_identity("toy, 3 Ha", 3.0)


def store(folder: Path, identity: EngineIdentity = IDENTITY) -> DatasetStore:
    return DatasetStore.create_or_open(folder / "dataset", CRYSTAL, identity)


def write_source(folder: Path) -> Path:
    """Six cells in other origins: densities as cube and CHGCAR in turn, some energies, one broken row."""
    lines = ["name,free_energy,density"]
    for i, state in enumerate(STATES):
        atoms = foreign_atoms(CRYSTAL, state, shift=(0.1 * i, 0.05, 0), order=(3, 1, 0, 2))
        grid = values(state, shift=(0.1 * i, 0.05, 0))
        name = f"{i}.cube" if i % 2 else f"CHGCAR_{i}"
        (save_cube if i % 2 else save_chgcar)(folder / name, atoms, grid)
        lines.append(f"cell {i},{state.free_energy if i < 4 else ''},{name}")
    lines.append("no file,-1,none.cube")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "table.csv"


def test_a_table_of_files_becomes_a_dataset(tmp_path: Path) -> None:
    names: list[str] = []
    summary = import_records(
        lambda: store(tmp_path),
        CRYSTAL,
        read_source(write_source(tmp_path), CRYSTAL),
        field_cutoff=3.0,
        max_loss=0.01,
        on_record=names.append,
    )
    assert summary.imported == 6
    assert names == [f"cell {i}" for i in range(6)]
    assert len(summary.refused) == 1 and "table.csv line 8: cannot read" in summary.refused[0]
    assert summary.known["free_energy"] == 4 and summary.known["density"] == 6 and summary.known["stress"] == 0
    assert 0 < summary.largest_loss["density"]["asymmetry"] < 1e-4
    dataset = DatasetStore.open(tmp_path / "dataset")
    assert dataset.info().engine == {"engine": "imported", "description": "toy, 3 Ha", "field_cutoff": 3.0}
    found = {state.provenance["source"]: state for state in dataset.states()}
    for i, true in enumerate(STATES):
        state = found[f"cell {i}"]
        assert state.fields is not None and true.fields is not None
        np.testing.assert_allclose(state.deformation.as_array(), true.deformation.as_array(), rtol=1e-5)
        vector = true.fields.vector("density")
        assert np.linalg.norm(state.fields.vector("density") - vector) < 1e-4 * np.linalg.norm(vector)
        assert state.knows("free_energy") == (i < 4)


def test_importing_again_replaces_and_twice_the_same_cell_is_refused(tmp_path: Path) -> None:
    records = [Record("one", STATES[0].deformation, energies={"free_energy": -1.0})]
    records += [replace(records[0], name="two")]
    summary = import_records(lambda: store(tmp_path), CRYSTAL, records, field_cutoff=3.0, max_loss=0.01)
    assert (summary.imported, summary.refused) == (1, ("two: it has the same D as one",))
    better = [replace(records[0], energies={"free_energy": -2.0})]
    import_records(lambda: store(tmp_path), CRYSTAL, better, field_cutoff=3.0, max_loss=0.01)
    assert [state.free_energy for state in store(tmp_path).states()] == [-2.0]


def test_forces_and_stress_are_turned_into_our_frame(tmp_path: Path) -> None:
    true = STATES[0]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    forces = np.random.default_rng(1).normal(size=(4, 3))
    stress = 1e-3 * np.array([[1, 2, 3], [2, 4, 5], [3, 5, 6.0]])
    order = [2, 0, 3, 1]
    structure = Structure(true.lattice @ turn, CRYSTAL.species, true.positions[order])
    record = Record("r", structure=structure, forces=forces[order] @ turn, stress=turn.T @ stress @ turn)
    summary = import_records(lambda: store(tmp_path), CRYSTAL, [record], field_cutoff=3.0, max_loss=0.01)
    assert summary.largest_force == pytest.approx(np.linalg.norm(forces, axis=1).max())
    (state,) = store(tmp_path).states()
    np.testing.assert_allclose(state.forces, forces, atol=1e-9)
    np.testing.assert_allclose(state.stress, stress, atol=1e-12)


def test_losses_beyond_the_limit_are_refused_and_say_which(tmp_path: Path) -> None:
    for cutoff, words in ((1.0, "lie beyond 1 Ha"), (3.0, None)):
        summary = import_records(
            lambda: store(tmp_path), CRYSTAL, _densities(tmp_path), field_cutoff=cutoff, max_loss=0.01
        )
        if words is None:
            assert summary.imported == 1
        else:
            assert summary.imported == 0
            assert words in summary.refused[0] and "choose a higher field_cutoff" in summary.refused[0]
            assert not (tmp_path / "dataset").exists()
    broken = next(iter(_densities(tmp_path)))
    grid = broken.fields["density"]
    ramp = np.linspace(0.9, 1.1, grid.values.shape[0])[:, None, None]
    bad = replace(broken, fields={"density": replace(grid, values=grid.values * ramp)})
    summary = import_records(lambda: store(tmp_path), CRYSTAL, [bad], field_cutoff=3.0, max_loss=0.01)
    assert "break the translations or the inversion" in summary.refused[0]
    summary = import_records(lambda: store(tmp_path), CRYSTAL, [bad], field_cutoff=3.0, max_loss=0.2)
    assert summary.imported == 1


def _densities(folder: Path) -> list[Record]:
    save_chgcar(folder / "CHGCAR", foreign_atoms(CRYSTAL, STATES[0]), values(STATES[0]))
    (folder / "t.csv").write_text("density\nCHGCAR\n")
    return [record for record in read_source(folder / "t.csv", CRYSTAL) if isinstance(record, Record)]


def test_states_of_another_origin_are_not_mixed_in(tmp_path: Path) -> None:
    records = [Record("one", STATES[0].deformation, energies={"free_energy": -1.0})]
    import_records(lambda: store(tmp_path), CRYSTAL, records, field_cutoff=3.0, max_loss=0.01)
    with pytest.raises(SettingsMismatchError, match="description"):
        store(tmp_path, imported_identity("another code", 3.0))
    with pytest.raises(SettingsMismatchError):
        label(store(tmp_path), _Own(CRYSTAL), [STATES[1].deformation])


class _Own(ToyEngine):
    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity({"engine": "toy"})


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        list(read_source(tmp_path / "no.csv", CRYSTAL))
    pytest.importorskip("netCDF4")
    with pytest.raises(InputError, match="holds no ABINIT output"):
        list(read_source(tmp_path, CRYSTAL))
