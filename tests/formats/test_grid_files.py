"""Cube and CHGCAR: written by ASE in another frame, order and origin, read back as the same fields; units included."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr
from scipy.spatial.transform import Rotation

from cellfields.crystal.deformation import Deformation
from cellfields.dataset.importing.record import Record, state_of
from cellfields.errors import CorruptFileError, InputError
from cellfields.formats.chgcar import read_chgcar
from cellfields.formats.cube import read_cube
from cellfields.text import MAX_TEXT
from tests.dataset.importing.writers import WRITERS, foreign_atoms, save_chgcar, save_cube, values
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
STATE = ToyEngine(CRYSTAL, 3.0).solve(Deformation((1.02, 0.97, 1.01), (91.0, 88.5, 90.7)))
READERS = {"rho.cube": read_cube, "CHGCAR": read_chgcar}
SHIFT = (0.13, 0.27, -0.31)


@pytest.mark.parametrize("name", WRITERS)
def test_a_density_in_another_frame_order_and_origin(tmp_path: Path, name: str) -> None:
    rotation = Rotation.from_euler("xyz", [0.3, 0.5, -0.8]).as_matrix()
    atoms = foreign_atoms(CRYSTAL, STATE, shift=SHIFT, order=(2, 0, 3, 1), rotation=rotation)
    WRITERS[name](tmp_path / name, atoms, values(STATE, shift=SHIFT))
    state = state_of(Record(name, fields={"density": READERS[name](tmp_path / name)}), CRYSTAL, 3.0, 0.01)
    digits = 1e-5 if name.endswith("cube") else 1e-9  # a cube file has six
    np.testing.assert_allclose(state.deformation.as_array(), STATE.deformation.as_array(), rtol=digits)
    np.testing.assert_allclose(state.internal, STATE.internal, atol=digits)
    assert state.fields is not None and STATE.fields is not None
    difference = state.fields.vector("density") - STATE.fields.vector("density")
    assert np.linalg.norm(difference) < digits * np.linalg.norm(STATE.fields.vector("density"))
    assert state.fields.integral("density") == pytest.approx(8, rel=digits)
    assert max(state.provenance["losses"]["density"].values()) < digits
    assert state.unknown == {"free_energy"}
    assert not state.knows("stress")


def test_a_cube_origin_counts(tmp_path: Path) -> None:
    """The first voxel need not be at the cell's corner."""
    path = tmp_path / "rho.cube"
    move = np.array([0.05, 0.1, 0.2])
    assert STATE.fields is not None
    with path.open("w") as file:
        from ase.io.cube import write_cube

        grid = STATE.fields.on_grid("density", (20, 36, 32), tuple(move))
        write_cube(file, foreign_atoms(CRYSTAL, STATE), grid, origin=move @ STATE.lattice * Bohr)
    found = read_cube(path)
    np.testing.assert_allclose(found.origin, move, atol=1e-5)
    state = state_of(Record("it", fields={"density": found}), CRYSTAL, 3.0, 0.01)
    assert state.fields is not None
    np.testing.assert_allclose(state.fields.coefficients["density"], STATE.fields.coefficients["density"], atol=1e-4)


def test_lines_of_a_cube_may_end_anywhere(tmp_path: Path) -> None:
    """Gaussian begins a line with every column of the grid."""
    path = tmp_path / "rho.cube"
    save_cube(path, foreign_atoms(CRYSTAL, STATE), values(STATE))
    before = read_cube(path).values
    lines = path.read_text().splitlines()
    words = " ".join(lines[10:]).split()
    columns = [words[i : i + 32] for i in range(0, len(words), 32)]
    rows = [" ".join(column[i : i + 6]) for column in columns for i in range(0, 32, 6)]
    path.write_text("\n".join(lines[:10] + rows) + "\n")
    np.testing.assert_array_equal(read_cube(path).values, before)


def test_a_spin_density_is_its_first_block(tmp_path: Path) -> None:
    atoms = foreign_atoms(CRYSTAL, STATE)
    save_chgcar(tmp_path / "CHGCAR", atoms, values(STATE))
    one = read_chgcar(tmp_path / "CHGCAR")
    text = (tmp_path / "CHGCAR").read_text()
    grid = " ".join(f"{0.5:.5e}" for _ in range(20 * 36 * 32))
    (tmp_path / "CHGCAR").write_text(text + "augmentation occupancies 1 2\n 0.1 0.2\n  20 36 32\n" + grid + "\n")
    np.testing.assert_array_equal(read_chgcar(tmp_path / "CHGCAR").values, one.values)
    volume = np.linalg.det(np.asarray(one.structure.lattice))
    assert one.values.mean() * volume == pytest.approx(8, abs=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    4    ", "   -4    ", "orbitals"),
        ("    4    ", "99999999999    ", "too short"),
        ("  20    ", " -20    ", "must be positive"),
        ("  20    ", "99999999    ", "where"),
        ("  20    ", "  21    ", "23040 numbers where 24192"),
        ("OUTER LOOP: X", "OUTER LOOP: Z", "dialect"),
        ("OUTER LOOP: X, MIDDLE", "castep2cube, MIDDLE", "dialect"),
        ("  12    ", "  xx    ", "no cube file"),
    ],
)
def test_cubes_that_are_none(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "rho.cube"
    save_cube(path, foreign_atoms(CRYSTAL, STATE), values(STATE))
    text = path.read_text()
    head, tail = text[:400], text[400:]
    assert old in head
    path.write_text(head.replace(old, new, 1) + tail)
    with pytest.raises(InputError, match=words):
        read_cube(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (" Mg \n", " 12 \n", "name its elements"),
        ("   4\n", "   9999999999\n", "too short"),
        ("   4\n", "   x\n", "name its elements"),
        ("\n 20 36 32\n", "\n 20 36\n", "three grid numbers"),
        ("\n 20 36 32\n", "\n 20 36 320000\n", "where"),
        ("\n 20 36 32\n", "\n 20 36 33\n", "25920 numbers|where 23760"),
        ("Direct", "Di", None),
        ("\n 20 36 32\n", "\n 20 36 32\n 1.0 one ", "no number stands among the numbers"),
    ],
)
def test_chgcars_that_are_none(tmp_path: Path, old: str, new: str, words: str | None) -> None:
    path = tmp_path / "CHGCAR"
    save_chgcar(path, foreign_atoms(CRYSTAL, STATE), values(STATE))
    text = re.sub(r"\n +20 +36 +32 *\n", "\n 20 36 32\n", path.read_text())
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if words is None:
        read_chgcar(path)
        return
    with pytest.raises(InputError, match=words):
        read_chgcar(path)


@pytest.mark.parametrize("read", READERS.values())
def test_files_that_are_missing_no_text_or_too_large(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "no")
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "no\0name")
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\0" * 100)
    with pytest.raises(CorruptFileError, match="no text file"):
        read(tmp_path / "bytes")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(CorruptFileError):
        read(tmp_path / "empty")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_TEXT + 1)
    with pytest.raises(InputError, match="larger than 128 MiB"):
        read(tmp_path / "huge")
