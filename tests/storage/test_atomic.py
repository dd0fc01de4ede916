"""Every failing system call leaves the old content or the new, and nothing beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cellfields.dataset import StoreError
from cellfields.storage.atomic import make_directory, sweep, write_durably


def test_content_replaces_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for data in (b"first", b"", b"x" * 100_000):
        write_durably(target, data)
        assert target.read_bytes() == data
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_durably(tmp_path / "file", b"shared with the group")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("nth", [1, 2])
def test_each_failing_call_is_one_typed_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nth: int
) -> None:
    target = tmp_path / "file"
    write_durably(target, b"old")
    calls = {"count": 0}
    real = getattr(os, name)

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls["count"] += 1
        if calls["count"] == nth:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, failing)
    try:
        write_durably(target, b"new")
    except StoreError as error:
        assert "No space left on device" in str(error) and str(target) in str(error)
        acknowledged = False
    else:
        acknowledged = True
    monkeypatch.undo()
    assert acknowledged == (calls["count"] < nth)
    content = target.read_bytes()
    assert content == b"new" if acknowledged else content in (b"old", b"new")
    if nth == 1:  # nothing happened yet to the final name, whichever call it was
        assert content == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data[:7])))
    write_durably(tmp_path / "file", bytes(range(100)))
    assert (tmp_path / "file").read_bytes() == bytes(range(100))


def test_sweep_takes_the_dead_and_spares_the_living(tmp_path: Path) -> None:
    """A writer killed between write and rename leaves a file that is swept; one that is writing keeps its own."""
    script = (
        "import os, sys, time, signal\n"
        "from pathlib import Path\n"
        "from cellfields.storage.atomic import write_durably\n"
        "def hold(descriptor):\n"
        "    print('holding', flush=True)\n"
        "    time.sleep(60)\n"
        "os.fsync = hold\n"
        "write_durably(Path(sys.argv[1]), b'half')\n"
    )
    (tmp_path / "kept").write_bytes(b"sealed")
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "file")], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None and writer.stdout.readline() == b"holding\n"
        assert len(list(tmp_path.iterdir())) == 2
        assert sweep(tmp_path) == 0
    finally:
        writer.kill()
        writer.communicate()
    assert sweep(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_directories_that_cannot_be_made_are_one_sentence(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot create directory"):
        make_directory(tmp_path / "file" / "below")
