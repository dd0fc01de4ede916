"""Tables and page: what they say is what the studies found, and what is preliminary or beaten says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.evaluation.accuracy import EngineErrors
from cellfields.reproductions.teh2021 import page, reproduce, tables
from cellfields.reproductions.teh2021.ablation import Ablation, Row
from cellfields.reproductions.teh2021.accuracy import BEST, PAPER, RECIPE_LABELS, Accuracy
from cellfields.reproductions.teh2021.cross_validation import Choice, CrossValidation
from cellfields.reproductions.teh2021.learning_curve import LearningCurve
from cellfields.reproductions.teh2021.page import Results
from cellfields.reproductions.teh2021.protocol import in_turn
from cellfields.reproductions.teh2021.smearing import Smearings
from cellfields.reproductions.teh2021.uncertainty import Coverage, Uncertainties
from cellfields.reproductions.teh2021.workbench import Workbench
from tests.reproductions.teh2021.toy_plan import toy_plan

STATISTICS = {"mean": 0.001, "median": 0.002, "p99": 0.003, "max": 0.004}


@pytest.fixture
def results(toy_accuracy: Accuracy) -> Results:
    side = {"paper's recipe": {"density.nrmse": STATISTICS}, BEST: {"free_energy": STATISTICS}}
    coverage = {"free_energy": Coverage({1: 0.7, 2: 0.95, 3: 1.0}, 0.5, 1e-4, 2e-4)}
    means = {"free_energy": [2e-3, 1e-3]}
    return Results(
        accuracy=toy_accuracy,
        learning=LearningCurve(
            (9, 12), 4, 4, dict.fromkeys(RECIPE_LABELS, means), {n: [1.0, 2.0] for n in RECIPE_LABELS}
        ),
        validation=CrossValidation((Choice("density", (6,), 0.2, 0.01), Choice("density", (5,), 0.1, 0.01)), 12, 3, 5),
        ablation=Ablation((Row(BEST, {"free_energy": 1e-3}, 3.0), Row("2 modes", {"stress_gpa": 0.5}, 1.0)), 12, 4),
        smearings=Smearings(9, 2, {"cold": side}, {"cold": {"free_energy": 1e-3}}),
        uncertainties=Uncertainties(coverage, coverage, 12, 4),
    )


def with_errors(found: Accuracy, engine: str, quantity: str, value: float) -> Accuracy:
    old = found.evaluation.engines[engine]
    errors = {**old.errors, quantity: np.full(4, value)}
    engines = {**found.evaluation.engines, engine: EngineErrors(errors, old.predicted, old.seconds)}
    return replace(found, evaluation=replace(found.evaluation, engines=engines))


def cells(table: tables.Table, first: str) -> list[tuple[str, ...]]:
    found = [row for row in table.rows if row[0].startswith(first)]
    assert found, [row[0] for row in table.rows]
    return found


def test_every_row_is_as_wide_as_its_table(results: Results) -> None:
    made = results.tables()
    assert len(made) == 7
    for table in made:
        assert table.rows and {len(row) for row in table.rows} == {len(table.columns)}, table.title
        lines = table.markdown().splitlines()
        assert len([line for line in lines if line.startswith("|")]) == len(table.rows) + 2


def test_numbers_stand_in_the_units_of_people(results: Results, toy_accuracy: Accuracy) -> None:
    assert tables.shown("free_energy", 1e-3) == "1.00" and tables.shown("density.nrmse", 0.01) == "1.00"
    assert tables.shown("free_energy", None) == "—"
    row = cells(tables.summary(with_errors(toy_accuracy, BEST, "free_energy", 2e-5)), "free energy F, mHa")[0]
    assert row[1] == "0.100" and row[4] == "0.0200" and row[6:] == ("0.0300", "yes")
    row = cells(tables.summary(with_errors(toy_accuracy, BEST, "free_energy", 2e-3)), "free energy F, mHa")[0]
    assert row[6:] == ("0.0300", "no")


def test_the_largest_error_has_an_aim_of_its_own(toy_accuracy: Accuracy) -> None:
    for value, verdict in ((4e-4, "yes"), (6e-4, "no")):
        table = tables.summary(with_errors(toy_accuracy, BEST, "free_energy", value))
        assert cells(table, "largest error in free energy F")[0][-1] == verdict


def test_where_a_regression_beats_a_recipe_the_row_says_so(toy_accuracy: Accuracy) -> None:
    found = toy_accuracy
    for engine, error in (("linear", 1e-9), (BEST, 1e-3), ("mean", 1.0)):
        found = with_errors(found, engine, "free_energy", error)
    rows = {row[1]: row for row in cells(tables.everything(found), "free energy F")}
    assert rows["linear regression"][-1] == f"beats our {PAPER} and our {BEST}"
    assert rows["mean of the training set"][-1] == ""


def test_the_smallest_of_the_architectures_is_marked(results: Results) -> None:
    assert results.validation is not None
    remarks = {row[1]: row[-1] for row in tables.validation(results.validation).rows}
    assert remarks == {"6": "the paper's", "5": "smallest"}


def test_files_hold_what_was_found(results: Results, toy_bench: Workbench, tmp_path: Path) -> None:
    bench = Workbench(toy_bench.plan, tmp_path, solve=False)
    bench.__dict__["training"], bench.__dict__["test"] = toy_bench.training, toy_bench.test
    page.write_tables(bench, results)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]
    numbers = json.loads((tmp_path / "report.json").read_text())
    assert results.accuracy is not None
    mean = results.accuracy.evaluation.engines[BEST].summary("free_energy")["mean"]
    assert numbers["accuracy"]["errors"][BEST]["free_energy"]["mean"] == mean
    assert numbers["ablation"]["rows"][0]["label"] == BEST and "meshes" not in numbers
    page.write_page(bench, results)
    html = (tmp_path / "report.html").read_text()
    markdown = (tmp_path / "report.md").read_text()
    for table in results.tables():
        assert f"## {table.title}\n" in markdown
        assert table.title.split("(")[0].replace("'", "&#x27;") in html
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {f"{n}.png" for n in ("fields", "energies", "errors", "positions", "linear", "learning")}
    assert html.count('<img src="data:image/png;base64,') == len(drawn)


def test_what_is_preliminary_or_beaten_is_said_first(toy_bench: Workbench, toy_accuracy: Accuracy) -> None:
    def lead(found: Accuracy) -> str:
        return " ".join(page.report(toy_bench, Results(accuracy=found))["notes"])

    assert "PRELIMINARY" not in lead(toy_accuracy)
    assert "PRELIMINARY: 12 of 500 training strains" in lead(replace(toy_accuracy, asked=(500, 4)))
    assert "2 test strains lie outside" in lead(replace(toy_accuracy, outside=2))
    beaten = with_errors(with_errors(toy_accuracy, "linear", "free_energy", 1e-9), BEST, "free_energy", 1e-3)
    assert f"beats {BEST} in: free energy F (linear regression)" in lead(beaten)
    differ = lead(replace(toy_accuracy, displacement_difference=2e-3, figure_2={"density": 5e-5}))
    assert "2.0e-03 Bohr" in differ and "density 5.0e-05" in differ


# -- the order of things ------------------------------------------------------------------------------------------


def test_training_and_test_strains_are_solved_in_turn() -> None:
    plan = toy_plan()
    mixed = in_turn(plan.train, plan.test)
    assert len(mixed) == 16 and set(mixed) == {*plan.train, *plan.test}
    for done in (4, 8, 12, 16):  # three of the one for each of the other
        assert sum(strain in plan.test for strain in mixed[:done]) == done // 4
    shorter = replace(plan, train=plan.train[:2])
    assert set(in_turn(shorter.train, shorter.test)) == {*shorter.train, *plan.test}


def test_an_unknown_stage_is_one_sentence(tmp_path: Path) -> None:
    bench = Workbench(toy_plan(), tmp_path)
    with pytest.raises(InputError, match="stage 'accuracies' is unknown; there are labels, accuracy, "):
        reproduce.reproduce(bench, ("labels", "accuracies"))
    assert list(tmp_path.iterdir()) == [] and bench.plan.engine.solved == 0


def test_labels_alone_make_no_report(tmp_path: Path) -> None:
    bench = Workbench(toy_plan(), tmp_path)
    assert reproduce.reproduce(bench, ("labels",)).tables() == []
    assert bench.plan.engine.solved == 16
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_stage_without_labels_is_said_and_left_out(toy_bench: Workbench, tmp_path: Path) -> None:
    bench = Workbench(toy_bench.plan, tmp_path, solve=False)
    bench.__dict__["training"], bench.__dict__["test"] = toy_bench.training, toy_bench.test
    said: list[str] = []
    results = reproduce.reproduce(bench, ("converged", "smearing"), said.append)
    assert results.tables() == []
    assert said[0] == "12 of 12 training strains and 4 of 4 test strains are solved"
    assert said[1:] == ["converged: too few labels, left out", "smearing: too few labels, left out"]
    assert json.loads((tmp_path / "report.json").read_text())["study"].startswith("Teh")
