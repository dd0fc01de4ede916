"""What imported states must keep: wrong counts, units and meshes are refused by number, right ones pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.dataset import DatasetStore
from cellfields.dataset.importing import ImportSummary, Record, import_records, imported_identity
from cellfields.dataset.importing.checks import DatasetChecks
from cellfields.dataset.importing.valence import electron_counts, valences
from cellfields.dft.pseudopotential.table import builtin_elements
from cellfields.errors import InputError, SettingsMismatchError
from cellfields.formats.chgcar import read_chgcar
from cellfields.formats.cube import read_cube
from cellfields.formats.grid_field import GridField
from cellfields.state import CellState
from cellfields.surrogate.images import images_of
from cellfields.surrogate.recipe import Recipe
from cellfields.units import ANGSTROM, EV, GPA
from tests.dataset.importing.writers import WRITERS, foreign_atoms, save_chgcar, save_cube, values
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
STATES = list(map(ToyEngine(CRYSTAL, 3.0).solve, sample_deformations(CRYSTAL, 3, seed=1, stretch_sigma=0.02)))
READERS = {"rho.cube": read_cube, "CHGCAR": read_chgcar}


def store(folder: Path, **options: object) -> DatasetStore:
    identity = imported_identity("toy", 3.0, **options)  # type: ignore[arg-type]
    return DatasetStore.create_or_open(folder / "dataset", CRYSTAL, identity)


def imported(folder: Path, records: list[Record], electrons: float | None = None) -> ImportSummary:
    return import_records(lambda: store(folder), CRYSTAL, records, field_cutoff=3.0, max_loss=0.01, electrons=electrons)


def densities(folder: Path, scale: float, name: str = "CHGCAR") -> list[Record]:
    """Every state's density times a number, through a file."""
    records = []
    for i, state in enumerate(STATES):
        WRITERS[name](folder / name, foreign_atoms(CRYSTAL, state), scale * values(state))
        records.append(Record(f"cell {i}", fields={"density": READERS[name](folder / name)}))
    return records


def test_right_counts_pass_and_are_told(tmp_path: Path) -> None:
    for name in READERS:
        summary = imported(tmp_path / name, _made(tmp_path / name, 1.0, name))
        assert summary.imported == 3, summary.refused
        low, high = summary.to_dict()["checks"]["electrons"]
        assert low == pytest.approx(8, abs=1e-3) and high == pytest.approx(8, abs=1e-3)
    (tmp_path / "pv").mkdir()
    assert imported(tmp_path / "pv", densities(tmp_path / "pv", 4.0)).imported == 3  # Mg_pv: eight of an atom


def _made(folder: Path, scale: float, name: str) -> list[Record]:
    folder.mkdir()
    return densities(folder, scale, name)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (0.5, "holds 4 electrons, which whole valences of Mg4 do not give (they give 8, 32, 40, 48); it looks as if"),
        (9 / 8, "holds 9 electrons, which whole valences of Mg4 do not give"),
        (0.97, "holds 7.76 electrons"),
        (2.0, "half of the density, or it was counted twice; imported.electrons"),
        (1 / STATES[0].volume, "without it"),
        (1 / ANGSTROM**3, "are in electrons/Å³, not in electrons/Bohr³"),
    ],
)
def test_a_dataset_of_wrong_counts_is_refused_whole(tmp_path: Path, scale: float, words: str) -> None:
    summary = imported(tmp_path, densities(tmp_path, scale))
    assert summary.imported == 0 and len(summary.refused) == 3
    assert words in summary.refused[0] and "imported.electrons" in summary.refused[0]
    assert not (tmp_path / "dataset").exists()


def test_a_user_may_tell_another_number_and_nothing_else_passes_then(tmp_path: Path) -> None:
    assert imported(tmp_path, densities(tmp_path, 9 / 8), electrons=9).imported == 3
    refused = imported(tmp_path, densities(tmp_path, 1.0), electrons=9).refused
    assert "holds 8 electrons, where the study says 9" in refused[0]
    told = [replace(record, electrons=9.0) for record in densities(tmp_path, 1.0)]
    assert "where its source says 9" in imported(tmp_path / "other", told).refused[0]


def test_states_of_one_dataset_agree_with_each_other_and_with_those_before(tmp_path: Path) -> None:
    first, second, _ = densities(tmp_path, 1.0)
    *_, third = densities(tmp_path, 4.0)
    mixed = imported(tmp_path, [first, third])
    assert mixed.imported == 1
    assert "holds 32 electrons, that of cell 0 in the same dataset 8: all states" in mixed.refused[0]
    later = imported(tmp_path, [third])
    assert later.imported == 0 and "that of cell 0" in later.refused[0]
    assert imported(tmp_path, [first, second]).imported == 2  # the state that it replaces does not count


def energies(*values: float) -> list[Record]:
    pairs = zip(STATES, values, strict=False)
    return [Record(f"cell {i}", s.deformation, energies={"free_energy": f}) for i, (s, f) in enumerate(pairs)]


def test_energies_of_another_unit_or_reference_are_refused(tmp_path: Path) -> None:
    good = [state.free_energy for state in STATES]
    summary = imported(tmp_path, energies(*good))
    assert summary.imported == 3, summary.refused
    assert summary.checks["free_energy_range"] == pytest.approx(np.ptp(good) / 4)
    for i, wrong in enumerate((good[1] * EV, good[1] / EV, good[1] - 4 * 1.5)):
        refused = imported(tmp_path / str(i), energies(good[0], wrong, good[2]))
        assert refused.imported == 2
        assert refused.refused[0].startswith("cell 1: its free energy, ") and "in eV" in refused.refused[0]


def test_no_true_crystal_is_refused_for_its_energies() -> None:
    """Diamond from −10 to +10 % in every direction, with B = 443 GPa and B' = 3.6 (Murnaghan)."""
    cube = Crystal.from_lengths_and_angles([6.74] * 3, [90] * 3, ["C"] * 8, _DIAMOND)
    bulk, slope, v0 = 443 / GPA, 3.6, float(np.linalg.det(cube.lattice_ref))
    checks = DatasetChecks(cube)
    for i, stretch in enumerate(np.linspace(0.9, 1.1, 9)):
        v = v0 * stretch**3
        energy = bulk * v / slope * ((v0 / v) ** slope / (slope - 1) + 1) - bulk * v0 / (slope - 1)
        state = replace(
            ToyEngine(cube, 1.0).solve(Deformation((stretch,) * 3, (90, 90, 90))),
            free_energy=energy,
            fields=None,
            stress=bulk / slope * (1 - (v0 / v) ** slope) * np.eye(3),
        )
        checks.require(state)
        checks.compare(str(i), state)
        checks.accept(str(i), state)


_DIAMOND = [
    *([x, y, z] for x, y, z in ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))),
    *([x, y, z] for x, y, z in ((0.25, 0.25, 0.25), (0.25, 0.75, 0.75), (0.75, 0.25, 0.75), (0.75, 0.75, 0.25))),
]


def plain(**changes: object) -> CellState:
    return replace(STATES[0], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (plain(stress=np.diag([5.0, 4.0, 3.0])), "its stress of 1.471e+05 GPa is more than any crystal bears"),
        (plain(stress=np.diag([0.031, 0.03, 0.03])), "1 eV/Å³ is 160.2 GPa"),
        (plain(stress=1e-4 * np.array([[1, 2, 0], [-2, 1, 0], [0, 0, 1]])), "not symmetric"),
        (plain(band_energy=27.2 * (STATES[0].band_energy or 0)), "band_energy_density integrates to a number that is"),
        (plain(internal=np.array([0.3, 0.0, 0.0])), "are its internal coordinates fractional?"),
    ],
)
def test_states_that_contradict_themselves(state: CellState, words: str) -> None:
    DatasetChecks(CRYSTAL).require(STATES[0])
    with pytest.raises(InputError) as caught:
        DatasetChecks(CRYSTAL).require(state)
    assert words in str(caught.value)


def test_valences_of_pseudopotentials_in_use() -> None:
    """ZVAL of VASP's PAW data sets, and every ion of the built-in table."""
    vasp = {
        "H": (1,), "Li": (1, 3), "C": (4,), "O": (6,), "Na": (1, 7, 9), "Mg": (2, 8, 10), "Al": (3,), "Si": (4, 12),
        "K": (7, 9), "Ca": (8, 10), "Ti": (4, 10, 12), "Fe": (8, 14, 16), "Cu": (11, 17), "Zn": (12,), "Ga": (3, 13),
        "Sr": (10,), "Zr": (4, 12), "Nb": (11, 13), "Mo": (6, 12, 14), "Ag": (11, 17), "In": (3, 13), "Cs": (9,),
        "Ba": (10,), "La": (9, 11), "Ce": (11, 12), "Er": (9,), "Hf": (4, 10, 12), "W": (6, 12, 14), "Pt": (10, 16),
        "Au": (11,), "Tl": (3, 13), "Pb": (4, 14), "Bi": (5, 15), "U": (14,),
    }  # fmt: skip
    for symbol, counts in vasp.items():
        assert set(counts) <= set(valences(symbol)), symbol
    for functional in ("lda", "pbe"):
        for symbol, ions in builtin_elements(functional).items():
            assert set(ions) <= set(valences(symbol)), symbol
    for symbol in chemical_symbols[1:104]:
        assert valences(symbol)[0] > 0
    assert 4 not in valences("Mg") and 1 not in valences("Al") and 2 not in valences("C")
    assert electron_counts(["Mg", "O"])[:2] == (8, 10)


@pytest.mark.parametrize("style", ["D", "none"])
@pytest.mark.parametrize("name", READERS)
def test_fortran_exponents_latin_titles_and_byte_order_marks(tmp_path: Path, name: str, style: str) -> None:
    """``1.5D-03`` and ``0.33004-101`` in the grid and, for D, in the header as well."""
    path = tmp_path / name
    (save_cube if name == "rho.cube" else save_chgcar)(path, foreign_atoms(CRYSTAL, STATES[0]), values(STATES[0]))
    before = READERS[name](path)
    lines = path.read_text().splitlines()
    grid = 10 if name == "rho.cube" else 14
    body = " ".join(lines[grid:]).split()
    head = lines[:grid]
    body[0] = "0.33004-101" if style == "none" else "0.33004D-101"
    if style == "D":
        body = [word.upper().replace("E", "D") for word in body]
        row = 3 if name == "rho.cube" else 2
        head[row] = " ".join(f"{word}D+00" if "." in word else word for word in head[row].split())
    head[0] = "Dichte, gerechnet f\xfcr M\xfcller"
    path.write_bytes(("\n".join(head) + "\n" + " ".join(body) + "\n").encode("latin-1"))
    _same(READERS[name](path), before)
    path.write_bytes(b"\xef\xbb\xbf" + ("\n".join(head) + "\n" + " ".join(body) + "\n").encode("utf-8"))
    _same(READERS[name](path), before)


def _same(found: GridField, before: GridField) -> None:
    np.testing.assert_allclose(found.structure.lattice, before.structure.lattice, rtol=1e-12)
    np.testing.assert_allclose(found.values.ravel(order="F")[1:], before.values.ravel(order="F")[1:], rtol=1e-12)
    assert abs(found.values.flat[0]) < 1e-90


SILICON = Crystal.from_lengths_and_angles([10.26] * 3, [90] * 3, ["Si"] * 8, _DIAMOND)


@pytest.mark.parametrize(("mesh", "images"), [(None, 4), ((4, 4, 2), 8), ((4, 4, 4), 24)])
def test_images_of_imported_states_follow_the_mesh_that_is_told(mesh: tuple[int, int, int] | None, images: int) -> None:
    """Untold, no axis may change its place: a 4×4×2 mesh has 8 of the cube's 24 operations, not all of them."""
    states = list(map(ToyEngine(SILICON, 1.0).solve, sample_deformations(SILICON, 2, seed=0)))
    assert images_of(SILICON, states, Recipe(name="best"), imported_identity("Si8", 1.0, mesh))[1] == images


def test_telling_the_mesh_leaves_datasets_without_it_as_they_are(tmp_path: Path) -> None:
    imported(tmp_path, energies(-1.8))
    assert store(tmp_path).identity.table == {"engine": "imported", "description": "toy", "field_cutoff": 3.0}
    with pytest.raises(SettingsMismatchError, match="kmesh"):
        store(tmp_path, kmesh=(4, 4, 2))
