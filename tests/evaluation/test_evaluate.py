"""Errors on unseen strains, against numbers computed in another way."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.units import Bohr, GPa, Hartree

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import QUANTITIES, Evaluation
from cellfields.evaluation.baselines import BaselineEngine
from cellfields.evaluation.evaluate import evaluate
from cellfields.evaluation.metrics import PAPER_GRID, field_nrmse
from cellfields.evaluation.report import ReportInput, render_report
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES, ElectronicFields
from tests.toy import ToyEngine, magnesium


class Wrong:
    """The truth with known errors: F off by +2 mHa, atoms by 0.01 of a cell along c, density by 1 %, σ_xy by 1e-5."""

    def __init__(self, engine: ToyEngine) -> None:
        self.engine, self.crystal = engine, engine.crystal

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        state = self.engine.solve(deformation)
        assert state.fields is not None and state.stress is not None
        coefficients = dict(state.fields.coefficients)
        coefficients["density"] = 1.01 * coefficients["density"]
        internal = state.internal + np.array([0, 0, 0.01])
        shear = np.zeros((3, 3))
        shear[0, 1] = shear[1, 0] = 1e-5
        return replace(
            state,
            free_energy=state.free_energy + 2e-3,
            internal=internal,
            positions=self.crystal.positions(internal),
            stress=state.stress + shear,
            fields=ElectronicFields(state.fields.basis, coefficients, state.fields.volume),
        )


@pytest.fixture(scope="module")
def truth() -> tuple[ToyEngine, list[CellState]]:
    engine = ToyEngine(magnesium(), field_cutoff=3.0)
    strains = sample_deformations(engine.crystal, 7, seed=2, stretch_sigma=0.02, angle_sigma=1.0)
    return engine, [engine.solve(strain) for strain in strains]


def test_known_errors_are_found(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    result = evaluate({"exact": engine, "wrong": Wrong(engine)}, states, grid=PAPER_GRID)
    exact, wrong = result.engines["exact"], result.engines["wrong"]
    assert set(result.spread) <= set(QUANTITIES)
    assert all(exact.errors[name].max() == 0 for name in result.spread)
    np.testing.assert_allclose(wrong.errors["free_energy"], 2e-3, rtol=1e-9)
    np.testing.assert_allclose(wrong.errors["band_energy"], 0)
    np.testing.assert_allclose(
        wrong.errors["position"], [0.01 * np.linalg.norm(state.lattice[2]) for state in states], rtol=1e-9
    )
    np.testing.assert_allclose(wrong.errors["density.relative_l2"], 0.01, rtol=1e-9)
    np.testing.assert_allclose(wrong.errors["stress_gpa"], 1e-5 * Hartree / Bohr**3 / GPa / np.sqrt(6), rtol=1e-9)
    assert wrong.errors["coulomb_potential.nrmse"].max() == 0
    np.testing.assert_allclose(wrong.predicted["free_energy"], result.truth["free_energy"] + 2e-3)
    summary = wrong.summary("position")
    assert summary["median"] <= summary["p99"] <= summary["max"] == wrong.errors["position"].max()


def test_nrmse_is_equation_12_on_the_grid(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    result = evaluate({"wrong": Wrong(engine)}, states, grid=PAPER_GRID)
    for i, state in enumerate(states):
        guess = Wrong(engine).solve(state.deformation)
        assert guess.fields is not None and state.fields is not None
        expected = field_nrmse(guess.fields, state.fields, "density", shape=PAPER_GRID)
        assert result.engines["wrong"].errors["density.nrmse"][i] == pytest.approx(expected, rel=1e-10)


def test_spread_is_that_of_the_quantity(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    result = evaluate({"wrong": Wrong(engine)}, states)
    energies = np.array([state.free_energy for state in states])
    assert result.spread["free_energy"].standard_deviation == pytest.approx(energies.std())
    assert result.spread["free_energy"].range == pytest.approx(energies.max() - energies.min())
    moved = [np.linalg.norm(state.internal @ state.lattice) for state in states]
    np.testing.assert_allclose(result.displacement, moved)
    assert result.spread["position"].range == pytest.approx(max(moved))
    vectors = np.array([state.fields.vector("density") for state in states if state.fields is not None])
    away = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1) / np.linalg.norm(vectors, axis=1)
    assert result.spread["density.relative_l2"].standard_deviation == pytest.approx(np.sqrt(np.mean(away**2)))
    assert result.spread["density.relative_l2"].range == pytest.approx(away.max())
    stress = np.array([state.stress[0, 0] for state in states if state.stress is not None])
    in_gpa = Hartree / Bohr**3 / GPa
    assert result.spread["stress_gpa"].standard_deviation == pytest.approx(stress.std() * in_gpa / np.sqrt(2))
    assert result.spread["stress_gpa"].range == pytest.approx(np.ptp(stress) * in_gpa)


def test_the_default_grid_changes_only_the_range(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    fine = evaluate({"wrong": Wrong(engine)}, states, grid=(72, 128, 120)).engines["wrong"]
    default = evaluate({"wrong": Wrong(engine)}, states).engines["wrong"]
    np.testing.assert_allclose(default.errors["density.nrmse"], fine.errors["density.nrmse"], rtol=0.01)
    np.testing.assert_array_equal(default.errors["density.relative_l2"], fine.errors["density.relative_l2"])


def test_typical_is_the_median_strain(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    result = evaluate({"wrong": Wrong(engine)}, states)
    errors = result.engines["wrong"].errors["density.nrmse"]
    assert errors[result.typical("wrong")] == np.median(errors)


def test_the_result_is_json(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    result = evaluate({"exact": engine, "wrong": Wrong(engine)}, states)
    table = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert table["test_strains"] == 7
    assert table["errors"]["wrong"]["free_energy"]["mean"] == pytest.approx(2e-3)
    assert (
        table["strains"]["engines"]["wrong"]["errors"]["position"]
        == result.engines["wrong"].errors["position"].tolist()
    )
    again = Evaluation.from_dict(table)
    assert again.to_dict() == result.to_dict()
    assert again.spread == result.spread and again.typical("wrong") == result.typical("wrong")
    assert table["seconds_per_solve"]["exact"] > 0


def test_what_is_not_known_is_not_judged(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    bare = [replace(s, fields=None, stress=None, entropic_energy=None) for s in states]
    result = evaluate({"exact": engine}, bare)
    assert set(result.spread) == {"free_energy", "band_energy", "position"}
    insulators = []
    for state in states:
        assert state.fields is not None
        table = dict(state.fields.coefficients)
        table["entropy_density"] = np.zeros_like(table["entropy_density"])
        insulators.append(replace(state, fields=ElectronicFields(state.fields.basis, table, state.volume)))
    result = evaluate({"exact": engine}, insulators)
    assert "entropy_density.nrmse" not in result.spread
    assert all(f"{name}.nrmse" in result.spread for name in FIELD_NAMES[:3])


def test_engines_are_judged_by_what_they_know(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    strains = sample_deformations(engine.crystal, 30, seed=3, stretch_sigma=0.02, angle_sigma=1.0)
    density_only, numbers_only = [], []
    for state in map(engine.solve, strains):
        assert state.fields is not None
        fields = replace(state.fields, coefficients={"density": state.fields.coefficients["density"]})
        nowhere = {"internal": np.full(3, np.nan), "positions": np.full((4, 3), np.nan), "free_energy": np.nan}
        unknown = frozenset({"internal", "free_energy"})
        energies = {"band_energy": None, "entropic_energy": None, "stress": None}
        density_only.append(replace(state, fields=fields, unknown=unknown, **nowhere, **energies))
        numbers_only.append(replace(state, fields=None, **energies))
    engines = {
        "surrogate": BaselineEngine.train(engine.crystal, density_only, name="quadratic"),
        "linear": BaselineEngine.train(engine.crystal, numbers_only, name="linear"),
    }
    result = evaluate(engines, states)
    assert set(result.engines["surrogate"].errors) == {"density.relative_l2", "density.nrmse"}
    assert set(result.engines["linear"].errors) == {"free_energy", "position"}
    assert not result.engines["surrogate"].predicted
    assert result.typical("surrogate") in range(7)
    json.dumps(result.to_dict(), allow_nan=False)
    specimen = states[0]
    for name, other in (("surrogate", 2), ("linear", 2)):  # density: slice and error; numbers: parity and positions
        only = replace(result, engines={"surrogate": result.engines[name]})
        page = ReportInput(
            crystal=engine.crystal,
            evaluation=only,
            specimen=specimen,
            predicted=engines[name].solve(specimen.deformation),
            settings={},
            training_states=30,
            asked_for=(30, 7),
            unknown=("free_energy",),
        )
        html = render_report(page)
        assert "not known to the surrogate" in html
        assert html.count("data:image/png") >= other
    with pytest.raises(InputError, match="nothing that both"):
        evaluate({"linear": engines["linear"]}, density_only[:3]).typical("linear")


def test_test_states_may_lack_things_too(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    nowhere = {"internal": np.full(3, np.nan), "positions": np.full((4, 3), np.nan)}
    poorer = [replace(states[0], unknown=frozenset({"internal"}), **nowhere), *states[1:]]
    result = evaluate({"exact": engine}, poorer)
    assert "position" not in result.spread and "position" not in result.engines["exact"].errors
    assert "free_energy" in result.spread


def test_a_crystal_without_internal_coordinates() -> None:
    engine = ToyEngine(Crystal.from_atoms(bulk("Al")), field_cutoff=3.0)
    states = [engine.solve(strain) for strain in sample_deformations(engine.crystal, 3, seed=1, stretch_sigma=0.02)]
    result = evaluate({"exact": engine}, states)
    assert "position" not in result.spread
    assert result.spread["density.nrmse"].range > 0


def test_refusals(truth: tuple[ToyEngine, list[CellState]]) -> None:
    engine, states = truth
    with pytest.raises(InputError, match="at least 2 test states, got 1"):
        evaluate({"exact": engine}, states[:1])
    with pytest.raises(InputError, match="at least one engine"):
        evaluate({}, states)
    with pytest.raises(InputError, match="same crystal"):
        evaluate({"exact": engine, "other": ToyEngine(Crystal.from_atoms(bulk("Al")))}, states)
