"""What is written is read again, by our readers and by ASE's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.io.cube import read_cube_data
from ase.units import Bohr

from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.formats.chgcar import read_chgcar, write_chgcar
from cellfields.formats.cube import read_cube, write_cube
from cellfields.formats.grid_field import GridField, Structure
from tests.toy import ToyEngine, magnesium

STATE = ToyEngine(magnesium(), 3.0).solve(Deformation((1.02, 0.97, 1.01), (91.0, 88.5, 90.7)))


def density(origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> GridField:
    assert STATE.fields is not None
    structure = Structure(STATE.lattice, ["Mg"] * 4, STATE.positions)
    return GridField(structure, STATE.fields.on_grid("density", (12, 20, 18), origin), np.array(origin))


@pytest.mark.parametrize(
    ("write", "read", "digits"),
    [(write_cube, read_cube, 2e-5), (write_chgcar, read_chgcar, 1e-9)],
    ids=["cube", "CHGCAR"],
)
def test_a_field_survives(
    write: Callable[[Path, GridField], None], read: Callable[[Path], GridField], digits: float, tmp_path: Path
) -> None:
    field = density()
    write(tmp_path / "rho", field)
    back = read(tmp_path / "rho")
    np.testing.assert_allclose(back.values, field.values, rtol=digits)
    np.testing.assert_allclose(back.structure.lattice, field.structure.lattice, rtol=digits, atol=digits)
    np.testing.assert_allclose(back.structure.positions, field.structure.positions, atol=2e-6)
    assert list(back.structure.species) == ["Mg"] * 4
    assert np.abs(back.origin).max() == 0
    assert not list(tmp_path.glob("*.tmp"))


def test_a_cube_file_keeps_its_origin_and_ase_reads_it(tmp_path: Path) -> None:
    field = density((0.05, 0.1, 0.2))
    write_cube(tmp_path / "rho.cube", field, "electron density\nof magnesium")
    np.testing.assert_allclose(read_cube(tmp_path / "rho.cube").origin, field.origin, atol=1e-5)
    values, atoms = read_cube_data(str(tmp_path / "rho.cube"))
    np.testing.assert_allclose(values, field.values, rtol=2e-5)
    np.testing.assert_allclose(atoms.cell.array / Bohr, field.structure.lattice, atol=1e-4)
    assert (tmp_path / "rho.cube").read_text().startswith("electron density of magnesium\n")


def test_a_chgcar_begins_at_the_corner(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="origin of the field must be zero"):
        write_chgcar(tmp_path / "CHGCAR", density((0.05, 0.0, 0.0)))
    assert not list(tmp_path.iterdir())


def test_atoms_of_a_chgcar_are_sorted_by_element(tmp_path: Path) -> None:
    lattice = 8.0 * np.eye(3)
    mixed = Structure(lattice, ["O", "Mg", "O"], np.array([[0.1, 0, 0], [0.5, 0.5, 0], [0.3, 0, 0]]))
    write_chgcar(tmp_path / "CHGCAR", GridField(mixed, np.ones((4, 4, 4)), np.zeros(3)))
    back = read_chgcar(tmp_path / "CHGCAR").structure
    assert list(back.species) == ["O", "O", "Mg"]
    np.testing.assert_allclose(back.positions, mixed.positions[[0, 2, 1]], atol=1e-6)
