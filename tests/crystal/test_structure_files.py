"""Structure files give the crystal that they say, or one sentence: never another crystal."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from cellfields.crystal import Crystal
from cellfields.crystal.structure_file import read_structure
from cellfields.errors import InputError
from cellfields.pipeline.configuration import CrystalTable

CUBIC, ARSENIC_R, ARSENIC_H = (5.43,) * 3 + (90,) * 3, (4.13,) * 3 + (54.1,) * 3, (3.76, 3.76, 10.55, 90, 90, 120)
MONOCLINIC = (5, 4, 7, 90, 105, 90)
HM, NUMBER, HALL = "_symmetry_space_group_name_H-M", "_space_group_IT_number", "_space_group_name_Hall"
SILICON_8 = {"_chemical_formula_sum": "Si", "_cell_formula_units_Z": 8}
ALL_TAGS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")


def cif(cell, sites, tags=None, operations=None, columns=ALL_TAGS[:5], operation_tag="_symmetry_equiv_pos_as_xyz"):
    """Text of a CIF block; a site is its row of ``columns``."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", *(f"_cell_{name} {x}" for name, x in zip(names, cell, strict=True))]
    lines += [f"{tag} '{value}'" if isinstance(value, str) else f"{tag} {value}" for tag, value in (tags or {}).items()]
    if operations:
        lines += ["loop_", operation_tag, *(f"'{line}'" for line in operations)]
    return "\n".join([*lines, "loop_", *(f"_atom_site_{c}" for c in columns), *sites, ""])


def read(folder: Path, text: str, name: str = "x.cif", **options) -> Atoms:
    (folder / name).write_text(text)
    return read_structure(folder / name, **options)


def group(atoms: Atoms) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry_dataset((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers))
    return int(found.number)


@pytest.mark.parametrize(
    ("cell", "tags", "sites", "count", "number"),
    [
        (CUBIC, {HM: "F d -3 m Z"} | SILICON_8, ["Si1 Si 0.125 0.125 0.125"], 8, 227),
        (CUBIC, {HM: "F d -3 m :2"}, ["Si1 Si 0.125 0.125 0.125"], 8, 227),
        (CUBIC, {HM: "F d -3 m S"}, ["Si1 Si 0 0 0"], 8, 227),
        (CUBIC, {HM: "F d -3 m"} | SILICON_8, ["Si1 Si 0.125 0.125 0.125"], 8, 227),  # the formula decides
        (CUBIC, {NUMBER: 227} | SILICON_8, ["Si1 Si 0 0 0"], 8, 227),
        (CUBIC, {HALL: "-F 4vw 2vw 3"}, ["Si1 Si 0.125 0.125 0.125"], 8, 227),
        (ARSENIC_R, {HM: "R -3 m"}, ["As1 As 0.227 0.227 0.227"], 2, 166),
        (ARSENIC_R, {HM: "R -3 m R", NUMBER: 166}, ["As1 As 0.227 0.227 0.227"], 2, 166),
        (ARSENIC_H, {HM: "R -3 m :H"}, ["As1 As 0 0 0.227"], 6, 166),
        (ARSENIC_H, {NUMBER: 166}, ["As1 As 0 0 0.227"], 6, 166),
        ((5, 4, 7, 90, 90, 90), {NUMBER: 62}, ["As1 As 0.1 0.25 0.3"], 4, 62),
        ((5, 7, 4, 90, 90, 90), {HM: "P b n m", NUMBER: 62}, ["As1 As 0.1 0.3 0.25"], 4, 62),
        ((4.05,) * 3 + (90,) * 3, {HM: "F m 3 m"}, ["Al1 Al3+ 0 0 0"], 4, 225),  # the symbol of before 1983
    ],
)
def test_operations_that_are_not_listed_are_those_of_the_stated_setting(cell, tags, sites, count, number, tmp_path):
    atoms = read(tmp_path, cif(cell, sites, tags))
    assert len(atoms) == count
    assert group(atoms) == number


@pytest.mark.parametrize(("symbol", "glide"), [("P 21/c", (0, 0.5, 0.5)), ("P 21/n", (0.5, 0.5, 0.5))])
def test_short_monoclinic_symbols_have_their_own_glide(symbol: str, glide: tuple, tmp_path: Path) -> None:
    atoms = read(tmp_path, cif(MONOCLINIC, ["Si1 Si 0.1 0.2 0.3"], {HM: symbol, NUMBER: 14}))
    image = np.array([0.1, -0.2, 0.3]) + glide
    off = atoms.get_scaled_positions() - image
    assert np.abs(off - np.rint(off)).max(axis=1).min() < 1e-9


@pytest.mark.parametrize("tag", ["_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"])
def test_listed_operations_are_used_whatever_the_symbol_says(tag: str, tmp_path: Path) -> None:
    operations = ["x,y,z", "-x,-y,-z", "x+1/2,y+1/2,z", "-x+1/2,-y+1/2,-z"]
    tags = {HM: "F d -3 m", "_chemical_formula_sum": "Si", "_cell_formula_units_Z": 4}
    text = cif(CUBIC, ["Si1 Si 0.1 0.2 0.3"], tags, operations, operation_tag=tag)
    assert len(read(tmp_path, text)) == 4


def test_a_formula_of_the_whole_cell_beside_z_is_understood(tmp_path: Path) -> None:
    tags = {HM: "F m -3 m", "_chemical_formula_sum": "Mg4 O4", "_cell_formula_units_Z": 4}
    sites = ["Mg Mg2+ 0 0 0 1", "O O2- 0.5 0.5 0.5 ?"]  # an unknown occupancy is 1
    atoms = read(tmp_path, cif((4.21,) * 3 + (90,) * 3, sites, tags, columns=ALL_TAGS))
    assert atoms.get_chemical_formula() == "Mg4O4"


@pytest.mark.parametrize(
    ("cell", "sites", "tags", "operations", "words"),
    [
        (CUBIC, ["Si1 Si 0.125 0.125 0.125"], {HM: "F d -3 m"}, None, "Si16 or Si8.*list the symmetry operations"),
        (CUBIC, ["Si1 Si 0 0 0"], {HM: "F d -3 m :2"} | SILICON_8, None, "Si with Z = 8 .* make Si16.*list the sym"),
        (ARSENIC_R, ["As1 As 0.2 0.2 0.2"], {HM: "R -3 m :H"}, None, "does not fit the lengths and angles"),
        (CUBIC, ["Si1 Si 0 0 0"], SILICON_8, ["x,y,z"], "make Si$"),
        (CUBIC, ["O1 O 0 0 0"], {"_chemical_formula_sum": "H2 O"}, ["x,y,z"], "formula is H2O, .* make O$"),
        (CUBIC, ["Al1 Al 0 0 0"], {HM: "F m -3 m"}, ["x,y,z"], "lists 1 symmetry operations .* has 192"),
        (CUBIC, ["Al1 Al 0 0 0"], {HM: "F m -3 m", NUMBER: 221}, None, "does not belong to its number 221"),
        (CUBIC, ["Al1 Al 0 0 0"], {HM: "nonsense"}, None, "'nonsense' is not known"),
        (ARSENIC_H, ["Al1 Al 0 0 0"], None, ["x,y,z", "-y,-x,z", "y,x,z", "z,x,y"], "do not map its cell"),
        (CUBIC, ["Al1 Al 0 0 0"], None, ["x,y"], "'x,y' cannot be read"),
        (CUBIC, ["Nb,Zr '0.8Nb + 0.2Zr' 0 0 0"], None, ["x,y,z"], "site Nb,Zr: .*does not name one element"),
        (CUBIC, ["M1 Nb0.8Zr0.2 0 0 0"], None, ["x,y,z"], "site M1: .*'Nb0.8Zr0.2' does not name one"),
        (CUBIC, ["Si1 SI 0 0 0"], None, ["x,y,z"], "site Si1: .*'SI'"),
        (CUBIC, ["Mg1 Mg 1/3 0 0"], None, ["x,y,z"], "site Mg1: _atom_site_fract_x = 1/3 is no number"),
        (CUBIC, ["H1 H 0 ? 0"], None, ["x,y,z"], "site H1: _atom_site_fract_y = . is no number"),
        (("?",) * 6, ["H1 H 0 0 0"], None, ["x,y,z"], "_cell_length_a = . is no number"),
        (CUBIC, ["Mn Mn 0 0 0"], {"_space_group_magn.number_BNS": "225.117"}, None, "magnetic moments"),
        (CUBIC, ["Al Al 0 0 0", "Si Si 0 0 0"], None, ["x,y,z"], "Si and one of Al share a place"),
    ],
)
def test_files_that_contradict_themselves_are_refused(cell, sites, tags, operations, words, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, cif(cell, sites, tags, operations))
    assert "\n" not in str(caught.value)
    assert "x.cif" in str(caught.value)


def test_charges_labels_and_deuterium_name_elements(tmp_path: Path) -> None:
    sites = ["D1 D 0 0 0", "O1 O2- 0.5 0.5 0.5", "Fe1 Fe+3 0.5 0 0", "Cu Cu1+ 0 0.5 0"]
    assert read(tmp_path, cif(CUBIC, sites)).get_chemical_symbols() == ["H", "O", "Fe", "Cu"]
    columns = ("label", "fract_x", "fract_y", "fract_z")
    atoms = read(tmp_path, cif(CUBIC, ["Mg1A 0 0 0", "OW1 0.5 0.5 0.5"], columns=columns))
    assert atoms.get_chemical_symbols() == ["Mg", "O"]


def test_atoms_far_closer_than_covalent_radii_are_refused() -> None:
    with pytest.raises(InputError, match=r"0 and 1 are 1\.100 Bohr apart \(at least 1\.68 for Si and Si"):
        Crystal(np.eye(3) * 8, ["Si", "Si"], [[0, 0, 0], [1.1 / 8, 0, 0]])
    with pytest.raises(InputError, match="atoms 0 and 0 are"):  # its own image
        Crystal(np.diag([1.5, 8, 8]), ["Si"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"atoms 0 and 0 are 1\.204"):  # its image at b − a, in a skewed cell
        Crystal([[4, 0, 0], [3.9, 1.2, 0], [0, 0, 8]], ["Si"], [[0, 0, 0]])
    assert Crystal(np.eye(3) * 8, ["H", "H"], [[0, 0, 0], [1.0 / 8, 0, 0]]).n_atoms == 2  # a squeezed molecule
    assert Crystal(np.eye(3) * 3.2, ["Na", "Na"], [[0, 0, 0], [0.5] * 3]).n_atoms == 2  # sodium above 100 GPa


POSCAR = "title\n5.43\n0 0.5 0.5\n0.5 0 0.5\n0.5 0.5 0\n{}2\nDirect\n0 0 0\n0.25 0.25 0.25\n"


def test_a_path_is_not_interpreted(tmp_path: Path) -> None:
    (tmp_path / "si").write_text(POSCAR.format("Ge\n"))
    (tmp_path / "si.vasp").write_text(POSCAR.format("Ge\n"))
    for name in ("si.vasp@300K.vasp", "si@0", "si[0-9]*.vasp", "POSCAR@-1"):
        if name in ("si@0", "POSCAR@-1"):
            text = cif(CUBIC, ["Si1 Si 0 0 0", "Si2 Si 0.5 0.5 0.5"])
        else:
            text = POSCAR.format("Si\n")
        assert read(tmp_path, text, name).get_chemical_symbols() == ["Si", "Si"], name


def test_bytes_of_latin1_and_marks_are_read(tmp_path: Path) -> None:
    text = POSCAR.format("Si\n").replace("title", "größe")
    (tmp_path / "POSCAR").write_bytes(text.encode("latin-1"))
    assert len(read_structure(tmp_path / "POSCAR")) == 2
    (tmp_path / "bom.cif").write_bytes(b"\xef\xbb\xbf" + cif(CUBIC, ["Si1 Si 0 0 0"]).encode())
    assert len(read_structure(tmp_path / "bom.cif")) == 1
    (tmp_path / "si.vasp.gz").write_bytes(gzip.compress(POSCAR.format("Si\n").replace("\n", "\r\n").encode()))
    assert len(read_structure(tmp_path / "si.vasp.gz")) == 2
    (tmp_path / "no.vasp.gz").write_text("not compressed")
    with pytest.raises(InputError, match=r"no\.vasp\.gz cannot be read"):
        read_structure(tmp_path / "no.vasp.gz")


def test_poscars_that_name_no_elements_are_not_completed_from_their_neighbours(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "POTCAR").write_text("  PAW_PBE Ge 05Jan2001\n TITEL  = PAW_PBE Ge 05Jan2001\n")
    with pytest.raises(InputError, match="names no elements"):
        read(tmp_path, POSCAR.format(""), "POSCAR")
    assert read(tmp_path, POSCAR.format("").replace("title", "Si"), "POSCAR").get_chemical_symbols() == ["Si", "Si"]


def test_of_several_structures_the_user_chooses(tmp_path: Path) -> None:
    two = cif(CUBIC, ["Si1 Si 0 0 0"]) + cif((4, 4, 4, 90, 90, 90), ["Al1 Al 0 0 0"]).replace("data_x", "data_y")
    frames = [Atoms("Si", cell=[3] * 3, pbc=True), Atoms("Al", cell=[4] * 3, pbc=True)]
    write(tmp_path / "two.extxyz", frames)
    (tmp_path / "two.cif").write_text(two)
    for path in (tmp_path / "two.cif", tmp_path / "two.extxyz"):
        with pytest.raises(InputError, match=r"holds 2 structures: choose one with crystal\.structure_index = 0 … 1"):
            Crystal.from_file(path)
        assert Crystal.from_file(path, index=0).species == ("Si",)
        assert Crystal.from_file(path, index=-1).species == ("Al",)
        assert CrystalTable(structure=path, structure_index=1).build().species == ("Al",)
        with pytest.raises(InputError, match="structure_index = 2 must be in -2 … 1"):
            Crystal.from_file(path, index=2)
    with pytest.raises(InputError, match="structure_index must not be given"):
        CrystalTable(lattice=np.eye(3) * 9, species=["Al"], positions=[[0, 0, 0]], structure_index=0).build()


def test_moments_in_files_and_atoms_are_named(tmp_path: Path) -> None:
    nickel = Atoms("Ni", cell=[3.5] * 3, pbc=True)
    initial, computed, zero = nickel.copy(), nickel.copy(), nickel.copy()
    initial.set_initial_magnetic_moments([[0, 0, 0.6]])
    computed.calc = SinglePointCalculator(computed, magmoms=[0.6])
    zero.set_initial_magnetic_moments([0.0])
    for atoms in (initial, computed):
        with pytest.raises(InputError, match="magnetic moments"):
            Crystal.from_atoms(atoms)
    assert Crystal.from_atoms(zero).species == ("Ni",)
    write(tmp_path / "computed.extxyz", computed)
    with pytest.raises(InputError, match=r"computed\.extxyz: it holds magnetic moments"):
        Crystal.from_file(tmp_path / "computed.extxyz")
    charged = nickel.copy()
    charged.set_initial_charges([1.0])
    with pytest.raises(InputError, match="net charge of 1"):
        Crystal.from_atoms(charged)


@pytest.mark.parametrize("name", ["x.cif", "x.vasp", "x.xyz", "x.unknown"])
@pytest.mark.parametrize(
    "text", ["", "nothing of the kind\n", "data_x\nloop_\n_atom_site_label\n'Al\n", "3\n\nAl 0 0\n"]
)
def test_refusals_are_sentences_of_ours(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"structure file .*{name}") as caught:
        read(tmp_path, text, name)
    for foreign in ("Traceback", "index out of range", "convert", "object", "literal", "NoneType"):
        assert foreign not in str(caught.value)


def test_angles_and_lists_are_told_by_what_is_wrong_with_them() -> None:
    with pytest.raises(InputError, match=r"three finite numbers in 20 … 160 degrees, got \[90, nan, 90\]"):
        Crystal.from_lengths_and_angles([5, 5, 5], [90, float("nan"), 90], ["Al"], [[0, 0, 0]])
    with pytest.raises(InputError, match="not radians"):
        Crystal.from_lengths_and_angles([5, 5, 5], [1.57] * 3, ["Al"], [[0, 0, 0]])
    with pytest.raises(InputError, match=r"angles must be three .* got 2 of them"):
        Crystal.from_lengths_and_angles([5, 5, 5], [90, 90], ["Al"], [[0, 0, 0]])
    with pytest.raises(InputError, match="species names 3 atoms and positions places 4"):
        Crystal(np.eye(3) * 8, ["Al"] * 3, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is absent")
def test_the_shared_cases() -> None:
    formula = {"c05_fd3m_Z.cif": "Si8", "c05_fd3m_colon2.cif": "Si8", "occupancy_unknown.cif": "Mg4O4",
               "si.vasp": "Si2", "c13_bom.cif": "Al4", "si@300K.vasp": "Si2"}  # fmt: skip
    words = {"c01_symbol_mix.cif": "does not name one element", "c04_magn.mcif": "magnetic moments",
             "mag2.extxyz": "magnetic moments", "c07_mg_1_3.cif": "site Mg1", "c16_missingcoord.cif": "site H1",
             "c10_multi.cif": "holds 2 structures", "two.extxyz": "holds 2 structures"}  # fmt: skip
    for name, expected in formula.items():
        assert read_structure(CASES / name).get_chemical_formula() == expected
    for name, said in words.items():
        with pytest.raises(InputError, match=said):
            Crystal.from_file(CASES / name)
