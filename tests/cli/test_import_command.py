"""import → train → evaluate → predict, with states of which only some things are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cellfields.crystal.deformation import sample_deformations
from tests.dataset.importing.writers import foreign_atoms, save_chgcar, values
from tests.toy import ToyEngine, magnesium

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

IMPORTED = """\
[imported]
description = "toy"
field_cutoff = 2.0
test = 4
"""


def _study(shell: Shell) -> None:
    text = shell.config.read_text()
    begin, end = text.index("[engine]"), text.index("[surrogate]")
    shell.config.write_text(text[:begin] + IMPORTED + text[end:])


def _table(shell: Shell, *columns: str, count: int = 16) -> str:
    """A table of the toy engine's states with these columns, in the study's folder."""
    crystal = magnesium()
    lines = [",".join(columns)]
    strains = sample_deformations(crystal, count, seed=9, stretch_sigma=0.02, angle_sigma=1.0)
    for i, state in enumerate(map(ToyEngine(crystal, 2.0).solve, strains)):
        cells = {
            "free_energy": str(state.free_energy),
            "internal": " ".join(map(str, state.internal)),
            **dict(zip(("lambda_a", "lambda_b", "lambda_c"), map(str, strains[i].stretches), strict=True)),
            **dict(zip(("theta_a", "theta_b", "theta_c"), map(str, strains[i].angles), strict=True)),
        }
        if "density" in columns:
            cells["density"] = f"CHGCAR_{i}"
            save_chgcar(shell.folder / f"CHGCAR_{i}", foreign_atoms(crystal, state), values(state))
        lines.append(",".join(cells[column] for column in columns))
    (shell.folder / "states.csv").write_text("\n".join(lines) + "\n")
    return str(shell.folder / "states.csv")


D = ("lambda_a", "lambda_b", "lambda_c", "theta_a", "theta_b", "theta_c")


@pytest.mark.slow
def test_free_energies_and_atoms_alone(shell: Shell) -> None:
    _study(shell)
    source = _table(shell, *D, "free_energy", "internal")
    with open(source, "a") as file:
        file.write("1,1,1,90,90,900,-1,0 0 0\n")
    result = shell("import", shell.config, source)
    assert result.code == 0, result.err
    assert "refused: states.csv line 18: θc = 900" in result.out
    assert "16 states imported, 1 refused" in " ".join(result.out.split())
    assert "stress" in result.out and "not known" in result.out
    ran = shell("run", shell.config)
    assert ran.code == 0, ran.err
    assert "free energy F" in ran.out and "atomic positions" in ran.out
    assert "not known to this model" in ran.err and "density" in ran.err
    html = (shell.folder / "run" / "report.html").read_text()
    assert "not known to the surrogate" in html
    numbers = json.loads((shell.folder / "run" / "evaluation.json").read_text())
    assert set(numbers["errors"]["surrogate"]) == {"free_energy", "position"}
    assert numbers["test_strains"] == 4
    assert "the model is up to date" in shell("run", shell.config).err
    text = (shell.folder / "states.csv").read_text()
    (shell.folder / "states.csv").write_text(text.replace(",-1.7", ",-1.8"))  # better numbers for the same cells
    assert shell("import", shell.config, source).code == 0
    stale = shell("evaluate", shell.config)
    assert stale.code == 2 and "run `cellfields train` again" in stale.err
    model = shell.folder / "run" / "model.safetensors"
    table = shell("predict", model, "--D", "1,1,1,90,90,90", "--json", "-").json()
    assert "free_energy" in table and "stress" in table and "band_energy" not in table
    refused = shell("predict", model, "--D", "1,1,1,90,90,90", "--fields", shell.folder / "f.npz")
    assert refused.code == 2
    assert "gave no fields" in refused.err
    assert shell.solves() == 0


@pytest.mark.slow
def test_densities_alone(shell: Shell) -> None:
    """The cells follow from the files; atoms are known from them too."""
    _study(shell)
    assert shell("import", shell.config, _table(shell, "density")).code == 0
    ran = shell("run", shell.config)
    assert ran.code == 0, ran.err
    assert "density ρ" in ran.out and "free energy" not in ran.out
    model = shell.folder / "run" / "model.safetensors"
    predicted = shell("predict", model, "--D", "1,1,1,90,90,90", "--fields", shell.folder / "f.npz")
    assert predicted.code == 0, predicted.err
    assert "free_energy" in predicted.err
    assert "free energy" not in predicted.out
    assert "relaxed atoms" in predicted.out
    info = shell("info", model, "--json", "-").json()
    assert "free_energy" in info["metadata"]["unknown"]


def test_mistakes_are_one_line_and_write_nothing(shell: Shell) -> None:
    source = _table(shell, *D, "free_energy", count=3)
    _one_line(shell, "give it a table [imported]", "import", shell.config, source)
    _study(shell)
    _one_line(shell, "there is no", "import", shell.config, shell.folder / "none.csv")
    (shell.folder / "bad.csv").write_text("lamda_a\n1\n")
    _one_line(shell, "unknown column 'lamda_a'", "import", shell.config, shell.folder / "bad.csv")
    _one_line(shell, "unknown column 'lamda_a'", "import", shell.config, source, shell.folder / "bad.csv")
    _one_line(shell, "run `cellfields import` first", "train", shell.config)
    _one_line(shell, "run `cellfields import` first", "run", shell.config)
    _one_line(shell, "no [engine] to solve with", "solve", shell.config, "--D", "1,1,1,90,90,90")
    (shell.folder / "bad.csv").write_text("free_energy\n1\n")
    result = shell("import", shell.config, shell.folder / "bad.csv")
    assert result.code == 2
    assert "not one state could be imported; the first: bad.csv line 2" in result.err
    assert not (shell.folder / "run").exists()


def test_another_description_is_refused(shell: Shell) -> None:
    _study(shell)
    source = _table(shell, *D, "free_energy", count=3)
    assert shell("import", shell.config, source, "--json", shell.folder / "s.json").code == 0
    summary = json.loads((shell.folder / "s.json").read_text())
    assert summary["imported"] == 3
    assert summary["checks"]["electrons"] is None and 0 < summary["checks"]["free_energy_range"] < 0.1
    shell.edit('description = "toy"', 'description = "another"')
    _one_line(shell, "description", "import", shell.config, source)
    shell.edit('description = "another"', 'description = "toy"')
    result = shell("train", shell.config)
    assert result.code == 2
    assert "0 of 0 training strains are solved" in result.err


def test_the_table_shows_the_electrons_and_a_wrong_number_writes_nothing(shell: Shell) -> None:
    _study(shell)
    source = _table(shell, "density", count=2)
    result = shell("import", shell.config, source)
    assert result.code == 0, result.err
    assert "electrons in a cell" in " ".join(result.out.split()) and " 8 " in result.out
    shell.edit('description = "toy"', 'description = "toy"\nelectrons = 9')
    refused = shell("import", shell.config, source)
    assert refused.code == 2
    assert "holds 8 electrons, where the study says 9" in refused.err


def test_info_of_a_study_that_imports(shell: Shell) -> None:
    _study(shell)
    table = shell("info", shell.config, "--json", "-").json()
    assert table["imported"]["field_cutoff"] == 2.0
    shell.edit("test = 4", "tests = 4")
    _one_line(shell, "unknown key imported.tests", "info", shell.config)


def _one_line(shell: Shell, words: str, *arguments: object) -> None:
    files = shell.files()
    result = shell(*arguments)  # type: ignore[arg-type]
    assert result.code == 2, result
    assert result.out == ""
    assert len(result.err.splitlines()) == 1, result.err
    assert words in result.err
    assert shell.files() == files
