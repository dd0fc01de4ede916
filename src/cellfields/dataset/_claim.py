"""One campaign at a time in a dataset: two that solve the same strains would pay for each of them twice.

A campaign holds a lock on a file in the dataset's directory for as long as it lives. The kernel drops the lock when the
process dies, however it dies, so that nothing has to be cleaned up. Where the file system has no locks, nothing is
claimed and nothing refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from cellfields.dataset._atomic import try_to_lock
from cellfields.errors import InputError

_NAME = ".campaign"


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Hold the dataset in ``directory`` while the block runs.

    Raises:
        InputError: another campaign holds it; the message says which process on which machine, and since when.
        OSError: the file cannot be made.
    """
    path = directory / _NAME
    descriptor = _claim(path)
    try:
        os.ftruncate(descriptor, 0)
        about = {"process": os.getpid(), "machine": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while the lock is held: whoever waits for this very file looks whether it still has a name
        os.close(descriptor)


def _claim(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if try_to_lock(descriptor) is False:
                raise InputError(_sentence(path.parent, os.pread(descriptor, 1000, 0)))
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder gave it up between the two calls: make another


def _sentence(directory: Path, told: bytes) -> str:
    try:
        about = json.loads(told)
        who = f"process {about['process']} on {about['machine']}, since {about['since']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return (
        f"dataset {directory} is being labelled already ({who}): wait until that run ends, or stop it; both would "
        "solve the same strains"
    )
