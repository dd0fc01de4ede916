"""The steps of a study as scripts take them: each once, each going on from what is there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cellfields.engines.identity import EngineIdentity
from cellfields.errors import InputError
from cellfields.pipeline.pipeline import Pipeline
from cellfields.pipeline.study import Study
from cellfields.storage import sealed
from tests.toy import ToyEngine, magnesium

TOML = """\
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
name = "best"
degree = 2
modes = 6
members = 0
"""


class Toy(ToyEngine):
    """A formula in place of first principles, which a dataset can be made with."""

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity({"engine": "toy"})


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.tasks: set[str] = set()
        self.sentences: list[str] = []

    def update(self, task: str, done: int, total: int, remark: str = "") -> None:
        self.tasks.add(task)

    def note(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def warn(self, sentence: str) -> None:
        self.sentences.append(f"warning: {sentence}")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr("cellfields.pipeline.study.make_engine", lambda *_: Toy(magnesium(), field_cutoff=2.0))
    file = tmp_path / "study.toml"
    file.write_text(TOML)
    return Study.load(file)


def test_each_step_goes_on_from_what_is_there(study: Study) -> None:
    first = Listener()
    pipeline = Pipeline(study, first)
    with pytest.raises(InputError, match="there is no dataset"):
        pipeline.train()
    labelled = pipeline.label(workers=1, check=False)
    assert (labelled.solved_now, labelled.training, labelled.test) == (29, (24, 24), (5, 5))
    with pytest.raises(InputError, match="there is no model"):
        pipeline.evaluate()
    surrogate = pipeline.train()
    judged = pipeline.evaluate(surrogate)
    assert judged.evaluation.deformations.shape == (5, 6)
    assert judged.verdict["level"] in ("good", "caution", "bad")
    assert "solving" in first.tasks and "evaluating on 5 unseen strains" in first.sentences
    assert study.configuration.report_path.is_file()

    second = Listener()
    again = Pipeline(study, second)
    assert again.label(workers=1, check=False).solved_now == 0
    assert again.train().metadata == surrogate.metadata
    assert again.evaluate().numbers == judged.numbers
    assert {"the model is up to date", "the evaluation is up to date"} <= set(second.sentences)
    assert again.evaluate(again=True).numbers["verdict"] == judged.numbers["verdict"]


def test_a_damaged_evaluation_is_made_again(study: Study) -> None:
    pipeline = Pipeline(study)
    pipeline.label(workers=1, check=False)
    pipeline.evaluate(pipeline.train())
    path = study.configuration.evaluation_path
    whole = path.read_text()
    path.write_text(whole[:200])
    pipeline.evaluate()
    assert path.read_text().count("depends_on") == 1


def test_files_are_hashed_once_where_there_is_nothing_to_do(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline(study)
    pipeline.label(workers=1, check=False)
    pipeline.evaluate(pipeline.train())
    hashed: Counter[int] = Counter()
    holds = sealed.holds

    def counting(data: bytes) -> bool:
        hashed[hash(data)] += 1
        return holds(data)

    monkeypatch.setattr(sealed, "holds", counting)
    again = Pipeline(study)
    again.label(workers=1, check=False)
    again.train()
    again.evaluate()
    assert len(hashed) == 29 and set(hashed.values()) == {1}
