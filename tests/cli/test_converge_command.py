"""cellfields converge: what a person sees, and that a mistake costs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cellfields.pipeline import study
from tests.cli.conftest import Shell
from tests.evaluation.test_convergence import Law

TIGHT = ("--tolerance", "1e-3", "--stress-tolerance", "300")


@pytest.fixture
def lawful(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(study, "make_engine", lambda configuration, crystal: Law(configuration.engine, crystal))
    shell.edit(
        'cutoff = 2\nkmesh = [1, 1, 1]\nsmearing = "cold"',
        'cutoff = 10\nkmesh = [12, 12, 12]\nsmearing = "fermi-dirac"',
    )
    return shell


def test_tables_and_lines_to_paste(lawful: Shell) -> None:
    result = lawful("converge", lawful.config, *TIGHT)
    assert result.code == 0, result.err
    assert "[engine]\ncutoff = 8\nkmesh = [12, 12, 12]\nsmearing_width = 0.02\n" in result.out
    assert "cutoff = 6: cutoff: too low" in result.out and "10 (study)" in result.out
    assert "run this again with these lines" in result.out
    assert len(list((lawful.folder / "run" / "convergence").iterdir())) == 2 * 4 + 6 * (3 + 3 + 2) + 4
    before = Law.solves
    again = lawful("converge", lawful.config, "--tolerance", "1e-9")
    assert Law.solves == before
    assert "cutoff: no member of the ladder has F within 1e-09 Ha an atom: the last step, 12.5 to 16," in again.out
    assert "[engine]" not in again.out
    assert "recommended" not in lawful("converge", lawful.config, "--json", "-").json()


def test_json_and_plot(lawful: Shell) -> None:
    plot = lawful.folder / "convergence.png"
    table = lawful("converge", lawful.config, *TIGHT, "--json", "-", "--plot", plot).json()
    assert table["recommended"] == {"cutoff": 8.0, "kmesh": [12, 12, 12], "smearing": "cold", "smearing_width": 0.02}
    assert table["stress_tolerance"] == pytest.approx(300 / 29421.02, rel=1e-4)
    assert [rung["value"] for rung in table["ladders"]["kmesh"]] == [[6] * 3, [9] * 3, [12] * 3, [18] * 3]
    assert json.dumps(table)
    assert plot.read_bytes().startswith(b"\x89PNG")
    file = lawful.folder / "found.json"
    told = lawful("converge", lawful.config, *TIGHT, "--json", file)
    assert json.loads(file.read_text()) == table
    assert "[engine]\ncutoff = 8" in told.out and "k mesh: change from the last row" in told.out  # a person sees it too


def test_ladders_of_the_users_own(lawful: Shell) -> None:
    options = ("--cutoffs", "10,20", "--meshes", "4x4x4,16x16x16", "--json", "-")
    ladders = lawful("converge", lawful.config, *options).json()["ladders"]
    assert [rung["value"] for rung in ladders["cutoff"]] == [10, 20]
    assert [rung["value"] for rung in ladders["kmesh"]] == [[4] * 3, [12] * 3, [16] * 3]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--tolerance", "0"), "--tolerance 0 must be a positive number"),
        (("--tolerance", "nan"), "--tolerance nan must be a positive number"),
        (("--stress-tolerance", "1"), "--stress-tolerance only goes with --tolerance"),
        (("--stiffness-tolerance", "1"), "--stiffness-tolerance only goes with --tolerance"),
        (("--cutoffs", "10,ten"), "--cutoffs 10,ten must be numbers in 1 … 500 (Hartree), separated by commas"),
        (("--meshes", "8x8"), "--meshes 8x8 must be meshes such as 8x8x8"),
        (("--plot", "x.gif"), "--plot x.gif: the name must end in .png, .svg, .pdf"),
        (("--json", "nowhere/x.json"), "--json nowhere/x.json: the folder"),
    ],
)
def test_mistakes(lawful: Shell, options: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lawful.folder)
    result = lawful("converge", lawful.config, *options)
    assert result.code == 2 and result.err.startswith(f"error: {sentence}")
    assert result.err.count("\n") == 1 and result.out == ""
    assert lawful.files() == ["study.toml"]


def test_a_missing_study(shell: Shell) -> None:
    result = shell("converge", Path("absent.toml"))
    assert result.code == 2 and "absent.toml does not exist" in result.err
