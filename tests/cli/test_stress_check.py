"""The commands with an engine whose stress is not the derivative of its energy."""

from __future__ import annotations

import json

import pytest

from cellfields.dft.pseudopotential import builtin_pseudopotential
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.identity import EngineIdentity
from cellfields.pipeline import study
from tests.cli.conftest import NETWORKS, Shell
from tests.mechanics.test_stress_consistency import TruncatedEngine
from tests.toy import magnesium

D = "1.01,1,0.99,90,91,90"
WRONG = "the stress is not the derivative of the energy"


class Labelled(TruncatedEngine):
    """With an identity, so that it can fill a dataset."""

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity({"engine": "truncated", "cutoff": self.settings.cutoff})


@pytest.fixture
def engine(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Labelled:
    made = Labelled(magnesium(), cutoff=10.0, amplitude=0.08)
    monkeypatch.setattr(study, "make_engine", lambda configuration, crystal: made)
    return made


def test_solve_and_stress_say_how_wrong_the_stress_is(shell: Shell, engine: Labelled) -> None:
    for command in ("solve", "stress"):
        shown = shell(command, shell.config, "--D", D)
        assert shown.code == 0 and WRONG in shown.err and "Pulay stress, estimated" in shown.out
        table = shell(command, shell.config, "--D", D, "--json", "-").json()["stress_consistency"]
        assert table["checked"] is True and table["consistent"] is False
        assert table["pulay_pressure_gpa"] == pytest.approx(engine.pressure(500.0) * 29421, rel=0.5)


def test_without_the_check_one_solve_is_all(shell: Shell, engine: Labelled) -> None:
    result = shell("solve", shell.config, "--D", D, "--no-check", "--json", "-")
    assert engine.solves == 1 and engine.made == []
    assert result.json()["stress_consistency"] == {"checked": False, "reason": "--no-check"}
    assert WRONG not in result.err


def test_nothing_is_called_stable_by_a_wrong_stress(shell: Shell, engine: Labelled) -> None:
    shown = shell("elastic", shell.config)
    assert shown.code == 0 and WRONG in shown.err
    assert "not known: the stress is wrong" in shown.out
    table = shell("elastic", shell.config, "--json", "-").json()
    assert table["stable"] is None and table["stress_consistency"]["consistent"] is False
    engine.amplitude = 0.0  # enough plane waves
    right = shell("elastic", shell.config, "--json", "-").json()
    assert right["stable"] is True and right["stress_consistency"]["consistent"] is True


def test_uniaxial_says_it_too(shell: Shell, engine: Labelled) -> None:
    options = ("--direction", "1", "--steps", "1", "--largest", "0.01", "--json", "-")
    result = shell("uniaxial", shell.config, *options)
    assert WRONG in result.err and result.json()["stress_consistency"]["consistent"] is False


def test_a_campaign_compares_once_and_a_run_does_not_judge(shell: Shell, engine: Labelled) -> None:
    shell.edit(NETWORKS, 'name = "best"\ndegree = 3\n')
    assert WRONG in shell("label", shell.config, "--workers", "1").err
    kept = shell.folder.joinpath(next(f for f in shell.files() if f.endswith("stress_check.json")))
    found = json.loads(kept.read_text())
    solves = engine.solves
    result = shell("run", shell.config, "--workers", "1")
    assert result.code == 0 and engine.solves == solves
    assert WRONG in result.err and "not judged" in result.out
    assert "The stress of these states is not judged" in result.out
    numbers = json.loads(next(shell.folder.rglob("evaluation.json")).read_text())
    assert "stress_gpa" not in numbers["errors"]["surrogate"]
    agreement = numbers["stress_consistency"]
    assert agreement["judged"] is False and agreement["check"]["pulay_pressure_gpa"] == found["pulay_pressure_gpa"]
    assert agreement["slopes"].startswith("left out: the stress of the training states is not the derivative")
    assert agreement["training"]["offset"] == pytest.approx(found["pulay_pressure_gpa"], rel=0.3)
    html = next(shell.folder.rglob("report.html")).read_text()
    assert "is not judged" in html and "left out: the stress of the training states" in html


def test_a_cutoff_far_too_low_is_told_before_anything_is_solved(shell: Shell, engine: Labelled) -> None:
    engine.pseudopotentials = {"Mg": builtin_pseudopotential("Mg", valence=10)}  # type: ignore[attr-defined]
    engine.reduced = False  # type: ignore[attr-defined]
    engine.settings = PlaneWaveSettings(cutoff=10, kmesh=(1, 1, 1))  # type: ignore[assignment]
    assert "cutoff = 10 Ha is far below" in shell("solve", shell.config, "--D", D).err
    assert "pseudopotential of Mg" in shell("label", shell.config, "--workers", "1").err
