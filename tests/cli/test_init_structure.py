"""``init --structure`` writes a study of the user's crystal that loads, and overwrites nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from cellfields.cli._structure_template import mesh
from cellfields.crystal import Crystal
from cellfields.pipeline.configuration import Configuration, load_study

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

SELENIUM = Atoms(
    "Se3",
    cell=[4.366, 4.366, 4.954, 90, 90, 120],
    scaled_positions=[[0.2254, 0, 1 / 3], [0, 0.2254, 2 / 3], [0.7746, 0.7746, 0]],
    pbc=True,
)
TRICLINIC = Atoms("GeS", cell=[4.1, 4.6, 5.3, 83, 97, 101], scaled_positions=[[0, 0, 0], [0.4, 0.47, 0.55]], pbc=True)


@pytest.mark.parametrize(
    ("atoms", "name", "spacing"),
    [
        (bulk("MgO", "rocksalt", a=4.21, cubic=True), "oxide.cif", 0.35),
        (bulk("Na"), "sodium at 1 GPa@2.vasp", 0.20),
        (SELENIUM, "grau=Selen.xyz", 0.35),
        (TRICLINIC, "mine.cif", 0.35),
    ],
)
def test_the_template_loads_and_is_of_the_users_crystal(shell: Shell, atoms: Atoms, name: str, spacing: float) -> None:
    source, folder = shell.folder / name, shell.folder / "new"
    write(source, atoms, format={"cif": "cif", "vasp": "vasp", "xyz": "extxyz"}[name.rsplit(".", 1)[1]])
    result = shell("init", "--structure", source, folder)
    assert result.code == 0, result.err
    target = folder / result.out.strip().rsplit("/", 1)[1]
    assert f"cellfields converge {target}" in result.err
    study = load_study(target)
    assert isinstance(study, Configuration)
    source.unlink()  # the study has a copy
    crystal = study.crystal.build()
    assert crystal == Crystal.from_file(folder / name)
    assert sorted(crystal.species) == sorted(atoms.get_chemical_symbols())
    reciprocal = 2 * np.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)  # ASE's, rows, without 2π
    for n, length in zip(study.engine.kmesh, reciprocal, strict=True):
        assert length / n <= spacing + 1e-9  # dense enough …
        assert n == 1 or length / (n - 1) > spacing - 1e-9  # … and no denser
    assert shell("info", target).code == 0
    again = shell("init", "--structure", folder / name, folder)
    assert again.code == 2
    assert "exists already; it is not overwritten" in again.err


def test_what_is_no_crystal_leaves_nothing_behind(shell: Shell) -> None:
    before = shell.files()
    for arguments in (("--structure", shell.folder / "no.cif"), ("--structure", shell.config), ("--index", "0")):
        result = shell("init", *arguments, shell.folder / "new")
        assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert shell.files() == before
    assert not (shell.folder / "new").exists()


def test_an_index_chooses_and_is_written_down(shell: Shell) -> None:
    write(shell.folder / "two.extxyz", [bulk("Al"), bulk("Na")])
    assert "structure_index" in shell("init", "--structure", shell.folder / "two.extxyz", shell.folder / "a").err
    assert shell("init", "--structure", shell.folder / "two.extxyz", "--index", "1", shell.folder / "b").code == 0
    assert load_study(shell.folder / "b" / "Na.toml").crystal.build().species == ("Na",)


def test_magnetic_elements_are_named_in_the_file(shell: Shell) -> None:
    nio = bulk("NiO", "rocksalt", a=4.18)
    write(shell.folder / "nio.vasp", nio)
    assert shell("init", "--structure", shell.folder / "nio.vasp", shell.folder / "n").code == 0
    text = next((shell.folder / "n").glob("*.toml")).read_text()
    assert "# Left out: Ni may carry magnetic moments" in text


def test_the_mesh_of_a_hexagonal_cell() -> None:
    """|b| = 4π/(√3 a): for a = 6 Bohr 1.2092 per Bohr = 2.2850 per Å; |c*| = 2π/10 per Bohr = 1.1873 per Å."""
    cell = np.array([[6, 0, 0], [-3, 3 * 3**0.5, 0], [0, 0, 10]])
    assert mesh(cell, 0.2) == (12, 12, 6)
