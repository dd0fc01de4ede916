"""``stress``, ``uniaxial`` and ``elastic``: the same commands for a study (first principles) and a trained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.mechanics import Stress
from cellfields.pipeline import study
from cellfields.surrogate import Recipe, Surrogate
from tests.cli.conftest import Shell
from tests.mechanics.engines import HEXAGONAL, HyperelasticEngine
from tests.toy import magnesium

D = "1.01,1,0.99,90,91,90"
GPA = 29421.02648438959


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    engine = HyperelasticEngine(magnesium())
    strains = sample_deformations(engine.crystal, 100, seed=0, stretch_sigma=0.02, angle_sigma=1.0)
    surrogate = Surrogate.train(engine.crystal, map(engine.solve, strains), Recipe(name="best", degree=3))
    path = tmp_path_factory.mktemp("model") / "formula.safetensors"
    surrogate.save(path)
    return path


@pytest.fixture
def formula(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> HyperelasticEngine:
    """What answers for study.toml."""
    engine = HyperelasticEngine(magnesium(), cubic=(-0.08, 0.0), quartic=0.9)
    monkeypatch.setattr(study, "make_engine", lambda configuration, crystal: engine)
    return engine


def test_stress_in_every_definition(shell: Shell, formula: HyperelasticEngine) -> None:
    result = shell("stress", shell.config, "--D", D)
    assert result.code == 0
    for title in ("Cauchy", "eq. 14", "first Piola", "second Piola"):
        assert title in result.out
    state = formula.solve(Deformation.from_array([1.01, 1, 0.99, 90, 91, 90]))
    assert f"{GPA * state.stress[0, 0]:.4f}" in result.out
    table = shell("stress", shell.config, "--D", D, "--json", "-").json()
    stress = Stress.of(state, formula.crystal)
    np.testing.assert_allclose(table["first_piola"], stress.first_piola, rtol=1e-12)
    np.testing.assert_allclose(table["small_strain"], stress.small_strain, rtol=1e-12)


def test_a_model_answers_and_says_when_it_extrapolates(shell: Shell, model: Path) -> None:
    inside = shell("stress", model, "--D", D)
    assert inside.code == 0 and inside.err == ""
    outside = shell("stress", model, "--D", "1.3,1,1,90,90,90")
    assert outside.code == 0 and "warning: 1 of 1 answers lie outside" in outside.err


def test_a_uniaxial_test_with_its_instability(shell: Shell, formula: HyperelasticEngine) -> None:
    options = ("--direction", "2", "--largest", "0.06", "--steps", "3", "--instability")
    result = shell("uniaxial", shell.config, *options)
    assert result.code == 0
    assert "-0.0600" in result.out and "uniaxial stress along x2" in result.out
    assert "instability at strain -0.0416 (limit point)" in result.out
    table = shell("uniaxial", shell.config, *options, "--json", "-").json()
    assert table["strain"] == [-0.06, -0.04, -0.02, 0.0, 0.02, 0.04, 0.06]
    assert [end["kind"] for end in table["instabilities"]] == ["limit point"]
    assert shell.files() == ["study.toml"]


def test_a_curve_is_drawn_and_kept(shell: Shell, formula: HyperelasticEngine) -> None:
    options = ("--direction", "1", "--steps", "2", "--largest", "0.02", "--record", shell.folder / "points.jsonl")
    picture = shell.folder / "curve.png"
    assert shell("uniaxial", shell.config, *options, "--plot", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    solves = formula.solves
    assert shell("uniaxial", shell.config, *options).code == 0
    assert formula.solves == solves  # all of it was in the record


def test_a_model_makes_the_same_curve(shell: Shell, model: Path) -> None:
    table = shell("uniaxial", model, "--direction", "3", "--largest", "0.02", "--steps", "1", "--json", "-").json()
    young = 1 / np.linalg.inv(HEXAGONAL)[2, 2]
    assert (table["axial_stress"][2] - table["axial_stress"][0]) / 0.04 == pytest.approx(young, rel=0.03)
    assert "record" in shell("uniaxial", model, "--direction", "3", "--record", shell.folder / "p.jsonl").err


def test_shears_may_be_freed(shell: Shell, formula: HyperelasticEngine) -> None:
    options = ("--direction", "1", "--largest", "0.01", "--steps", "1", "--shears", "--json", "-")
    assert shell("uniaxial", shell.config, *options).json()["components"] == "all"


def test_elastic_constants(shell: Shell, formula: HyperelasticEngine) -> None:
    result = shell("elastic", shell.config)
    assert result.code == 0
    assert "relaxed ions" in result.out and "bulk modulus (Hill)" in result.out
    assert f"{GPA * HEXAGONAL[2, 2]:.2f}" in result.out
    clamped = shell("elastic", shell.config, "--clamped", "--json", "-").json()
    assert clamped["ions"] == "clamped" and clamped["stable"]
    assert clamped["constants"][0][0] > 1.05 * HEXAGONAL[0, 0]
    assert set(clamped) >= {"birch", "bulk_modulus", "symmetrised"}


def test_elastic_constants_of_a_model_at_zero_stress(shell: Shell, model: Path) -> None:
    picture = shell.folder / "young.svg"
    table = shell("elastic", model, "--stress-free", "--json", "-", "--plot", picture).json()
    assert np.abs(table["stress"]).max() < 2e-7
    np.testing.assert_allclose(table["constants"], HEXAGONAL, atol=3e-5)
    assert b"<svg" in picture.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("uniaxial", "study.toml", "--direction", "4"), "direction = 4 must be 1, 2 or 3"),
        (("uniaxial", "study.toml", "--direction", "1", "--largest", "0.5"), "--largest 0.5"),
        (("uniaxial", "study.toml", "--direction", "1", "--steps", "0"), "--steps 0"),
        (("uniaxial", "study.toml", "--direction", "1", "--plot", "curve.txt"), "must end in .png"),
        (("uniaxial", "nowhere.toml", "--direction", "1"), "does not exist"),
        (("elastic", "nowhere.safetensors"), "does not exist"),
        (("elastic", "study.toml", "--json", "nowhere/x.json"), "folder"),
        (("elastic", "study.toml", "--D", "1,1,1"), "six numbers"),
        (("stress", "study.toml", "--D", "1,1,1,90,90,1"), "θc = 1 is outside"),
    ],
)
def test_mistakes_are_one_sentence(
    shell: Shell, formula: HyperelasticEngine, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(shell.folder)
    result = shell(*arguments)
    assert result.code == 2
    assert message in result.err and len(result.err.splitlines()) == 1
    assert formula.solves == 0
    assert shell.files() == ["study.toml"]


def test_clamped_ions_of_a_model_are_refused(shell: Shell, model: Path) -> None:
    result = shell("elastic", model, "--clamped")
    assert result.code == 2 and "relaxed states only" in result.err


def test_a_branch_that_fails_is_a_warning(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fragile(HyperelasticEngine):
        def solve(self, deformation: Deformation, *, start: Any = None) -> Any:
            from cellfields.errors import SCFNotConverged

            if deformation.stretches[0] > 1.015:
                raise SCFNotConverged("no self-consistency")
            return super().solve(deformation, start=start)

    monkeypatch.setattr(study, "make_engine", lambda configuration, crystal: Fragile(magnesium()))
    result = shell("uniaxial", shell.config, "--direction", "1", "--largest", "0.02", "--steps", "2", "--json", "-")
    assert result.code == 0
    assert "the curve ends before strain 0.02" in result.err
    assert json.loads(result.out)["failures"] == {"0.02": "no self-consistency"}


def test_equation_of_state(shell: Shell) -> None:
    """The model that ships: hcp magnesium of the local density approximation, by energies."""
    plot = shell.folder / "eos.png"
    table = shell("eos", "mg", "--largest", "0.02", "--plot", plot, "--json", "-").json()
    assert table["volume_angstrom3"] / 4 == pytest.approx(21.3, abs=0.2)  # experiment 23.2, this functional 8 % less
    assert 36 < table["bulk_modulus_gpa"] < 41  # experiment 35 to 37
    assert abs(table["pressure_by_stress_minus_by_energy_gpa"]) < 0.01 and table["in_domain"] is True
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "Birch–Murnaghan" in shell("eos", "mg", "--largest", "0.02").out
    refused = shell("eos", "mg", "--points", "3")
    assert refused.code == 2 and "points = 3 must be in 5 … 1000" in refused.err
