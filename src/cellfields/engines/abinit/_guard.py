"""Runs a command, and ends it with all processes that it started as soon as the parent process is gone.

    python _guard.py keep|remove OUTPUT ERRORS COMMAND …     → one line of JSON: {"returncode": …, "cpu_seconds": …}

Standard input is a pipe that nobody writes to: it ends when the parent closes it or dies, for whatever reason. The
guard leads its own session, so that signals to the parent's session do not end it first. With "remove" it removes the
current folder as well, as a dead parent cannot.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading

_GRACE = 3.0  # seconds between SIGTERM and SIGKILL, in which mpirun ends its ranks


def _end(process: subprocess.Popen[bytes], remove: bool) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    if remove:
        shutil.rmtree(os.getcwd(), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the command of the arguments, wait for its end or the parent's, and report in one line of JSON."""
    with open(sys.argv[2], "wb") as output, open(sys.argv[3], "wb") as errors:
        process = subprocess.Popen(sys.argv[4:], stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
    ended, notify = os.pipe()

    def wait() -> None:
        process.wait()
        os.close(notify)

    threading.Thread(target=wait, daemon=True).start()
    ready, _, _ = select.select([sys.stdin.fileno(), ended], [], [])
    if ended not in ready:
        _end(process, sys.argv[1] == "remove")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"returncode": process.returncode, "cpu_seconds": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
