"""A study from its file: strains, and the dataset that is or is not there yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellfields.dataset import label
from cellfields.engines.abinit import AbinitEngine
from cellfields.engines.identity import EngineIdentity
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError, SCFNotConverged, SettingsMismatchError
from cellfields.pipeline.study import Study
from tests.toy import ToyEngine

TOML = """\
[crystal]
lengths = [7.6, 7.6, 7.6]
angles = [90, 90, 90]
species = ["Al", "Al", "Al", "Al"]
positions = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]

[engine]
cutoff = 5
kmesh = [2, 2, 2]
smearing = "cold"

[sampling]
train = 8
test = 2
"""


class Stand(ToyEngine):
    """Has the settings of another engine, and none of its costs."""

    def __init__(self, engine: PlaneWaveEngine) -> None:
        super().__init__(engine.crystal)
        self.engine = engine

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(self.engine.identity.table)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "study.toml"
    file.write_text(TOML)
    return file


def test_loading_makes_everything_and_writes_nothing(path: Path) -> None:
    study = Study.load(str(path))
    assert isinstance(study.engine, PlaneWaveEngine) and study.engine.settings.cutoff == 5
    assert (len(study.train), len(study.test)) == (8, 2)
    assert study.strains == [*study.train, *study.test]
    assert study.find_store() is None
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match="run `cellfields label` first"):
        study.open_store()


def test_a_table_abinit_asks_for_the_other_engine(path: Path) -> None:
    path.write_text(TOML + '\n[abinit]\ncommand = "no-such-abinit"\n')  # not looked for before the first run
    engine = Study.load(path).engine
    assert isinstance(engine, AbinitEngine) and engine.options.command == "no-such-abinit"
    assert engine.settings.cutoff == 5


def test_a_dataset_is_found_again_and_one_of_other_settings_is_refused(path: Path) -> None:
    study = Study.load(path)
    store = study.create_store()
    assert isinstance(study.engine, PlaneWaveEngine)
    label(store, Stand(study.engine), study.strains[1:])
    store.record_failure(study.strains[0], SCFNotConverged("no luck"))
    found = Study.load(path).find_store()
    assert found is not None and found.info().solved == 9
    assert [failure.deformation for failure in study.failures(found)] == [study.strains[0]]
    path.write_text(TOML.replace("cutoff = 5", "cutoff = 6"))
    with pytest.raises(SettingsMismatchError, match=r"cutoff was 5.0, now 6.0"):
        Study.load(path).find_store()
