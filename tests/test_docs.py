"""Pages that name every key of the study file, links that lead somewhere, and an example that runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from cellfields.dft.settings import PlaneWaveSettings
from cellfields.pipeline.configuration import CrystalTable, ImportedTable, OutputTable, SamplingTable
from cellfields.surrogate.recipe import RECIPES

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")])


@pytest.mark.parametrize(
    "table",
    [CrystalTable, PlaneWaveSettings, SamplingTable, *RECIPES.values(), OutputTable, ImportedTable],
    ids=lambda table: table.__name__,
)
def test_every_key_of_the_study_file_is_described(table: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "study_file.md").read_text(encoding="utf-8")
    assert [key for key in table.model_fields if f"`{key}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:a deformation lies outside")
def test_the_benchmark_page_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = _scoring_examples()
    monkeypatch.chdir(ROOT)
    small = code.replace("500, 1000", "40, 12").replace('name="best"', 'name="best", degree=3, blend=1')
    assert small.count("40, 12") == 1 and small.count("degree=3") == 1
    exec(compile(small, "scoring.md", "exec"), {})
    names = [line.split(" {")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["best", "kernel ridge", "linear"]


def test_the_example_of_an_own_method_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, code = _scoring_examples()
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(compile(code, "scoring.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" {")[0] for line in lines] == ["own", "mean", "linear", "quadratic"]
    own, linear = (names["found"].engines[name].summary for name in ("own", "linear"))
    for quantity in ("free_energy", "position", "density.relative_l2"):
        assert own(quantity)["mean"] < 0.5 * linear(quantity)["mean"]
    assert "stress_gpa" not in names["found"].engines["own"].errors
    state = names["engines"]["own"].solve(names["test"][0].deformation)
    assert state.fields.integral("density") == pytest.approx(8, abs=1e-6)  # two electrons for each of four atoms


def _scoring_examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8"), re.DOTALL)
