"""How a run can end. Stand-ins for ABINIT, a few lines of shell each, fail in the ways that the real one does."""

from __future__ import annotations

import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cellfields import DatasetStore, PlaneWaveSettings, sample_deformations
from cellfields.dataset import label
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.input import AbinitInput
from cellfields.engines.abinit.run import finished_run
from cellfields.errors import (
    AbinitDiskFull,
    AbinitError,
    AbinitKilled,
    AbinitNotFound,
    AbinitPseudopotentialError,
    AbinitTimeout,
    ConvergenceError,
    InputError,
)
from tests.toy import magnesium

INPUT = AbinitInput({"ecut": "3.0", "kptrlatt": "  1 0 0\n  0 1 0\n  0 0 1"}, {"Mg.gth": b"made up\n"})

# What the real ABINIT 9.6.2 wrote, shortened.
ERROR_BLOCK = """--- !ERROR
src_file: m_pspheads.F90
src_line: 139
mpi_rank: 0
message: |
    {message}
...

 abinit_abort: decision taken to exit. Check above messages for more info"""
FORTRAN = """At line 330 of file m_pspheads.F90 (unit = 18, file = 'Mg.gth')
Fortran runtime error: Bad integer for item 1 in list input"""
INPUT_CHECK = """ chkint_prt: ERROR -
 Context: the value of the variable prtvclmb is 1.
  The value of the input variable prtvha is 0, while it must be
  equal to 1
  Action: you should change the input variables prtvha or prtvclmb.

""" + ERROR_BLOCK.format(message="Checking consistency of input data against itself gave 1 inconsistency.")
MPIRUN_KILLED = "mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed)."


def program(folder: Path, script: str) -> str:
    """An executable that runs a shell script."""
    path = folder / "fake abinit"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"'{path}'"


def attempt(folder: Path, script: str, **options: object) -> None:
    scratch = folder / "scratch"
    with finished_run(INPUT, AbinitOptions(command=program(folder, script), scratch=scratch, **options)):
        pass


def says(text: str, code: int) -> str:
    return f"cat <<'END'\n{text}\nEND\nexit {code}"


def test_a_run_that_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    script = 'cat "$1" Mg.gth\nenv > run.abo\nwhile [ ${i:=0} -lt 20000 ]; do i=$((i+1)); done\nexit 0'
    options = AbinitOptions(command=program(tmp_path, script), scratch=tmp_path / "new" / "scratch")
    with finished_run(INPUT, options) as run:
        assert (run.folder / "run.abi").read_text() == "ecut 3.0\nkptrlatt\n  1 0 0\n  0 1 0\n  0 0 1\n"
        assert (run.folder / "log").read_text().endswith("0 0 1\nmade up\n")
        assert run.folder.parent == tmp_path / "new" / "scratch"
        assert "OMP_NUM_THREADS=1" in run.main_output
        assert 0.001 < run.cpu_seconds < 10 and run.cpu_seconds < 2 * run.wall_seconds
    assert not list(options.scratch.iterdir())


def test_folder_is_kept_on_request(tmp_path: Path) -> None:
    with pytest.raises(AbinitError, match=r"exit code 3: it does not say why; see .*/scratch/cellfields-abinit-") as e:
        attempt(tmp_path, "exit 3", keep=True)
    (kept,) = (tmp_path / "scratch").iterdir()
    assert str(kept) in str(e.value)
    assert {p.name for p in kept.iterdir()} == {"run.abi", "Mg.gth", "log", "errors"}


def test_program_that_is_not_there(tmp_path: Path) -> None:
    options = AbinitOptions(command="no-such-abinit -x", scratch=tmp_path)
    match = r"abinit\.command = 'no-such-abinit -x': there is no program"
    with pytest.raises(AbinitNotFound, match=match) as caught, finished_run(INPUT, options):
        pass
    assert isinstance(caught.value, InputError)
    with pytest.raises(AbinitNotFound, match="cannot be run: sh: 1: abinitt: not found"):  # by mpirun, say
        attempt(tmp_path, "echo 'sh: 1: abinitt: not found' >&2; exit 127")
    with pytest.raises(AbinitNotFound):
        attempt(tmp_path, says("mpirun was unable to find the specified executable file", 134))


def test_a_missing_program_ends_a_campaign_and_is_held_against_no_strain(tmp_path: Path) -> None:
    engine = AbinitEngine(
        magnesium(),
        PlaneWaveSettings(smearing="cold", cutoff=4, kmesh=(1, 1, 1)),
        AbinitOptions(command="no-such-abinit"),
    )
    store = DatasetStore.create_or_open(tmp_path / "dataset", engine.crystal, engine.identity)
    with pytest.raises(AbinitNotFound):
        label(store, engine, sample_deformations(engine.crystal, 2, seed=0))
    assert store.failures() == [] and store.info().solved == 0


def test_scratch_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file")
    with pytest.raises(InputError, match=r"abinit\.scratch = '.*': no folder can be made there"):
        attempt(tmp_path, "exit 0")


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("kill -9 $$", "SIGKILL .out of memory"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("exit 137", "SIGKILL"),  # a shell's way to pass it on
        (says(MPIRUN_KILLED, 1), "SIGKILL"),
    ],
)
def test_killed_by_a_signal(tmp_path: Path, script: str, name: str) -> None:
    with pytest.raises(AbinitKilled, match=f"was killed by {name}") as caught:
        attempt(tmp_path, script)
    assert caught.value.retry


@pytest.mark.parametrize(
    "script",
    [
        says(ERROR_BLOCK.format(message="NetCDF: HDF error\n    No space left on device"), 14),
        "echo 'Fortran runtime error: Disk quota exceeded' >&2; exit 2",
        "kill -XFSZ $$",
    ],
)
def test_disk_full(tmp_path: Path, script: str) -> None:
    with pytest.raises(AbinitDiskFull, match=r"room for ABINIT's files in|grew beyond") as caught:
        attempt(tmp_path, script)
    assert not caught.value.retry
    assert not list((tmp_path / "scratch").iterdir())


def test_pseudopotential_that_abinit_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(AbinitPseudopotentialError, match=r"cannot read the pseudopotential Mg\.gth: .*Bad integer"):
        attempt(tmp_path, f"cat >&2 <<'END'\n{FORTRAN}\nEND\nexit 2")
    message = "Fortran open returned iostat: 2 while opening file: Mg.gth"
    with pytest.raises(AbinitPseudopotentialError, match=message) as caught:
        attempt(tmp_path, says(ERROR_BLOCK.format(message=message), 14))
    assert isinstance(caught.value, InputError)


def test_abinits_own_words_are_kept(tmp_path: Path) -> None:
    with pytest.raises(AbinitError, match=r"exit code 14: Context: .* prtvha is 0, while it must be equal to 1") as e:
        attempt(tmp_path, says("line\n" * 100 + INPUT_CHECK, 14))
    error = e.value
    assert type(error) is AbinitError and not isinstance(error, InputError | ConvergenceError)
    assert error.log.splitlines()[-1].startswith(" abinit_abort") and "src_line: 139" in error.log
    assert len(error.log.splitlines()) <= 40
    with pytest.raises(InputError, match=r"abinit\.variables\.prtvha: ABINIT says: Context"):
        attempt(tmp_path, says(INPUT_CHECK, 14), variables={"prtvha": 0})
    with pytest.raises(AbinitError) as long:
        attempt(tmp_path, says(ERROR_BLOCK.format(message="word " * 500), 14))
    assert len(str(long.value)) < 500
    with pytest.raises(AbinitError, match="the last thing it said"):
        attempt(tmp_path, says("the last thing it said\n----------", 1))


def test_errors_travel_between_processes(tmp_path: Path) -> None:
    with pytest.raises(AbinitKilled) as caught:
        attempt(tmp_path, "echo some words; kill -9 $$")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.log) == (AbinitKilled, str(caught.value), "some words")


def test_timeout_ends_all_that_was_started(tmp_path: Path) -> None:
    script = "sleep 60 &\necho $! > ../child\necho begun\nsleep 60"
    start = time.monotonic()
    with pytest.raises(AbinitTimeout, match=r"did not end within abinit\.timeout = 0\.5 seconds") as caught:
        attempt(tmp_path, script, timeout=0.5)
    assert time.monotonic() - start < 10
    assert caught.value.log == "begun"
    pid = int((tmp_path / "scratch" / "child").read_text())
    assert gone(pid)
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == ["child"]


PARENT = """
import sys
from pathlib import Path
from cellfields import DatasetStore, PlaneWaveSettings, sample_deformations
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from tests.engines.abinit.test_abinit_run import INPUT, finished_run
with finished_run(INPUT, AbinitOptions(command=sys.argv[1], scratch=Path(sys.argv[2]))):
    pass
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_abinit_does_not_outlive_its_parent(tmp_path: Path, number: int) -> None:
    """kill -9, a batch system's goodbye, Ctrl-C; the run folder goes too, even where nobody is left to remove it."""
    scratch = tmp_path / "scratch"
    command = program(tmp_path, "sleep 60 &\necho $$ $! > ../pids.part; mv ../pids.part ../pids\nsleep 60")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, command, str(scratch)], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[3]
    )
    try:
        wait_until((scratch / "pids").exists)
        pids = [int(word) for word in (scratch / "pids").read_text().split()]
        assert len(pids) == 2 and not any(map(gone, pids))
        parent.send_signal(number)
        wait_until(lambda: all(map(gone, pids)))
        wait_until(lambda: [p.name for p in scratch.iterdir()] == ["pids"])
    finally:
        parent.kill()
        parent.wait()


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter: it ended between open and read
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False
    return state in "ZX"


def wait_until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
