"""Tables: every way to say the same cell, what is missing stays missing, and a mistake names its row or column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, GPa, Hartree

from cellfields.crystal.deformation import Deformation, lengths_and_angles
from cellfields.dataset.importing.record import Record, state_of
from cellfields.dataset.importing.table import read_table
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import CellState
from tests.dataset.importing.writers import foreign_atoms, save_chgcar, save_cube, values
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
STATE = ToyEngine(CRYSTAL, 3.0).solve(Deformation((1.02, 0.97, 1.01), (91.0, 88.5, 90.7)))
D = "lambda_a,lambda_b,lambda_c,theta_a,theta_b,theta_c"
D_VALUES = "1.02,0.97,1.01,91,88.5,90.7"


def states(path: Path, text: str) -> list[CellState | InputError]:
    path.write_text(text)
    found: list[CellState | InputError] = []
    for record in read_table(path, CRYSTAL):
        found.append(state_of(record, CRYSTAL, 3.0, 0.01) if isinstance(record, Record) else record)
    return found


def one(path: Path, text: str) -> CellState:
    (state,) = states(path, text)
    assert isinstance(state, CellState), state
    return state


def words(numbers: np.ndarray) -> str:
    return " ".join(repr(float(x)) for x in np.ravel(numbers))


def test_everything_in_a_row(tmp_path: Path) -> None:
    assert STATE.stress is not None
    stress = np.array([[1e-4, 2e-5, 3e-5], [2e-5, 4e-4, 5e-5], [3e-5, 5e-5, 6e-4]])
    voigt = words(stress[(0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)])
    header = f"name,{D},free_energy,band_energy,entropic_energy,fermi_energy,internal,stress"
    state = one(tmp_path / "t.csv", f"{header}\nmine,{D_VALUES},-1.75,-0.8,1e-5,0.2,{words(STATE.internal)},{voigt}\n")
    assert state.deformation == STATE.deformation
    assert (state.free_energy, state.band_energy, state.entropic_energy, state.fermi_energy) == (-1.75, -0.8, 1e-5, 0.2)
    np.testing.assert_array_equal(state.internal, STATE.internal)
    np.testing.assert_allclose(state.positions, STATE.positions)
    np.testing.assert_array_equal(state.stress, stress)
    assert state.fields is None and state.unknown == frozenset()
    assert state.provenance["source"] == "mine"


def test_other_units_and_other_words_for_the_cell(tmp_path: Path) -> None:
    lengths, angles = lengths_and_angles(STATE.lattice)
    cell = ",".join(repr(float(x)) for x in [*(lengths * Bohr), *angles])
    header = "a_angstrom,b_angstrom,c_angstrom,alpha,beta,gamma,free_energy_ev,positions,stress_gpa"
    row = f"{cell},{-1.75 * Hartree!r},{words(STATE.positions[[1, 0, 3, 2]] + [0.1, 0.2, 0.3])},1 2 3 0 0 0"
    state = one(tmp_path / "t.csv", f"{header}\n{row}\n")
    np.testing.assert_allclose(state.deformation.as_array(), STATE.deformation.as_array(), atol=1e-9)
    assert state.free_energy == pytest.approx(-1.75, rel=1e-12)
    np.testing.assert_allclose(state.internal, STATE.internal, atol=1e-9)
    assert state.stress is not None
    np.testing.assert_allclose(np.diag(state.stress) * Hartree / Bohr**3 / GPa, [1, 2, 3])
    bohr = one(tmp_path / "t.csv", "a,b,c,alpha,beta,gamma\n" + ",".join(str(x) for x in [*lengths, *angles]) + "\n")
    np.testing.assert_allclose(bohr.deformation.as_array(), STATE.deformation.as_array(), atol=1e-9)
    assert bohr.unknown == {"internal", "free_energy"}


def test_files_say_the_cell_and_the_atoms(tmp_path: Path) -> None:
    (tmp_path / "fields").mkdir()
    atoms = foreign_atoms(CRYSTAL, STATE)
    save_chgcar(tmp_path / "fields" / "CHGCAR_1", atoms, values(STATE))
    save_cube(tmp_path / "fields" / "phi.cube", atoms, values(STATE, "coulomb_potential"))
    state = one(tmp_path / "t.csv", "free_energy,density,coulomb_potential\n-1.5,fields/CHGCAR_1,fields/phi.cube\n")
    np.testing.assert_allclose(state.deformation.as_array(), STATE.deformation.as_array(), atol=1e-8)
    np.testing.assert_allclose(state.internal, STATE.internal, atol=1e-8)
    assert state.fields is not None and STATE.fields is not None
    assert set(state.fields.coefficients) == {"density", "coulomb_potential"}
    for name in state.fields.coefficients:
        expected = STATE.fields.coefficients[name]
        np.testing.assert_allclose(state.fields.coefficients[name], expected, atol=2e-5 * np.abs(expected).max())


def test_empty_cells_are_not_known(tmp_path: Path) -> None:
    text = f"{D},free_energy,fermi_energy,density\n{D_VALUES},,,\n\n{D_VALUES},-1,,\n"
    first, second = states(tmp_path / "t.csv", text)
    assert isinstance(first, CellState) and isinstance(second, CellState)
    assert first.unknown == {"internal", "free_energy"}
    assert first.fermi_energy is None and first.fields is None
    assert second.unknown == {"internal"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("free_energi\n1\n", "unknown column 'free_energi' .did you mean free_energy"),
        ("a,b,c\n1,2,3\n", "has the column a, but not"),
        (f"{D},a,b,c,alpha,beta,gamma\n", "gives the cell twice"),
        ("free_energy,free_energy_ev\n1,2\n", "two columns for free_energy"),
        ("internal,positions\n1,2\n", "gives the atoms twice"),
        ("", None),
        (f"{D}\n", None),
    ],
)
def test_headers(tmp_path: Path, text: str, message: str | None) -> None:
    if message is None:
        assert states(tmp_path / "t.csv", text) == []
        return
    with pytest.raises(InputError, match=message):
        states(tmp_path / "t.csv", text)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (D, "1,1,1,90,90", "line 2: it has 5 cells, the header has 6"),
        (D, "1,1,1,90,90,x", "line 2: theta_c = 'x' must be a number"),
        (D, "1,1,1,90,90,nan", "theta_c = 'nan' must be finite"),
        (D, "1,1,1,90,90,1 2", "theta_c must hold 1 number, not 2"),
        (D, "1,1,1,90,90,", "theta_c is empty, but lambda_a is not"),
        (D, "1,1,1,1.5,1.5,1.5", "θa = 1.5 is outside 20 … 160 degrees"),
        (f"{D},internal", D_VALUES + ",1 2", "internal must hold 3 numbers, not 2"),
        (f"{D},positions", D_VALUES + ",1 2", "positions must hold 12 numbers"),
        (f"{D},stress", D_VALUES + ",1 2", "stress must hold 6 numbers"),
        ("positions", " ".join("0" * 12), "positions need the cell"),
        ("density", "missing.cube", "cannot read"),
        ("entropy_density", "CHGCAR", "must be a cube file"),
        ("a,b,c,alpha,beta,gamma", "-5,10,9,90,90,90", "must be positive"),
        ("a,b,c,alpha,beta,gamma", "5,10,9,10,90,120", "close no cell"),
    ],
)
def test_rows(tmp_path: Path, header: str, row: str, message: str) -> None:
    """A bad row does not stand in the way of the next one."""
    bad, second = states(tmp_path / "t.csv", f"{header}\n{row}\n{row}\n")
    assert isinstance(second, InputError) and "t.csv line 3" in str(second)
    assert isinstance(bad, InputError)
    assert message in str(bad)
    assert "t.csv line 2" in str(bad)


def test_a_row_that_contradicts_its_file(tmp_path: Path) -> None:
    save_chgcar(tmp_path / "CHGCAR", foreign_atoms(CRYSTAL, STATE), values(STATE))
    with pytest.raises(InputError, match="contradicts itself: one place says"):
        states(tmp_path / "t.csv", f"{D},density\n1.03,0.97,1.01,91,88.5,90.7,CHGCAR\n")
    with pytest.raises(InputError, match="an atom is in two places"):
        states(tmp_path / "t.csv", f"{D},internal,density\n{D_VALUES},0.1 0 0,CHGCAR\n")
    with pytest.raises(InputError, match="neither D, nor lattice vectors"):
        states(tmp_path / "t.csv", "free_energy\n1\n")


def test_what_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="is no CSV"):
        states(tmp_path / "t.csv", f'{D}\n"1,1')
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptFileError, match="no text file"):
        list(read_table(tmp_path / "t.csv", CRYSTAL))
