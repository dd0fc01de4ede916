"""The directory: what is written is found again, by anyone, and nothing foreign is taken for it."""

from __future__ import annotations

import json
import os
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, StoreError
from cellfields.dataset._codec import basis_hash
from cellfields.errors import CorruptFileError, InputError, SCFNotConverged, SettingsMismatchError
from cellfields.state import CellState
from tests.dataset.engines import TABLE, strains
from tests.toy import ToyEngine, magnesium


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore.create_or_open(tmp_path / "set", magnesium(), TABLE)


def solve(deformation: Deformation) -> CellState:
    return ToyEngine(magnesium(), 2.0).solve(deformation)


def snapshot(directory: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_what_is_written_is_read_again_by_a_store_that_knows_only_the_directory(store: DatasetStore) -> None:
    written = [solve(deformation) for deformation in strains(3)]
    for state in written:
        assert not store.has(state.deformation)
        store.write(state)
        assert store.has(state.deformation)
    other = DatasetStore.open(store.directory)
    assert other.crystal == magnesium() and other.identity.table == TABLE
    for state in written:
        back = other.read(state.deformation)
        assert back.free_energy == state.free_energy and back.deformation == state.deformation
        assert state.fields is not None and back.fields is not None
        assert np.array_equal(back.fields.coefficients["density"], state.fields.coefficients["density"])
    assert {state.deformation for state in other.states()} == set(strains(3))
    assert [state.free_energy for state in other.states()] == [state.free_energy for state in store.states()]
    assert len(list((store.directory / "bases").iterdir())) == 1  # shared by all states
    assert other.missing(strains(5) + strains(1)) == strains(5)[3:]


def test_keys_follow_the_input_and_nothing_else(tmp_path: Path, store: DatasetStore) -> None:
    deformation = strains(1)[0]
    nudged = Deformation.from_array(deformation.as_array() + 1e-13)
    assert store.key(nudged) == store.key(deformation)
    assert store.key(Deformation.from_array(deformation.as_array() + 1e-9)) != store.key(deformation)
    assert DatasetStore.open(store.directory).key(deformation) == store.key(deformation)
    other = DatasetStore.create_or_open(tmp_path / "other", magnesium(), {**TABLE, "engine": "else"})
    assert other.key(deformation) != store.key(deformation)


def test_deformations_are_told_without_decoding_states(store: DatasetStore) -> None:
    for deformation in strains(3):
        store.write(solve(deformation))
    assert list(store.deformations().values()) == [state.deformation for state in store.states()]
    assert all(store.key(deformation) == key for key, deformation in store.deformations().items())


def test_every_sealed_file_records_what_it_belongs_to(store: DatasetStore) -> None:
    state = solve(strains(1)[0])
    store.write(state)
    data = (store.directory / "states" / f"{store.key(state.deformation)}.safetensors").read_bytes()
    header = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["header"])
    info = store.info()
    assert header["record"] == {
        "input": store.key(state.deformation),
        "crystal": magnesium().fingerprint,
        "engine": info.engine_hash,
        "version": info.version,
    }
    assert state.fields is not None and header["basis"] == basis_hash(state.fields.basis)
    assert header["units"]["length"] == "Bohr"


@pytest.mark.parametrize(
    ("table", "phrase"),
    [
        ({**TABLE, "engine": "other"}, "engine.engine was 'toy', now 'other'"),
        (
            {**TABLE, "settings": {"field_cutoff": 5.0, "kmesh": [4, 4, 4]}},
            "engine.settings.field_cutoff was 4.0, now 5.0",
        ),
        ({**TABLE, "settings": {"field_cutoff": 4.0}}, r"engine.settings.kmesh was \[4, 4, 4\], now not set"),
        ({**TABLE, "smearing": "cold"}, "engine.smearing was not set, now 'cold'"),
    ],
)
def test_other_settings_are_refused_by_name_and_nothing_is_written(
    store: DatasetStore, table: dict[str, Any], phrase: str
) -> None:
    store.write(solve(strains(1)[0]))
    (store.directory / "states" / ".leftover.tmp").write_bytes(b"of a crash")
    before = snapshot(store.directory)
    with pytest.raises(SettingsMismatchError, match=phrase):
        DatasetStore.create_or_open(store.directory, magnesium(), table)
    assert snapshot(store.directory) == before


def test_another_crystal_is_refused_by_name(store: DatasetStore) -> None:
    lattice = magnesium().lattice_ref * [1, 1, 1.01]
    stretched = Crystal(lattice, magnesium().species, magnesium().positions_ref)
    with pytest.raises(SettingsMismatchError, match=r"crystal.lattice was \["):
        DatasetStore.create_or_open(store.directory, stretched, TABLE)


def test_equal_settings_spelt_otherwise_are_the_same(store: DatasetStore) -> None:
    spelt = {"settings": {"kmesh": (4, np.int64(4), 4), "field_cutoff": np.float64(4)}, "engine": "toy"}
    again = DatasetStore.create_or_open(store.directory, magnesium(), spelt)
    assert again.key(strains(1)[0]) == store.key(strains(1)[0])


def test_leftovers_of_a_crash_are_swept_when_a_writer_comes_and_left_alone_by_readers(store: DatasetStore) -> None:
    leftover = store.directory / "states" / ".abc.safetensors.0.tmp"
    leftover.write_bytes(b"half a sta")
    assert list(DatasetStore.open(store.directory).states()) == []
    assert DatasetStore.open(store.directory).info().solved == 0 and leftover.exists()
    DatasetStore.create_or_open(store.directory, magnesium(), TABLE)
    assert not leftover.exists()


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a cellfields dataset: it has no dataset.json"):
        DatasetStore.open(tmp_path)
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="is a file; a dataset needs a directory"):
        DatasetStore.create_or_open(file, magnesium(), TABLE)
    with pytest.raises(InputError, match=r"engine\.path is a \w+Path; only numbers"):
        DatasetStore.create_or_open(tmp_path / "new", magnesium(), {"path": tmp_path})
    assert not (tmp_path / "new").exists()


def test_states_without_their_description_are_not_adopted(store: DatasetStore) -> None:
    store.write(solve(strains(1)[0]))
    (store.directory / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"holds sealed states but no dataset.json"):
        DatasetStore.create_or_open(store.directory, magnesium(), TABLE)


def test_a_truncated_or_edited_description_is_refused(store: DatasetStore) -> None:
    path = store.directory / "dataset.json"
    whole = path.read_bytes()
    edited = whole.replace(b"4.0", b"5.0")
    newer = json.loads(whole)
    for data in (b"", whole[: len(whole) // 2], edited, b"[1, 2]", b"\xff\xfe", b'{"format": NaN}'):
        path.write_bytes(data)
        with pytest.raises(CorruptFileError, match=r"dataset.json is"):
            DatasetStore.open(store.directory)
    from cellfields.storage.json_tables import seal_table

    newer.pop("sha256")
    path.write_bytes(seal_table({**newer, "format": 2}))
    with pytest.raises(InputError, match="has dataset format 2, this version of cellfields reads up to 1"):
        DatasetStore.open(store.directory)
    path.write_bytes(seal_table({"format": 1}))
    with pytest.raises(CorruptFileError, match="is not the description of a cellfields dataset"):
        DatasetStore.open(store.directory)


def test_a_damaged_state_is_refused_by_name_and_counts_as_missing(store: DatasetStore) -> None:
    first, second = (solve(deformation) for deformation in strains(2))
    for state in (first, second):
        store.write(state)
    path = store.directory / "states" / f"{store.key(first.deformation)}.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", whole[:1000], whole[:-1], whole.replace(b"toy", b"tox")):
        path.write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=path.name):
            store.read(first.deformation)
        with pytest.raises(CorruptFileError):
            list(store.states())
        assert store.missing(strains(2)) == [first.deformation]
        assert store.read(second.deformation).free_energy == second.free_energy
    other = store.directory / "states" / f"{store.key(second.deformation)}.safetensors"
    path.write_bytes(other.read_bytes())  # intact, but under another's name
    with pytest.raises(CorruptFileError, match="its input hash is another one"):
        store.read(first.deformation)


def test_a_damaged_basis_is_refused_and_written_anew_with_the_next_state(store: DatasetStore) -> None:
    first, second = strains(2)
    store.write(solve(first))
    (path,) = (store.directory / "bases").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    fresh = DatasetStore.open(store.directory)
    with pytest.raises(CorruptFileError, match=path.name):
        fresh.read(first)
    fresh.write(solve(second))
    assert fresh.read(first).fields is not None


def test_reading_what_is_not_there_says_so(store: DatasetStore) -> None:
    with pytest.raises(InputError, match=r"has no state for D = \("):
        store.read(strains(1)[0])


def test_states_of_another_crystal_are_not_written(store: DatasetStore) -> None:
    state = solve(strains(1)[0])
    with pytest.raises(InputError, match="lattice of the state is not its deformation"):
        store.write(replace(state, lattice=state.lattice * 1.01))
    with pytest.raises(InputError, match="does not belong to this dataset's Crystal"):
        store.write(replace(state, positions=state.positions[:2]))
    assert store.info().solved == 0


def test_failures_are_listed_until_a_success(store: DatasetStore) -> None:
    deformation, other = strains(2)
    store.record_failure(deformation, SCFNotConverged("no luck", [{"residual": 1.0}, {"residual": float("nan")}]))
    store.record_failure(other, KeyError("a defect"))
    listed = {failure.deformation: failure for failure in DatasetStore.open(store.directory).failures()}
    assert listed[deformation].error == "SCFNotConverged" and listed[deformation].message == "no luck"
    assert listed[deformation].history == ({"residual": 1.0}, {"residual": "nan"})
    assert not listed[deformation].unexpected and listed[other].unexpected
    assert "KeyError" in listed[other].traceback
    assert store.info().failed == 2 and store.failure(deformation) is not None
    store.write(solve(deformation))
    assert [failure.deformation for failure in store.failures()] == [other]
    assert store.info().failed == 1 and store.failure(deformation) is None


def test_a_damaged_failure_record_is_one_typed_error(store: DatasetStore) -> None:
    store.record_failure(strains(1)[0], SCFNotConverged("no luck"))
    (path,) = (store.directory / "failures").iterdir()
    for data in (b"{", b"{}", b'{"deformation": [1, 2], "history": []}', b'{"deformation": 3, "history": [3]}'):
        path.write_bytes(data)
        with pytest.raises(CorruptFileError, match=path.name):
            store.failures()


def test_info_counts_files(store: DatasetStore) -> None:
    for deformation in strains(3):
        store.write(solve(deformation))
    store.record_failure(strains(4)[3], SCFNotConverged("no luck"))
    info = store.info()
    assert (info.solved, info.failed) == (3, 1)
    assert info.engine == TABLE and info.crystal["species"] == ["Mg"] * 4
    assert info.bytes_on_disk == sum(len(data) for data, _ in snapshot(store.directory).values())
    assert json.loads(json.dumps(info.to_dict()))["solved"] == 3


def test_writers_of_different_states_do_not_disturb_each_other(store: DatasetStore) -> None:
    """Threads with stores of their own, and a writer that opens (and so sweeps) again and again among them."""
    states = [solve(deformation) for deformation in strains(24)]
    errors: list[BaseException] = []

    def work(share: list[CellState]) -> None:
        try:
            mine = pickle.loads(pickle.dumps(store))
            for state in share:
                mine.write(state)
                DatasetStore.create_or_open(store.directory, magnesium(), TABLE)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(states[index::4],)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {state.deformation for state in store.states()} == set(strains(24))
    assert not list(store.directory.rglob(".*"))


def test_a_full_disk_is_one_clear_error_and_the_dataset_stays_intact(
    store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th call that fails, for every n: what was acknowledged is there, what was not is whole or absent."""
    first, second = (solve(deformation) for deformation in strains(2))
    store.write(first)
    for name in ("open", "write", "fsync", "replace"):
        real = getattr(os, name)
        for nth in range(1, 10):
            calls = 0

            def failing(*args: Any, _real: Any = real, _nth: int = nth, **kwargs: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == _nth:
                    raise OSError(28, "No space left on device")
                return _real(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing)
                try:
                    store.write(second)
                    acknowledged = True
                except StoreError as error:
                    assert "No space left on device" in str(error)
                    acknowledged = False
            fresh = DatasetStore.open(store.directory)
            assert fresh.read(first.deformation).free_energy == first.free_energy
            if fresh.info().solved == 2:
                assert fresh.read(second.deformation).free_energy == second.free_energy
            assert not acknowledged or fresh.info().solved == 2
            assert not list(store.directory.rglob(".*"))
            for leftover in (store.directory / "states" / f"{store.key(second.deformation)}.safetensors",):
                leftover.unlink(missing_ok=True)
            if acknowledged and calls < nth:
                break
        else:
            pytest.fail(f"{name} was called more than nine times for one state")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_directory_can_be_read_and_says_that_it_cannot_be_written(store: DatasetStore) -> None:
    first, second = (solve(deformation) for deformation in strains(2))
    store.write(first)
    (store.directory / "states").chmod(0o500)
    try:
        assert DatasetStore.open(store.directory).read(first.deformation).free_energy == first.free_energy
        with pytest.raises(StoreError, match="Permission denied"):
            store.write(second)
    finally:
        (store.directory / "states").chmod(0o700)
