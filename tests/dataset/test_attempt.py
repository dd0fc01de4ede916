"""A sample that does not converge is tried in other ways, three at most; what was tried is on record."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, LabelEvent, label
from cellfields.dataset._attempt import attempt
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.contract import Remedy
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import CellFieldsError, SCFNotConverged
from cellfields.state import CellState
from tests.dataset.engines import TABLE, FragileEngine, StubbornEngine, strains
from tests.toy import ToyEngine, magnesium


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore.create_or_open(tmp_path / "set", magnesium(), TABLE)


class WorthIt(CellFieldsError):
    """Not a failure to converge, but it says that another attempt makes sense."""

    retry = True


@pytest.mark.parametrize(
    ("cured_by", "start", "asked"),
    [
        (None, "a start", [(None, "a start")]),
        ("cold start", "a start", [(None, "a start"), (None, None)]),
        ("smaller mixing", None, [(None, None), ("smaller mixing", None)]),
        ("full basis", "a start", [(None, "a start"), (None, None), ("smaller mixing", None), ("full basis", None)]),
    ],
)
@pytest.mark.parametrize("error", [SCFNotConverged, WorthIt])
def test_remedies_are_tried_in_order_until_one_helps(
    cured_by: str | None, start: str | None, asked: list[Any], error: type[Exception]
) -> None:
    engine = StubbornEngine(magnesium(), cured_by, error=error)
    outcome = attempt(engine, strains(1)[0], start, None)
    assert engine.asked == asked
    assert outcome.failure is None and outcome.remedy == cured_by
    assert outcome.state is not None
    assert outcome.state.provenance.get("remedy") == cured_by
    assert outcome.state.provenance["wall_seconds"] > 0 and outcome.state.provenance["cpu_seconds"] > 0


def test_three_remedies_at_most_and_all_on_record(store: DatasetStore) -> None:
    deformation = strains(1)[0]
    engine = StubbornEngine(magnesium(), "never", offers=("a", "b", "c", "d"))
    outcome = attempt(engine, deformation, "a start", store.write)
    assert engine.asked == [(None, "a start"), (None, None), ("a", None), ("b", None)]
    assert outcome.state is None and outcome.failure is not None
    assert [entry.remedy for entry in outcome.failure.attempts] == [None, "cold start", "a", "b"]
    assert {entry.error for entry in outcome.failure.attempts} == {"SCFNotConverged"}
    assert outcome.failure.message == "no luck with b"
    assert outcome.failure.reason == "no luck with b (tried too: cold start, a, b)"
    store.record_failure(deformation, outcome.failure)
    assert DatasetStore.open(store.directory).failures() == [outcome.failure]


def test_a_defect_and_a_wrong_input_get_no_remedy() -> None:
    for error in (ZeroDivisionError, CellFieldsError, SystemExit):
        engine = StubbornEngine(magnesium(), "smaller mixing", error=error)  # type: ignore[arg-type]
        outcome = attempt(engine, strains(1)[0], "a start", None)
        assert engine.asked == [(None, "a start")]
        assert outcome.failure is not None and outcome.failure.error == error.__name__


def test_a_defect_in_the_remedies_is_a_failure_like_any_other() -> None:
    class Defective(StubbornEngine):
        def remedies(self) -> list[Remedy]:
            raise ZeroDivisionError("a defect")

    outcome = attempt(Defective(magnesium(), "never"), strains(1)[0], None, None)
    assert outcome.failure is not None and outcome.failure.unexpected
    assert [entry.error for entry in outcome.failure.attempts] == ["SCFNotConverged"]


def test_the_campaign_tells_which_remedies_were_needed(store: DatasetStore) -> None:
    events: list[LabelEvent] = []
    engine = StubbornEngine(magnesium(), "full basis")
    summary = label(store, engine, strains(3), on_event=events.append)
    assert (summary.solved, summary.failed, summary.remedies) == (3, 0, {"full basis": 3})
    assert [event.remedy for event in events] == ["full basis"] * 3
    assert {state.provenance["remedy"] for state in store.states()} == {"full basis"}


def test_what_failed_with_every_remedy_stays_in_quarantine_and_is_listed(store: DatasetStore) -> None:
    events: list[LabelEvent] = []
    with ThreadPoolExecutor(2) as executor:
        label(store, StubbornEngine(magnesium(), "never"), strains(2), executor=executor)
    cured = StubbornEngine(magnesium(), None)
    summary = label(store, cured, strains(3), retry_failed=False, on_event=events.append)
    assert (summary.solved, summary.skipped, summary.failed) == (1, 2, 0)
    assert {failure.deformation for failure in summary.quarantined} == set(strains(2))
    assert [event.failure is not None for event in events] == [True, True, False]
    again = label(store, cured, strains(3))
    assert (again.solved, again.skipped, again.quarantined) == (2, 1, ())
    assert store.failures() == []


def test_records_of_before_the_remedies_are_read(store: DatasetStore) -> None:
    deformation = strains(1)[0]
    store.record_failure(deformation, SCFNotConverged("no luck", [{"residual": 1.0}]))
    (path,) = (store.directory / "failures").iterdir()
    table = json.loads(path.read_text())
    del table["attempts"]
    path.write_text(json.dumps(table))
    (failure,) = store.failures()
    assert failure.attempts == () and failure.reason == "no luck"
    assert store.failure(deformation) == failure
    path.write_text(json.dumps({**table, "attempts": [{"remedy": 3, "error": "", "message": ""}]}))
    assert store.failure(deformation) is None  # damaged counts as none: it is tried again


def test_cpu_time_is_that_of_the_solve_also_beside_others(store: DatasetStore) -> None:
    """Two threads of one process: the CPU time of the process would count each solve twice."""

    class Busy(ToyEngine):
        def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
            begin = time.thread_time()
            while time.thread_time() - begin < 0.1:
                pass
            return super().solve(deformation)

    with ThreadPoolExecutor(2) as executor:
        label(store, Busy(magnesium()), strains(4), executor=executor)
    seconds = [state.provenance["cpu_seconds"] for state in store.states()]
    assert len(seconds) == 4 and all(0.1 <= value < 0.18 for value in seconds)


# -- the real engine ----------------------------------------------------------------------------------------------

STRAIN = Deformation(stretches=(1.01, 0.99, 1.0), angles=(90, 91, 90))


def aluminium(**settings: Any) -> PlaneWaveEngine:
    crystal = Crystal.from_lengths_and_angles(
        [7.6] * 3, [90] * 3, ["Al"] * 4, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    )
    return PlaneWaveEngine(crystal, PlaneWaveSettings(cutoff=6, kmesh=(2, 2, 2), **{"smearing": "cold", **settings}))


@pytest.mark.parametrize(("patience", "remedy"), [(4, "smaller mixing"), (3, "full basis")])
def test_remedies_of_the_plane_wave_engine_lead_to_the_same_state(patience: int, remedy: str) -> None:
    """Full plane waves take the union of spheres: with one sphere a k point, F would be 1e-2 Ha higher."""
    wanted = aluminium(basis="reduced").solve(STRAIN)
    # Six steps of full plane waves leave a density residual that is 1.1 times what the default tolerance asks.
    impatient = aluminium(basis="reduced", max_scf_steps=patience, scf_tolerance=3e-10)
    with pytest.raises(SCFNotConverged):
        impatient.solve(STRAIN)
    outcome = attempt(impatient, STRAIN, None, None)
    assert outcome.state is not None and outcome.remedy == outcome.state.provenance["remedy"] == remedy
    assert outcome.state.free_energy == pytest.approx(wanted.free_energy, abs=2e-7)
    assert outcome.state.provenance["basis"] == remedy.removesuffix(" basis").replace("smaller mixing", "reduced")


def test_which_remedies_the_plane_wave_engine_offers() -> None:
    assert [remedy.name for remedy in aluminium(basis="full").remedies()] == ["smaller mixing"]
    slower, full = aluminium(basis="reduced", mixing=0.6, max_scf_steps=7).remedies()
    assert isinstance(slower.engine, PlaneWaveEngine) and isinstance(full.engine, PlaneWaveEngine)
    assert (slower.engine.settings.mixing, slower.engine.settings.max_scf_steps) == (pytest.approx(0.2), 14)
    assert (full.engine.settings.basis, full.engine.settings.plane_waves) == ("full", "union")


def test_a_sealed_plane_wave_state_says_everything_about_its_making(tmp_path: Path) -> None:
    engine = aluminium()
    store = DatasetStore.create_or_open(tmp_path / "set", engine.crystal, engine.identity)
    with ThreadPoolExecutor(1) as executor:
        label(store, engine, [STRAIN], executor=executor)
    (path,) = (store.directory / "states").iterdir()
    data = path.read_bytes()
    header = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["header"])
    assert header["record"] == {
        "input": store.key(STRAIN),
        "crystal": engine.crystal.fingerprint,
        "engine": store.info().engine_hash,
        "pseudopotential.Al": engine.pseudopotentials["Al"].fingerprint,
        "version": store.info().version,
    }
    made = header["provenance"]
    assert made["scf_residual"] < 1e-10 and made["max_force"] < 5e-7
    assert made["scf_steps"] > 1 and made["solves"] == 1
    assert made["wall_seconds"] > 0 and made["cpu_seconds"] > 0
    assert all(isinstance(value, int | float | str) for value in made.values())


def test_failures_by_a_fragile_engine_keep_the_history_of_the_last_attempt(store: DatasetStore) -> None:
    deformation = strains(1)[0]
    label(store, FragileEngine(magnesium(), {deformation: "diverge"}), [deformation], starter=lambda d: "a start")
    (failure,) = store.failures()
    assert [entry.remedy for entry in failure.attempts] == [None, "cold start"]
    assert failure.history[0]["residual"] == 0.5
