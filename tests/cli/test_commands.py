"""Single commands: what goes to stdout, to files, to stderr; a mistake is one line, code 2, and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellfields import __version__
from cellfields.state import UNITS

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

D = "1.01,1,0.99,90,91,90"


def test_solve_prints_a_table(shell: Shell) -> None:
    result = shell("solve", shell.config, "--D", D)
    assert result.code == 0
    assert "free energy F" in result.out
    assert f"{shell.engines[0].solve(_d()).free_energy:.9f}" in result.out
    assert result.err == ""
    assert shell.files() == ["study.toml"]


def test_solve_json_on_stdout_is_json_alone(shell: Shell) -> None:
    table = shell("solve", shell.config, "--D", D, "--json", "-").json()
    truth = shell.engines[0].solve(_d())
    for name in ("free_energy", "band_energy", "entropic_energy", "fermi_energy"):
        assert table[name] == getattr(truth, name)
    for name in ("positions", "internal", "lattice", "stress"):
        np.testing.assert_array_equal(table[name], getattr(truth, name))
    assert table["units"] == UNITS
    assert table["deformation"] == [1.01, 1.0, 0.99, 90.0, 91.0, 90.0]


def test_solve_writes_json_and_fields(shell: Shell) -> None:
    target, fields = shell.folder / "o.json", shell.folder / "f.npz"
    result = shell("solve", shell.config, "--D", D, "--json", target, "--fields", fields, "--grid", "12,20,18")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert shell.files() == ["f.npz", "o.json", "study.toml"]
    truth = shell.engines[0].solve(_d())
    assert json.loads(target.read_text())["free_energy"] == truth.free_energy
    assert truth.fields is not None
    with np.load(fields, allow_pickle=False) as arrays:
        for name in ("density", "coulomb_potential", "band_energy_density", "entropy_density"):
            np.testing.assert_array_equal(arrays[name], truth.fields.on_grid(name, (12, 20, 18)))
        np.testing.assert_array_equal(arrays["lattice"], truth.lattice)
        np.testing.assert_array_equal(arrays["positions"], truth.positions)
        assert list(arrays["species"]) == ["Mg"] * 4
        electrons = arrays["density"].mean() * np.linalg.det(arrays["lattice"])
    assert electrons == pytest.approx(8, abs=1e-12)


def test_the_default_grid_holds_the_whole_field(shell: Shell) -> None:
    fields = shell.folder / "f.npz"
    assert shell("solve", shell.config, "--D", D, "--fields", fields).code == 0
    truth = shell.engines[0].solve(_d()).fields
    assert truth is not None
    with np.load(fields, allow_pickle=False) as arrays:
        back = truth.basis.from_grid(arrays["density"] * truth.volume)
    np.testing.assert_allclose(back, truth.coefficients["density"], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--D", "1,1,1"), ["--D = '1,1,1'", "six numbers"]),
        (("--D", "1,1,1,90,90,x"), ["--D", "six numbers"]),
        (("--D", "1,1,1,1.57,1.57,1.57"), ["θa = 1.57", "20 … 160 degrees", "not radians"]),
        (("--D", "0,1,1,90,90,90"), ["λa = 0", "0.5 … 2"]),
        (("--D", "1,1,nan,90,90,90"), ["λc = nan", "0.5 … 2"]),
        (("--D", "1,1,1,60,60,121"), ["close no cell"]),
        (("--D", D, "--grid", "0,3,3"), ["--grid", "1 … 1000"]),
        (("--D", D, "--grid", "4,4"), ["--grid", "three whole numbers"]),
        (("--D", D, "--grid", "4,4,4.5"), ["--grid", "three whole numbers"]),
        (("--D", D, "--json", "missing/o.json"), ["--json", "missing does not exist"]),
        (("--D", D, "--fields", "."), ["--fields . is a folder"]),
        (("--D", D, "--pseudopotential", "missing.pseu"), ["--pseudopotential", "there is no file missing.pseu"]),
        (("--D", D, "--pseudopotential", "Al=a.pseu"), ["--pseudopotential", "has no Al"]),
    ],
)
def test_a_bad_solve_is_one_line(shell: Shell, arguments: tuple[str, ...], words: list[str]) -> None:
    _refused(shell, ("solve", shell.config, *arguments), words)
    assert shell.solves() == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kmesh = [1, 1, 1]", "kmesh = [1, 0, 1]", ["engine.kmesh[1] = 0", "1 … 200"]),
        ("cutoff = 2", "cutof = 2", ["unknown key engine.cutof"]),
        ("[crystal]", "[crystal", ["not valid TOML", "line 1"]),
        ("lengths = [5.89, ", "lengths = [-5.89, ", ["crystal.lengths[0] = -5.89"]),
    ],
)
def test_a_bad_study_is_one_line_and_writes_nothing(shell: Shell, old: str, new: str, words: list[str]) -> None:
    shell.edit(old, new)
    for command in (("label",), ("train",), ("evaluate",), ("run",), ("info",)):
        _refused(shell, (*command, shell.config), words)
    _refused(shell, ("solve", shell.config, "--D", D, "--json", shell.folder / "o.json"), words)


def test_an_element_without_pseudopotential(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real engine
    shell.edit('"Mg", "Mg", "Mg", "Mg"', '"Og", "Og", "Og", "Og"')
    for command in ("label", "run", "info"):
        _refused(shell, (command, shell.config), ["Og", "pseudopotential"])


def test_not_converged_is_one_line_with_the_last_step(shell: Shell) -> None:
    shell.refuses = lambda deformation: True
    result = shell("solve", shell.config, "--D", D, "--json", shell.folder / "o.json")
    assert result.code == 1
    assert result.err == "error: no self-consistency after 3 steps (last step: step 2, residual 0.25)\n"
    assert shell.files() == ["study.toml"]


def test_predict_needs_a_model(shell: Shell) -> None:
    _refused(shell, ("predict", shell.folder / "no.safetensors", "--D", D), ["no.safetensors"])
    garbage = shell.folder / "bad.safetensors"
    garbage.write_bytes(b"not a model")
    result = shell("predict", garbage, "--D", D)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "bad.safetensors" in result.err


def test_init_writes_once(shell: Shell) -> None:
    folder = shell.folder / "new" / "place"
    first = shell("init", folder)
    assert first.code == 0
    assert first.out.strip() == str(folder / "magnesium.toml")
    content = (folder / "magnesium.toml").read_bytes()
    assert shell("info", folder / "magnesium.toml").code == 0
    second = shell("init", folder)
    assert second.code == 2
    assert "exists already" in second.err
    assert (folder / "magnesium.toml").read_bytes() == content
    assert shell("init", shell.config).code == 2  # a file, not a folder


def test_info_of_a_study(shell: Shell) -> None:
    table = shell("info", shell.config, "--json", "-").json()
    assert (table["kind"], table["internal_coordinates"], table["primitive_cells"]) == ("study", 3, 2)
    assert table["sampling"]["train"] == 24
    assert "internal_coordinates" in shell("info", shell.config).out


def test_info_of_nothing(shell: Shell) -> None:
    _refused(shell, ("info", shell.folder / "no"), ["does not exist"])
    _refused(shell, ("info", shell.folder), ["no dataset"])
    (shell.folder / "a.txt").write_text("")
    result = shell("info", shell.folder / "a.txt")
    assert result.code == 2
    assert "neither" in result.err


def test_usage_errors_exit_2(shell: Shell) -> None:
    for arguments in (
        ("label",),
        ("labell", shell.config),
        ("label", shell.config, "--workers", "0"),
        ("solve", "x", "-q"),
    ):
        result = shell(*arguments)
        assert result.code == 2
        assert "Traceback" not in result.err
        assert result.out == ""


def test_an_unwritable_file_system_is_one_line(shell: Shell) -> None:
    (shell.folder / "blocked").write_text("")
    shell.config.write_text(shell.config.read_text() + '\n[output]\ndirectory = "blocked/run"\n')
    result = shell("label", shell.config)
    assert result.code in (1, 2)
    assert len(result.err.splitlines()) == 1
    assert "blocked" in result.err


def test_help_and_version_import_nothing_that_takes_long() -> None:
    """So that they answer at once: neither arrays nor optimisers nor figures are needed to say what there is."""
    script = (
        "import sys\n"
        "from cellfields.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    for option, expected in (("--help", "label"), ("--version", __version__)):
        done = subprocess.run([sys.executable, "-c", script, option], capture_output=True, text=True, check=True)
        assert expected in done.stdout
        slow = ("numpy", "scipy", "ase", "spglib", "jax", "sklearn", "matplotlib", "pydantic")
        assert not [name for name in slow if repr(name) in done.stderr]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cellfields.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'scipy', 'jax', 'matplotlib', 'ase', 'spglib', 'rich', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def _d():  # type: ignore[no-untyped-def]
    from cellfields.crystal.deformation import Deformation

    return Deformation.from_array([float(x) for x in D.split(",")])


def _refused(shell: Shell, arguments: tuple[str | Path, ...], words: list[str]) -> None:
    files = shell.files()
    result = shell(*arguments)
    assert result.code == 2, result
    assert result.out == ""
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("error: ")
    assert all(word in result.err for word in words), result.err
    assert shell.files() == files
