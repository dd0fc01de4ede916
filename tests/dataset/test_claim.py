"""Two runs on one dataset: the second one says so; a dead one holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cellfields.dataset.claim import claimed
from cellfields.errors import InputError

HOLDER = """
import sys, time
from pathlib import Path
from cellfields.dataset.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_second_run_is_refused_until_the_first_one_is_dead(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        refused = rf"is being labelled already \(process {holder.pid} on .*since 20"
        with pytest.raises(InputError, match=refused), claimed(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert (tmp_path / ".campaign.tmp").exists()  # kill -9 leaves the file, but not its lock
    with claimed(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


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
