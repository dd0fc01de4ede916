"""Whatever the file system refuses, at whichever call: what was acknowledged is there, and the campaign can go on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cellfields.dataset import DatasetStore, StoreError, label
from tests.cli.conftest import STUDY
from tests.dataset.engines import TABLE, FragileEngine, strains
from tests.dataset.faults import CRASHES, FAULTS, all_trials
from tests.toy import magnesium


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("EIO", "EROFS")])  # as ENOSPC
def test_every_call_may_go_wrong(fault: str, tmp_path: Path) -> None:
    trials = list(all_trials(tmp_path, [fault]))
    assert {trial.scenario for trial in trials} == {"new", "resumed"}
    assert [trial for trial in trials if trial.lost or trial.corrupt or not trial.complete] == []
    endings = {trial.ending for trial in trials}
    if fault == "short write":
        assert endings == {"finished"}
    elif "dies" in fault or fault in CRASHES:
        assert endings == {"died"}
    else:
        assert "refused" in endings and "died" not in endings
    if fault == "ENOSPC":  # what a writer may do without: a lock, and the removal of what a crash has left
        tolerated = {(trial.scenario, trial.call) for trial in trials if trial.ending == "finished"}
        sweeping = {("resumed", call) for call in ("open", "flock", "unlink", "close")}
        assert tolerated == sweeping | {("new", "flock")}


class _Careless:
    """The module ``os`` for a program that never synchronises anything."""

    fsync = staticmethod(lambda descriptor: None)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.mark.parametrize(
    ("left_out", "fault"),
    [("os", "power cut, names kept"), ("sync_directory", "power cut, names lost"), ("settle", "dies")],
)
def test_the_faulty_disk_notices_what_is_left_out(
    left_out: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not synchronise loses states on this disk: the test above can fail."""
    modules = ["cellfields.storage.atomic", *(["cellfields.dataset.store"] if left_out == "settle" else [])]
    for module in modules:
        careless = _Careless() if left_out == "os" else lambda path: None
        monkeypatch.setattr(f"{module}.{left_out}", careless)
    assert any(trial.lost or trial.corrupt or not trial.complete for trial in all_trials(tmp_path, [fault]))


def test_a_file_that_may_not_grow_is_refused_and_the_rest_is_intact(tmp_path: Path) -> None:
    """A limit of the operating system, met in the middle of a write (a short write, then EFBIG)."""
    resource = pytest.importorskip("resource")
    store = DatasetStore.create_or_open(tmp_path / "set", magnesium(), TABLE)
    engine = FragileEngine(magnesium())
    label(store, engine, strains(3))
    sealed = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    smallest = min(len(data) for path, data in sealed.items() if path.parent.name == "states")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (smallest // 2, before[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*states.*: File too large; what was stored before is"):
            label(store, engine, strains(6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == sealed
    summary = label(store, engine, strains(6))
    assert (summary.solved, summary.skipped, summary.failed) == (3, 3, 0)


SPOIL = """
import contextlib, io, json, subprocess, sys
from pathlib import Path
from cellfields.cli import main
from cellfields.dataset import DatasetStore

folder, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
for step in steps:
    done = subprocess.run(step, capture_output=True, text=True)
    if done.returncode:
        print(json.dumps({"refused": " ".join(step) + ": " + done.stderr.strip()}))
        sys.exit()
    code, said = 0, io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(["label", str(folder / "study.toml"), "--workers", "1"])
        except SystemExit as stop:
            code = stop.code or 0
    store = DatasetStore.open(folder / "run" / "dataset")
    leftovers = [path.name for path in store.directory.rglob(".*")]
    said = said.getvalue().splitlines()[-1]
    print(json.dumps([code, said, len(list(store.states())), len(store.failures()), leftovers]))
"""


def label_between(
    folder: Path, prefix: list[str], steps: list[list[str]]
) -> list[tuple[int, str, int, int, list[str]]]:
    """Run ``cellfields label`` after each step; (exit code, last words, states, failures, leftovers) each time.

    Prefix and steps are commands; where they are not permitted the test is skipped.
    """
    (folder / "run").mkdir()
    (folder / "study.toml").write_text(STUDY.replace("train = 24", "train = 8").replace("test = 5", "test = 2"))
    command = [*prefix, sys.executable, "-c", SPOIL, str(folder), json.dumps(steps)]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines or isinstance(lines[-1], dict):
        if "Traceback" in done.stderr:
            pytest.fail(done.stderr)
        pytest.skip(f"not permitted here: {lines or done.stderr}")
    return [tuple(line) for line in lines]


def test_a_full_disk_and_a_read_only_one_end_the_command_with_one_sentence(tmp_path: Path) -> None:
    """A disk of 48 KiB, in a namespace of its own; then mounted read-only; then writable and large."""
    disk = str(tmp_path / "run")
    full, read_only, mended = label_between(
        tmp_path,
        ["unshare", "--user", "--map-root-user", "--mount"],
        [
            ["mount", "-t", "tmpfs", "-o", "size=48k", "none", disk],
            ["mount", "-o", "remount,ro,size=48k", disk],
            ["mount", "-o", "remount,rw,size=4m", disk],
        ],
    )
    assert full[0] == read_only[0] == 1
    assert full[1].startswith(f"error: cannot write {disk}/dataset/") and "No space left on device" in full[1]
    assert read_only[1].startswith(f"error: cannot write {disk}/dataset/") and "read-only" in read_only[1].lower()
    assert 2 <= full[2] < 10 and read_only[2] == full[2]
    assert mended[0] == 0 and mended[2] == 10
    assert all(failures == 0 and leftovers == [] for *_, failures, leftovers in (full, read_only, mended))


def test_a_directory_without_permission_ends_the_command_with_one_sentence(tmp_path: Path) -> None:
    states = str(tmp_path / "run" / "dataset" / "states")
    privileged = hasattr(os, "geteuid") and os.geteuid() == 0  # who must first give up the right to write anywhere
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if privileged else ["env"]
    refused, mended = label_between(
        tmp_path, prefix, [["sh", "-c", f"mkdir -p {states} && chmod 555 {states}"], ["chmod", "755", states]]
    )
    assert refused[0] == 1 and refused[2] == 0
    assert refused[1].startswith(f"error: cannot write {states}")
    assert mended[0] == 0 and mended[2] == 10
    assert refused[4] == mended[4] == []
