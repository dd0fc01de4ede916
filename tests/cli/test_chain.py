"""label → train → evaluate, interrupted, resumed, changed: what is done again and what is not."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellfields.cli import _console
from cellfields.crystal.deformation import Deformation
from tests.cli.conftest import NETWORKS

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.mark.slow
def test_run_ends_with_report_and_numbers_and_resumes(shell: Shell) -> None:
    first = shell("run", shell.config)
    assert first.code == 0, first.err
    assert shell.solves() == 29
    run = shell.folder / "run"
    assert first.out.rstrip().endswith(f"report: {run / 'report.html'}")
    for words in ("free energy F", "density ρ", "atomic positions", "linear regression", "spread"):
        assert words in first.out
    numbers = json.loads((run / "evaluation.json").read_text())
    assert numbers["test_strains"] == 5
    assert set(numbers["errors"]) == {"surrogate", "quadratic", "linear", "mean"}
    for quantity in ("free_energy", "density.relative_l2", "position"):
        assert 0 < numbers["errors"]["linear"][quantity]["mean"] < numbers["spread"][quantity]["range"]
    html = (run / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 4
    assert "http" not in html.replace("http-equiv", "")
    assert not [name for name in shell.files() if name.endswith(".tmp")]

    again = shell("run", shell.config)
    assert again.code == 0
    assert shell.solves() == 29  # nothing solved again
    assert "the model is up to date" in again.err

    model = run / "model.safetensors"
    before = model.stat().st_mtime_ns
    shell.edit("epochs = 30", "epochs = 31")
    refused = shell("evaluate", shell.config)
    assert refused.code == 2
    assert "run `cellfields train` again" in refused.err
    changed = shell("run", shell.config)
    assert changed.code == 0
    assert "the model is up to date" not in changed.err
    assert model.stat().st_mtime_ns > before
    assert shell.solves() == 29

    shell.edit("train = 24", "train = 26")
    more = shell("label", shell.config)
    assert more.code == 0
    assert shell.solves() == 31  # only the two new ones

    info = shell("info", model, "--json", "-").json()
    assert info["metadata"]["n_train"] == 24
    broken = run / "broken.safetensors"
    broken.write_bytes(model.read_bytes()[:-100])
    for command in (("info", broken), ("predict", broken, "--D", "1,1,1,90,90,90")):
        result = shell(*command)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1
        assert result.out == ""

    inside = shell("predict", model, "--D", "1.005,1,0.995,90,90,90.2", "--json", "-")
    table = inside.json()
    assert table["in_domain"] is True
    assert inside.err == ""
    truth = shell.engines[0].solve(_deformation(table["deformation"]))
    reference = shell.engines[0].solve(Deformation((1, 1, 1), (90, 90, 90)))  # 0.004 Ha away in U
    assert abs(table["band_energy"] - truth.band_energy) < 0.25 * abs(truth.band_energy - reference.band_energy)
    outside = shell("predict", model, "--D", "1.3,1,1,90,90,90", "--json", shell.folder / "o.json")
    assert outside.code == 0
    assert outside.out == ""
    assert "outside the strains" in outside.err
    assert json.loads((shell.folder / "o.json").read_text())["in_domain"] is False
    refused = shell("predict", model, "--D", "1.3,1,1,90,90,90", "--outside", "raise")
    assert refused.code == 2 and "outside the strains" in refused.err and refused.out == ""
    assert shell("predict", model, "--D", "1.3,1,1,90,90,90", "--outside", "flag").err == ""
    assert "must be one of" in shell("predict", model, "--D", "1,1,1,90,90,90", "--outside", "shout").err


def test_predictions_of_best_come_with_their_uncertainty(shell: Shell) -> None:
    shell.edit(NETWORKS, 'name = "best"\ndegree = 2\n')
    assert shell("run", shell.config).code == 0
    model = shell.folder / "run" / "model.safetensors"
    table = shell("predict", model, "--D", "1.005,1,0.995,90,90,90.2", "--json", "-").json()
    assert 0 < table["uncertainty"]["free_energy"] < 0.1
    assert table["uncertainty"].keys() >= {"position", "density.relative_l2", "band_energy"}
    text = shell("predict", model, "--D", "1.005,1,0.995,90,90,90.2").out
    assert "standard deviation of these predictions" in text and "density ρ, relative L²" in text


def test_failed_strains_are_listed_and_left_out(shell: Shell) -> None:
    shell.refuses = lambda deformation: deformation.stretches[0] > 1.02
    result = shell("label", shell.config)
    assert result.code == 0
    failed = 29 - shell.solves()
    assert 0 < failed < 20
    assert f"{failed} of 29 strains could not be solved" in result.err
    assert result.out.count(": no self-consistency") == failed
    assert sum(int(x) for x in _solved_column(result.out)) == shell.solves()
    shell.refuses = lambda deformation: False
    again = shell("label", shell.config)  # what failed stays in quarantine, listed, …
    assert again.code == 0
    assert shell.solves() == 29 - failed
    assert f"{failed} failed earlier and are left out; --retry-failed tries them again" in again.err
    assert again.out.count("not solved: D = (") == failed
    assert shell("label", shell.config, "--retry-failed").code == 0  # … until it is asked for
    assert shell.solves() == 29


def test_label_as_json_is_json_alone(shell: Shell) -> None:
    shell.refuses = lambda deformation: deformation.stretches[0] > 1.02
    table = shell("label", shell.config, "--json", "-").json()
    failed = len(table["failures"])
    assert 0 < failed < 20
    assert (table["kind"], table["solved_now"]) == ("label", 29 - failed)
    assert (table["training"]["strains"], table["test"]["strains"]) == (24, 5)
    assert table["training"]["solved"] + table["test"]["solved"] == 29 - failed
    assert table["labels_an_hour"] == pytest.approx(3600 * (29 - failed) / table["seconds"])
    first = table["failures"][0]
    assert first["error"] == "SCFNotConverged" and first["deformation"][0] > 1.02
    assert first["attempts"] == [{"remedy": None, "error": first["error"], "message": first["message"]}]
    info = shell("info", shell.folder / "run", "--json", "-").json()
    assert info["failures"] == sorted(table["failures"], key=lambda entry: info["failures"].index(entry))
    text = shell("info", shell.folder / "run").out
    assert text.count("not solved: D = (") == failed and ": no self-consistency" in text


def test_a_dry_run_says_what_would_happen_and_writes_nothing(shell: Shell) -> None:
    fresh = shell("label", shell.config, "--dry-run", "--json", "-").json()
    assert (fresh["kind"], fresh["strains"], fresh["solved"], fresh["to_solve"]) == ("dry run", 29, 0, 29)
    assert fresh["expected_seconds"] is None and fresh["estimate_based_on"] is None
    assert "--probe solves two strains" in shell("label", shell.config, "--dry-run").out
    assert (shell.solves(), shell.files()) == (0, ["study.toml"])

    probed = shell("label", shell.config, "--dry-run", "--probe", "--workers", "2", "--json", "-").json()
    assert (shell.solves(), shell.files()) == (2, ["study.toml"])
    assert probed["estimate_based_on"] == "trial solves of a typical and of the farthest strain, just now"
    low, high = probed["seconds_a_label_range"]
    assert low <= probed["seconds_a_label"] <= high
    assert probed["expected_seconds"] == pytest.approx(15 * probed["seconds_a_label"])
    assert probed["expected_bytes"] == pytest.approx(29 * probed["bytes_a_label"])

    shell.refuses = lambda deformation: deformation.stretches[0] > 1.02
    shell("label", shell.config)
    shell.edit("train = 24", "train = 30")
    files, failed = shell.files(), 29 - (shell.solves() - 2)
    table = shell("label", shell.config, "--dry-run", "--probe", "--json", "-").json()
    assert (table["strains"], table["quarantined"], table["to_solve"]) == (35, failed, 6)
    assert table["solved"] == 29 - failed
    assert table["estimate_based_on"] == f"median of {29 - failed} solved states"  # no trial where states say it
    assert 0 < table["seconds_a_label"] < 1
    assert table["bytes_a_label"] == pytest.approx(probed["bytes_a_label"], rel=0.2)
    assert len(table["failures"]) == failed
    again = shell("label", shell.config, "--dry-run", "--retry-failed")
    assert f"{6 + failed}, 1 at a time" in again.out
    assert shell.files() == files
    assert shell.solves() == 31 - failed

    shell.edit("cutoff = 2", "cutoff = 3")
    refused = shell("label", shell.config, "--dry-run")
    assert refused.code == 2 and "cutoff" in refused.err


def test_a_trial_solve_that_fails_is_an_error(shell: Shell) -> None:
    shell.refuses = lambda deformation: True
    result = shell("label", shell.config, "--dry-run", "--probe")
    assert result.code == 1
    assert "the strain that was tried could not be solved: no self-consistency" in result.err
    assert shell("label", shell.config, "--probe").code == 2
    assert shell.files() == ["study.toml"]


def test_all_failed_is_an_error(shell: Shell) -> None:
    shell.refuses = lambda deformation: True
    result = shell("label", shell.config)
    assert result.code == 1
    assert "not one of 29 strains could be solved" in result.err.splitlines()[-1]


def test_too_few_training_states(shell: Shell) -> None:
    seen: list[int] = []
    shell.refuses = lambda deformation: len(seen) >= 5 or bool(seen.append(1))
    assert shell("label", shell.config).code == 0
    result = shell("train", shell.config)
    assert result.code == 2
    assert "5 of 24 training strains are solved, at least 8 are needed" in result.err
    assert "run/model.safetensors" not in shell.files()


def test_steps_out_of_order_say_what_to_do(shell: Shell) -> None:
    for command, words in (("train", "run `cellfields label` first"), ("evaluate", "run `cellfields label` first")):
        result = shell(command, shell.config)
        assert result.code == 2
        assert words in result.err
    assert shell.files() == ["study.toml"]
    shell("label", shell.config)
    result = shell("evaluate", shell.config)
    assert result.code == 2
    assert "run `cellfields train` first" in result.err


def test_a_dataset_made_with_other_settings_is_refused(shell: Shell) -> None:
    assert shell("label", shell.config).code == 0
    files = shell.files()
    shell.edit("cutoff = 2", "cutoff = 3")
    for command in ("label", "run", "train", "evaluate"):
        result = shell(command, shell.config)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1
        assert "cutoff" in result.err
    assert shell.files() == files
    assert shell.solves() == 29


def test_interrupted_labelling_keeps_what_is_done(shell: Shell) -> None:
    calls: list[int] = []

    def interrupt(deformation: object) -> bool:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return False

    shell.refuses = interrupt
    result = shell("label", shell.config)
    assert result.code == 130
    assert "same command" in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
    shell.refuses = lambda deformation: False
    assert shell("label", shell.config).code == 0
    assert shell.solves() == 29  # three before, the rest after


def test_info_of_a_dataset(shell: Shell) -> None:
    shell("label", shell.config)
    table = shell("info", shell.folder / "run", "--json", "-").json()
    assert (table["kind"], table["solved"], table["failed"]) == ("dataset", 29, 0)
    text = shell("info", shell.folder / "run" / "dataset")
    assert text.code == 0
    assert "29" in text.out


def test_progress_without_a_terminal_is_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 10_000, 7))  # one step takes seven seconds: a line every other step
    monkeypatch.setattr("cellfields.cli._console.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with _console.progress() as tasks:
        for done in range(10, 21):
            tasks.update("solving", done, 20, "no failures")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "solving: 10/20, no failures"
    assert lines[1].startswith("solving: 11/20, about 2 min") and "left, no failures" in lines[1]
    assert lines[-1] == "solving: 20/20, no failures"


def test_progress_on_a_terminal_shows_time_left(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setitem(os.environ, "TERM", "xterm")
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    with _console.progress() as tasks:
        tasks.update("solving", 0, 3)
        tasks.update("solving", 1, 3, "last one 2 s")
        tasks.update("solving", 3, 3, "last one 3 s")
    captured = capfd.readouterr()
    assert "3/3" in captured.err and "last one 3 s" in captured.err
    assert captured.out == ""


def _deformation(values: list[float]):  # type: ignore[no-untyped-def]
    from cellfields.crystal.deformation import Deformation

    return Deformation.from_array(np.array(values))


def _solved_column(text: str) -> list[str]:
    return [line.split()[-1] for line in text.splitlines() if line.split()[:1] in (["training"], ["test"])]


def test_the_report_of_a_magnetic_crystal_says_that_spin_is_left_out(shell: Shell) -> None:
    shell.edit('species = ["Mg", "Mg", "Mg", "Mg"]', 'species = ["Ni", "Ni", "Ni", "Ni"]')
    result = shell("run", shell.config)
    assert result.code == 0, result.err
    sentence = "Ni may carry magnetic moments, and spin polarisation is not there"
    assert sentence in result.out
    assert sentence in (shell.folder / "run" / "report.html").read_text(encoding="utf-8")
    findings = json.loads((shell.folder / "run" / "evaluation.json").read_text())["verdict"]["findings"]
    assert [(f["level"], f["topic"]) for f in findings if sentence in f["sentence"]] == [
        ("caution", "physics left out")
    ]
