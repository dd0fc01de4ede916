"""A study file says everything or is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from ase.units import Bohr

from cellfields.cli._template import TEMPLATE
from cellfields.errors import InputError
from cellfields.pipeline.configuration import ImportedConfiguration, load_configuration, load_study, parse_configuration

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_magnesium_quick" / "magnesium.toml"


def table() -> dict[str, Any]:
    """A small valid study: fcc aluminium in its cubic cell."""
    return {
        "crystal": {
            "lengths": [7.6, 7.6, 7.6],
            "angles": [90, 90, 90],
            "species": ["Al"] * 4,
            "positions": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        },
        "engine": {"cutoff": 10, "kmesh": [4, 4, 4]},
        "sampling": {"train": 10, "test": 4, "seed": 3},
    }


def test_template_and_example_are_the_same_valid_study() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == TEMPLATE, "cli/_template.py and the example have drifted apart"
    configuration = load_configuration(EXAMPLE)
    crystal = configuration.crystal.build()
    assert (crystal.n_atoms, crystal.n_internal, crystal.n_translations) == (4, 3, 2)
    assert configuration.dataset_directory == EXAMPLE.parent.resolve() / "run" / "dataset"


def test_imported_states_take_the_place_of_an_engine(tmp_path: Path) -> None:
    imported = {"crystal": table()["crystal"], "imported": {"description": "VASP, LDA", "test": 4}}
    configuration = parse_configuration(imported, tmp_path)
    assert isinstance(configuration, ImportedConfiguration)
    assert (configuration.imported.field_cutoff, configuration.imported.max_loss) == (40.0, 0.01)
    assert configuration.dataset_directory == tmp_path / "run" / "dataset"
    for changes, words in (
        ({"engine": table()["engine"]}, "unknown key engine"),
        ({"imported": {"description": "VASP", "test": 1}}, "imported.test = 1 must be in 2"),
        ({"imported": {"description": "", "test": 4}}, "imported.description"),
        ({"imported": {"test": 4}}, "imported.description is missing"),
        ({"imported": {"description": "x", "test": 4, "cutoff": 3}}, "unknown key imported.cutoff .did you mean"),
    ):
        with pytest.raises(InputError, match=words):
            parse_configuration(imported | changes, tmp_path)
    path = tmp_path / "study.toml"
    path.write_text('[imported]\ndescription = "x"\ntest = 4\n[crystal]\nstructure = "x.cif"\n')
    assert isinstance(load_study(path), ImportedConfiguration)
    with pytest.raises(InputError, match="are imported"):
        load_configuration(path)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "1" * 5000, "a = '\0'", "'" + "x" * 5000 + "' = 1"])
def test_hostile_texts_are_one_short_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_study(tmp_path / "study.toml")
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "~nobody-of-that-name/x"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    for changes, key in (
        ({"output": {"directory": name}}, "directory"),
        ({"crystal": {"structure": name}}, "structure"),
    ):
        with pytest.raises(InputError, match=f"{key} = .* is not a usable path"):
            parse_configuration(table() | changes, tmp_path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    bulk("Al", cubic=True).write(tmp_path / "al.cif")
    raw = table() | {"crystal": {"structure": "al.cif"}, "output": {"directory": "../elsewhere"}}
    raw["engine"]["pseudopotentials"] = {"Al": "al.gth"}
    configuration = parse_configuration(raw, tmp_path)
    assert configuration.crystal.build().n_atoms == 4
    assert configuration.report_path == tmp_path / "../elsewhere" / "report.html"
    assert configuration.engine.pseudopotentials["Al"] == tmp_path / "al.gth"


def test_angstrom_is_the_same_crystal(tmp_path: Path) -> None:
    bohr = table()
    crystal = parse_configuration(bohr, tmp_path).crystal.build()
    angstrom = table()
    angstrom["crystal"]["lengths_angstrom"] = [x * Bohr for x in angstrom["crystal"].pop("lengths")]
    rows = table()
    del rows["crystal"]["lengths"], rows["crystal"]["angles"]
    rows["crystal"]["lattice"] = (7.6 * np.eye(3)).tolist()
    rows_angstrom = table()
    del rows_angstrom["crystal"]["lengths"], rows_angstrom["crystal"]["angles"]
    rows_angstrom["crystal"]["lattice_angstrom"] = (7.6 * Bohr * np.eye(3)).tolist()
    for other in (angstrom, rows, rows_angstrom):
        np.testing.assert_allclose(
            parse_configuration(other, tmp_path).crystal.build().lattice_ref,
            crystal.lattice_ref,
            rtol=1e-14,
            atol=1e-14,
        )


def test_a_sheet_is_strained_in_its_plane(tmp_path: Path) -> None:
    raw = table()
    free = parse_configuration(raw, tmp_path)
    raw["sampling"]["hold"] = ["lambda_c", "theta_a", "theta_b"]
    held = parse_configuration(raw, tmp_path)
    crystal = held.crystal.build()
    for strains in ("train_deformations", "test_deformations"):
        every, plane = (np.array([d.as_array() for d in getattr(c.sampling, strains)(crystal)]) for c in (free, held))
        assert np.array_equal(plane[:, [0, 1, 5]], every[:, [0, 1, 5]])
        assert np.array_equal(plane[:, [2, 3, 4]], np.tile([1.0, 90.0, 90.0], (len(plane), 1)))


def test_an_inversion_centre_may_be_freed(tmp_path: Path) -> None:
    raw = table()
    assert parse_configuration(raw, tmp_path).crystal.build().inversion_centre is not None
    raw["crystal"]["inversion"] = "free"
    crystal = parse_configuration(raw, tmp_path).crystal.build()
    assert (crystal.inversion, crystal.inversion_centre) == ("free", None)
    write(str(tmp_path / "al.vasp"), bulk("Al"))
    raw["crystal"] = {"structure": "al.vasp", "inversion": "free"}
    assert parse_configuration(raw, tmp_path).crystal.build().inversion == "free"


def test_train_and_test_strains_differ_and_extend(tmp_path: Path) -> None:
    raw = table()
    configuration = parse_configuration(raw, tmp_path)
    crystal = configuration.crystal.build()
    train = configuration.sampling.train_deformations(crystal)
    test = configuration.sampling.test_deformations(crystal)
    assert (len(train), len(test)) == (10, 4)
    assert not set(train) & set(test)
    raw["sampling"]["train"] = 15
    longer = parse_configuration(raw, tmp_path).sampling
    assert longer.train_deformations(crystal)[:10] == train  # a bigger study keeps its solves
    assert longer.test_deformations(crystal) == test


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("crystal.colour", "red", ["unknown key crystal.colour", "lengths"]),
        ("engine.cutof", 10, ["unknown key engine.cutof", "did you mean cutoff?"]),
        ("outputs", {}, ["unknown key outputs", "did you mean output?"]),
        ("engine.cutoff", -3, ["engine.cutoff = -3", "1 … 500"]),
        ("engine.cutoff", "10", ["engine.cutoff", '"10"', "a number in 1 … 500"]),
        ("engine.cutoff", True, ["engine.cutoff = true", "a number"]),
        ("engine.cutoff", float("nan"), ["engine.cutoff = NaN", "1 … 500"]),
        ("engine.kmesh", [4, 0, 4], ["engine.kmesh[1] = 0", "1 … 200"]),
        ("engine.kmesh", [4, 4], ["engine.kmesh = [4, 4]", "number 3 is missing"]),
        ("engine.kmesh", [4, 4, 4, 4], ["engine.kmesh", "at most 3 entries, not 4"]),
        ("engine.kmesh", 4, ["engine.kmesh = 4", "a list of numbers in 1 … 200"]),
        ("engine.kmesh", [4, 4.5, 4], ["engine.kmesh[1] = 4.5", "an integer in 1 … 200"]),
        ("engine.smearing", "warm", ["engine.smearing", "'cold'", "'fermi-dirac'"]),
        ("engine", 5, ["engine = 5 must be a table"]),
        ("sampling.train", 3, ["sampling.train = 3", "8 … 1000000"]),
        ("sampling.seed", -1, ["sampling.seed = -1", "at least 0"]),
        ("sampling.stretch_sigma", 0.0, ["sampling.stretch_sigma = 0.0", "greater than 0 and at most 0.2"]),
        ("sampling.hold", ["lambda_d"], ["sampling.hold[0]", "'lambda_a'", "'theta_c'"]),
        ("sampling.hold", "lambda_c", ["sampling.hold", "a list"]),
        ("crystal.inversion", "break", ["crystal.inversion", "'impose' or 'free'"]),
        ("surrogate", {"epochs": 0}, ["surrogate.epochs = 0", "1 … 10000000"]),
        (
            "surrogate",
            {"name": "best", "epochs": 9},
            ['surrogate.epochs is no key of the recipe "best"', '"paper" and'],
        ),
        ("surrogate", {"name": "polynomials", "lengths": [-1.0]}, ["surrogate.lengths[0] = -1.0", "greater than 0"]),
        ("surrogate", {"name": "taylor", "momentum": 0.9}, ["unknown key surrogate.momentum;", "epochs"]),
        ("surrogate", {"name": "small"}, ['surrogate.name = "small"', "'paper', 'taylor', 'best'", "trend_networks"]),
        ("surrogate", 3, ["surrogate = 3", "a table"]),
        ("surrogate", {"field_widths": []}, ["surrogate.field_widths = []", "at least 1 entries"]),
        ("output", {"workers": 0}, ["output.workers = 0", "1 … 4096"]),
        ("output", {"directory": 5}, ["output.directory = 5", "a string"]),
    ],
)
def test_a_mistake_is_one_sentence(where: str, value: object, words: list[str], tmp_path: Path) -> None:
    raw = table()
    *owners, key = where.split(".")
    holder = raw
    for owner in owners:
        holder = holder[owner]
    holder[key] = value
    _refused(raw, tmp_path, words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"angles": [1.57, 1.57, 1.57]}, ["crystal.angles[0] = 1.57", "20 … 160", "not radians"]),
        ({"angles": [120, 120, 120]}, ["close no cell"]),
        ({"angles": None}, ["crystal.angles is missing"]),
        ({"species": None}, ["crystal.species is missing"]),
        ({"lengths": [7.6, 0, 7.6]}, ["crystal.lengths[1] = 0", "greater than 0"]),
        ({"lengths": None}, ["exactly one of lengths", "found none"]),
        ({"lattice": np.eye(3).tolist()}, ["exactly one of", "crystal.lengths and crystal.lattice"]),
        ({"species": ["Al", "Al", "Al", "Qq"]}, ["species", "'Qq'"]),
        ({"species": ["Al"]}, ["positions must be 1 rows"]),
        ({"positions": [[0, 0]] * 4}, ["crystal.positions[0] = [0, 0]", "number 3 is missing"]),
        ({"positions": [[0, 0, 0]] * 4}, ["positions: atoms", "Bohr apart"]),
        ({"lengths": None, "angles": None, "lattice": [[0, 7, 0], [7, 0, 0], [0, 0, 7]]}, ["left-handed"]),
        ({"lengths": None, "angles": None, "lattice": [[7, 0, 0], [7, 0, 0], [0, 0, 7]]}, ["singular"]),
        ({"lengths": None, "structure": "no.cif"}, ["crystal.species must not be given", "crystal.structure"]),
    ],
)
def test_a_bad_crystal_is_one_sentence(changes: dict[str, object], words: list[str], tmp_path: Path) -> None:
    raw = table()
    for key, value in changes.items():
        if value is None:
            del raw["crystal"][key]
        else:
            raw["crystal"][key] = value
    _refused(raw, tmp_path, words)


def test_a_missing_structure_file_is_named(tmp_path: Path) -> None:
    _refused(table() | {"crystal": {"structure": "no.cif"}}, tmp_path, [str(tmp_path / "no.cif"), "does not exist"])


def test_a_missing_table_or_key_is_named(tmp_path: Path) -> None:
    for owner, key, words in (
        ("engine", None, ["[engine] is missing"]),
        ("sampling", "test", ["sampling.test is missing"]),
    ):
        raw = table()
        if key is None:
            del raw[owner]
        else:
            del raw[owner][key]
        _refused(raw, tmp_path, words)


def test_output_directory_must_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    _refused(table(), tmp_path, ["output.directory", "is a file"])


def test_files_that_are_no_study(tmp_path: Path) -> None:
    for name, content, words in (
        ("syntax.toml", b"[crystal]\nlengths = [1, 2\nx = 3\n", ["not valid TOML", "line 3"]),
        ("twice.toml", b"[output]\nworkers = 1\nworkers = 2\n", ["not valid TOML", "line 3"]),
        ("binary.toml", b"# \xe9\0\n", ["is no text file"]),
        (".", None, ["is a folder"]),
        ("missing.toml", None, ["does not exist"]),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            load_configuration(path)
        assert all(word in str(caught.value) for word in words), str(caught.value)


def _refused(raw: dict[str, Any], folder: Path, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_configuration(raw, folder).crystal.build()
    message = str(caught.value)
    assert "\n" not in message
    assert "pydantic" not in message
    assert all(word in message for word in words), message


def test_a_study_with_a_byte_order_mark_or_a_latin_comment_is_read(tmp_path: Path) -> None:
    imported = (
        '[imported]\ndescription = "x"\ntest = 2\nkmesh = [4, 4, 2]\n[crystal]\nlengths = [5, 5, 5]\n'
        'angles = [90, 90, 90]\nspecies = ["Mg"]\npositions = [[0, 0, 0]]\n'
    )
    for name, content in (
        ("mark.toml", b"\xef\xbb\xbf" + imported.encode()),
        ("latin.toml", "# Aufgabe f\xfcr M\xfcller\n".encode("latin-1") + imported.encode()),
    ):
        (tmp_path / name).write_bytes(content)
        study = load_study(tmp_path / name)
        assert isinstance(study, ImportedConfiguration) and study.imported.kmesh == (4, 4, 2)
