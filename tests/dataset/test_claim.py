"""Two campaigns in one dataset: the second one says so and solves nothing; a dead one holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cellfields.dataset import DatasetStore, label
from cellfields.dataset._claim import claimed
from cellfields.errors import InputError
from tests.dataset.engines import TABLE, FragileEngine, strains
from tests.toy import magnesium

HOLDER = """
import sys, time
from pathlib import Path
from cellfields.dataset._claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore.create_or_open(tmp_path / "dataset", magnesium(), TABLE)


def test_a_second_campaign_is_refused_and_solves_nothing_until_the_first_one_is_dead(store: DatasetStore) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(store.directory)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=rf"is being labelled already \(process {holder.pid} on .*since 20"):
            label(store, FragileEngine(magnesium()), strains(2))
        assert store.info().solved == 0
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert (store.directory / ".campaign.tmp").exists()  # kill -9 leaves the file, but not its lock
    assert label(store, FragileEngine(magnesium()), strains(2)).solved == 2
    assert not (store.directory / ".campaign.tmp").exists()


def test_a_campaign_with_nothing_to_solve_asks_nobody(store: DatasetStore) -> None:
    label(store, FragileEngine(magnesium()), strains(1))
    with claimed(store.directory):
        assert label(store, FragileEngine(magnesium()), strains(1)).skipped == 1


def test_the_claim_ends_with_an_error_and_can_be_had_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path):
        raise ZeroDivisionError
    with claimed(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on"), claimed(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_claim_file_is_told_without_names(tmp_path: Path) -> None:
    with claimed(tmp_path):
        (tmp_path / ".campaign.tmp").write_bytes(b"{")
        with pytest.raises(InputError, match="another process"), claimed(tmp_path):
            pass
