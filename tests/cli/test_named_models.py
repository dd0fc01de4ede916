"""A model's name wherever a model's path may stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellfields import models
from cellfields.crystal.deformation import sample_deformations
from cellfields.surrogate import Recipe, Surrogate
from tests.toy import ToyEngine, magnesium

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

D = "1.001,1,0.999,90,90.1,90"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    engine = ToyEngine(magnesium(), field_cutoff=1.0)
    states = map(engine.solve, sample_deformations(engine.crystal, 20, seed=1, stretch_sigma=0.02, angle_sigma=1.0))
    Surrogate.train(engine.crystal, states, Recipe(name="best", degree=2, modes=4)).save(folder / "toy.safetensors")
    (folder / "toy.md").write_text("# toy\n\nwords of the card\n")
    return folder


@pytest.fixture
def named(shell: Shell, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(models, "_FOLDER", shelf)
    monkeypatch.chdir(shell.folder)
    return shell


def test_a_name_answers_as_its_file_does(named: Shell, shelf: Path) -> None:
    for command in (("predict", "--D", D), ("stress", "--D", D), ("elastic",)):
        by_name = named(command[0], "toy", *command[1:], "--json", "-")
        by_path = named(command[0], shelf / "toy.safetensors", *command[1:], "--json", "-")
        assert by_name.code == 0, by_name.err
        assert by_name.out == by_path.out


def test_info_shows_the_card(named: Shell) -> None:
    result = named("info", "toy")
    assert result.code == 0 and result.out.endswith("# toy\n\nwords of the card\n")
    assert "n_train" in result.out
    assert named("info", "toy", "--json", "-").json()["card"].startswith("# toy")


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "tyo", "--D", D),
        ("stress", "tyo", "--D", D),
        ("uniaxial", "tyo", "--direction", "1"),
        ("elastic", "tyo"),
        ("info", "tyo"),
    ],
)
def test_an_unknown_name_lists_those_there_are(named: Shell, arguments: tuple[str, ...]) -> None:
    result = named(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: model 'tyo' is neither a file nor the name of a model that ships here (toy)\n"
    assert named.files() == ["study.toml"]
