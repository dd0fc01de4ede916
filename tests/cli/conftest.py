"""The command line with a toy engine in place of the plane-wave one: the whole chain in seconds."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cellfields.cli import main
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import PhysicsWarning, SCFNotConverged
from cellfields.pipeline import study
from cellfields.state import CellState
from tests.toy import ToyEngine

STUDY = """\
[crystal]
lengths = [5.89, 10.201779256580686, 9.56]
angles = [90, 90, 90]
species = ["Mg", "Mg", "Mg", "Mg"]
positions = [[0, 0, 0], [0.5, 0.5, 0], [0, 0.6666666666666667, 0.5], [0.5, 0.16666666666666667, 0.5]]

[engine]
cutoff = 2
kmesh = [1, 1, 1]
smearing = "cold"

[sampling]
train = 24
test = 5
seed = 4
stretch_sigma = 0.02
angle_sigma = 1.0

[surrogate]
modes = 6
"""
NETWORKS = """\
name = "taylor"
field_widths = [8]
small_widths = [8]
epochs = 30
"""


class CountingToy(ToyEngine):
    """The toy engine, with settings, a count of its solves, and strains that it cannot solve."""

    def __init__(self, crystal: Crystal, cutoff: float) -> None:
        super().__init__(crystal, field_cutoff=cutoff)
        self.cutoff = cutoff
        self.solved = 0
        self.refuses: Callable[[Deformation], bool] = lambda deformation: False

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity({"engine": "toy", "cutoff": self.cutoff})

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        if self.refuses(deformation):
            raise SCFNotConverged("no self-consistency after 3 steps", [{"step": 1.0}, {"step": 2.0, "residual": 0.25}])
        self.solved += 1
        return super().solve(deformation, start=start)


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in a folder that holds a study file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], engines: list[CountingToy]) -> None:
        self.folder, self.config, self.engines, self._capsys = folder, folder / "study.toml", engines, capsys
        self.refuses: Callable[[Deformation], bool] = lambda deformation: False
        self.config.write_text(STUDY + NETWORKS)

    def __call__(self, *arguments: str | Path) -> Result:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stop, warnings.catch_warnings():
            warnings.simplefilter("always", PhysicsWarning)  # printed, as outside of tests
            main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        code = stop.value.code
        return Result(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def solves(self) -> int:
        return sum(engine.solved for engine in self.engines)

    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file())


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    engines: list[CountingToy] = []

    def make_engine(configuration: Any, crystal: Crystal) -> CountingToy:
        engine = CountingToy(crystal, configuration.engine.cutoff)
        engine.refuses = runner.refuses
        engines.append(engine)
        return engine

    runner = Shell(tmp_path, capsys, engines)
    monkeypatch.setattr(study, "make_engine", make_engine)
    return runner
