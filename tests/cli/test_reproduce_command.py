"""``cellfields reproduce``: the miniature from the first label to the report, with the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.reproductions.teh2021 import reproduce

PACK = Path(__file__).parents[2] / "data" / "teh2021_labels.pack"

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.mark.slow
def test_the_miniature_from_labels_to_report(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    target = shell.folder / "out"
    result = shell("reproduce", "teh2021", "--quick", "--directory", target)
    assert result.code == 0, result.err
    assert "This is a miniature (--quick)" in result.err
    assert result.out.startswith("Mean errors on 4 test strains") and f"report: {target / 'report.html'}" in result.out
    report = json.loads((target / "report.json").read_text())
    assert report["accuracy"]["training_states"] == 12 and report["accuracy"]["test_states"] == 4
    errors = report["accuracy"]["errors"]
    for better, worse in (("best recipe", "mean"), ("linear", "mean")):  # even here there is something to learn
        assert errors[better]["free_energy"]["mean"] < errors[worse]["free_energy"]["mean"]
        assert errors[better]["density.relative_l2"]["mean"] < errors[worse]["density.relative_l2"]["mean"]
    for name in ("learning", "validation", "ablation", "meshes", "smearings", "uncertainties"):
        assert report[name], name
    assert {path.name for path in target.iterdir()} >= {"dataset", "converged", "smearing", "models", "results"}
    html = (target / "report.html").read_text()
    assert "Figure 2" in html and "Footnote" not in html and html.count("<table>") >= 8

    # Again: nothing is solved and nothing trained, and the numbers are the same.
    monkeypatch.setattr(PlaneWaveEngine, "solve", None)
    monkeypatch.setattr("cellfields.surrogate.surrogate.Surrogate.train", None)
    again = shell("reproduce", "teh2021", "--quick", "--directory", target, "--stage", "accuracy", "--json", "-")
    assert again.code == 0, again.err
    assert again.json()["accuracy"] == report["accuracy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("teh2020",), ["study 'teh2020' is unknown", "teh2021"]),
        (("teh2021", "--reference", "nowhere"), ["--reference", "nowhere", "published_test_errors.npz"]),
        (("teh2021", "--quick", "--stage", "acuracy"), ["stage 'acuracy' is unknown", *reproduce.STAGES]),
        (("teh2021", "--quick", "--no-solve"), ["no labels in", "first stage"]),
        (("teh2021", "--directory", "study.toml"), ["--directory", "is a file"]),
        (("teh2021", "--labels", str(PACK)), ["pseudopotentials.Mg was", "teh2021_labels.pack"]),
        (("teh2021", "--labels", str(PACK), "--stage", "acuracy"), ["stage 'acuracy' is unknown"]),
        (("teh2021", "--json", "nowhere/o.json"), ["--json", "does not exist"]),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    shell: Shell, arguments: tuple[str, ...], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shell.folder)
    result = shell("reproduce", *arguments)
    assert (result.code, result.out) == (2, ""), result
    last = result.err.splitlines()[-1]
    assert last.startswith("error: ") and all(word in last for word in words), result.err
    assert shell.files() == ["study.toml"]
