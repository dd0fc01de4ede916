"""Runs of ABINIT: each in a new folder, with a limit on time, no orphaned processes, and failures as typed errors.

    with finished_run(input, options) as run:   →  run.folder holds ABINIT's files; it is removed afterwards

A supervisor (_guard.py) stands between this process and ABINIT. When this process dies, even by kill -9, the
supervisor's pipe ends, and it ends ABINIT with all its ranks.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cellfields.engines.abinit.density_input import DENSITY_NAME
from cellfields.engines.abinit.input import INPUT_NAME, AbinitInput
from cellfields.engines.abinit.settings import AbinitOptions
from cellfields.errors import (
    AbinitDiskFull,
    AbinitError,
    AbinitKilled,
    AbinitNotFound,
    AbinitPseudopotentialError,
    AbinitTimeout,
    InputError,
)

LOG, ERRORS, MAIN_OUTPUT = "log", "errors", "run.abo"
_GUARD = Path(__file__).with_name("_guard.py")
_PATIENCE = 10.0  # seconds until the supervisor itself is ended
_TAIL = 64 * 1024  # bytes at the end of a log that are read
_LINES = 40  # lines of it that an error keeps
_SENTENCE = 300  # characters of ABINIT's message that an error quotes
_FULL = ("no space left on device", "disk quota exceeded", "file too large")
_ROOM = 2**20  # bytes; a disk with less is full


@dataclass(frozen=True)
class Run:
    """A run that ended without failure.

    Attributes:
        folder: with its files.
        wall_seconds: of ABINIT.
        cpu_seconds: of ABINIT with all its ranks on this machine.
        advice: end of messages about its files, which says where they are.
    """

    folder: Path
    wall_seconds: float
    cpu_seconds: float
    advice: str

    @property
    def main_output(self) -> str:
        """Text of ABINIT's main output file, empty where there is none."""
        path = self.folder / MAIN_OUTPUT
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@contextmanager
def finished_run(abinit_input: AbinitInput, options: AbinitOptions) -> Iterator[Run]:
    """Run ABINIT to its end in a new folder, which is removed afterwards unless the options keep it.

    Raises:
        InputError: the scratch folder cannot be made, or ABINIT refuses a variable that the user gave.
        AbinitError: ABINIT failed; the subclass names the kind of failure, and the error carries the end of the log.
    """
    folder = _new_folder(options)
    advice = f"; see {folder}" if options.keep else "; abinit.keep = true keeps the files to look at"
    try:
        program = shutil.which(options.words[0])
        if program is None:
            raise AbinitNotFound(
                f"abinit.command = {options.command!r}: there is no program {options.words[0]!r} on this machine "
                "(Debian and Ubuntu: apt install abinit)"
            )
        try:
            abinit_input.write(folder)
            guard = ["keep" if options.keep else "remove", LOG, ERRORS]
            command = [*guard, os.path.abspath(program), *options.words[1:], INPUT_NAME]
            wall, cpu, code = _run(folder, command, options.timeout, advice)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise AbinitDiskFull(f"there is no room for ABINIT's files in {folder.parent}") from error
        _refuse_failure(folder, code, abinit_input, options, advice)
        yield Run(folder, wall, cpu, advice)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def _new_folder(options: AbinitOptions) -> Path:
    try:
        if options.scratch is not None:
            options.scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="cellfields-abinit-", dir=options.scratch))
    except OSError as error:
        where = options.scratch or tempfile.gettempdir()
        raise InputError(f"abinit.scratch = {str(where)!r}: no folder can be made there ({error.strerror})") from error


def _run(folder: Path, command: list[str], timeout: float | None, advice: str) -> tuple[float, float, int]:
    """Run the supervisor, and return wall seconds, CPU seconds and the command's exit code (negative for a signal).

    Raises:
        AbinitError: a time-out, a killed supervisor, no room on the disk, or a command that cannot be launched.
    """
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    start = time.perf_counter()
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_GUARD), *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert guard.stdin is not None and guard.stdout is not None and guard.stderr is not None
    try:
        guard.wait(timeout)
    except subprocess.TimeoutExpired:
        raise AbinitTimeout(
            f"ABINIT did not end within abinit.timeout = {timeout:g} seconds{advice}", _last_lines(folder)
        ) from None
    finally:
        if guard.poll() is None:
            _end(guard)
        guard.stdin.close()
        report, complaint = guard.stdout.read(), guard.stderr.read()
        guard.stdout.close()
        guard.stderr.close()
    try:
        usage = json.loads(report)
        return time.perf_counter() - start, float(usage["cpu_seconds"]), int(usage["returncode"])
    except ValueError:
        if guard.returncode < 0:
            raise _killed(-guard.returncode, folder, advice) from None
        words = complaint.decode(errors="replace").strip().splitlines()[-1:]
        if any(text in complaint.decode(errors="replace").lower() for text in _FULL):
            raise AbinitDiskFull(f"there is no room for ABINIT's files in {folder.parent}{advice}") from None
        raise AbinitError(f"ABINIT could not be launched: {' '.join(words)}{advice}") from None


def _end(guard: subprocess.Popen[bytes]) -> None:
    assert guard.stdin is not None
    guard.stdin.close()  # the supervisor then ends everything
    with suppress(subprocess.TimeoutExpired):
        guard.wait(_PATIENCE)
        return
    with suppress(ProcessLookupError):
        os.killpg(guard.pid, signal.SIGKILL)
    guard.wait()


# -- failures -------------------------------------------------------------------------------------------------------


def _refuse_failure(folder: Path, code: int, abinit_input: AbinitInput, options: AbinitOptions, advice: str) -> None:
    """Do nothing where ABINIT ended without failure, else raise the error that its exit code and log describe.

    Raises:
        InputError: ABINIT refuses a variable that the user gave.
        AbinitError: any other failure.
    """
    if code == 0:
        return
    everything = _tail(folder / LOG) + "\n" + _tail(folder / ERRORS)
    log = _last_lines(folder)
    log_lines = [line.strip() for line in log.splitlines() if re.search(r"[A-Za-z]", line)]
    reason = _abinit_message(everything) or (log_lines or ["it does not say why"])[-1]
    if any(text in everything.lower() for text in _FULL) or shutil.disk_usage(folder).free < _ROOM:
        raise AbinitDiskFull(f"there was no room for ABINIT's files in {folder.parent}{advice}", log)
    if code == 127 or "unable to find the specified executable" in everything:
        raise AbinitNotFound(f"abinit.command = {options.command!r} cannot be run: {reason}{advice}", log)
    mpi = re.search(r"exited on signal (\d+)", everything)
    signal_number = -code if code < 0 else int(mpi[1]) if mpi else code - 128 if code > 128 else 0
    if signal_number:
        raise _killed(signal_number, folder, advice)
    for name in abinit_input.files:
        if name in reason and name != DENSITY_NAME:
            raise AbinitPseudopotentialError(f"ABINIT cannot read the pseudopotential {name}: {reason}{advice}", log)
    for name in options.variables:
        if re.search(rf"\b{name}\b", reason, re.IGNORECASE):
            raise InputError(f"abinit.variables.{name}: ABINIT says: {reason}{advice}")
    raise AbinitError(f"ABINIT ended with exit code {code}: {reason}{advice}", log)


def _killed(number: int, folder: Path, advice: str) -> AbinitError:
    name = signal.Signals(number).name if number in {s.value for s in signal.Signals} else f"signal {number}"
    if number == signal.SIGXFSZ:
        return AbinitDiskFull(
            f"ABINIT's files grew beyond what this process may write ({name}){advice}", _last_lines(folder)
        )
    hint = " (out of memory?)" if number == signal.SIGKILL else ""
    return AbinitKilled(f"ABINIT was killed by {name}{hint}{advice}", _last_lines(folder))


def _abinit_message(text: str) -> str:
    """ABINIT's message in a log: its last ERROR block, its check of the input, or the Fortran library's error."""
    for pattern in (
        r": ERROR -\s*\n(.*?)\n\s*\n",  # the check of the input gives details here that its ERROR block leaves out
        r"--- !ERROR\n.*?message: \|\n(.*?)\n\.\.\.",
        r"((?:At line [^\n]*\n)?Fortran runtime error: [^\n]*)",
    ):
        messages = re.findall(pattern, text, re.DOTALL)
        if messages:
            sentence = " ".join(messages[-1].split())
            return sentence if len(sentence) <= _SENTENCE else sentence[: _SENTENCE - 1] + "…"
    return ""


def _tail(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode("utf-8", errors="replace")


def _last_lines(folder: Path) -> str:
    lines = [line for name in (LOG, ERRORS) for line in _tail(folder / name).splitlines() if line.strip()]
    return "\n".join(lines[-_LINES:])
