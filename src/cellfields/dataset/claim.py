"""Allow one run of a study at a time: two runs over the same strains would solve each of them twice.

Any number of processes may write into one dataset; whoever starts them must divide the strains among them.
A person who starts ``cellfields label`` twice does not divide the strains.

A run holds a lock on a file in the dataset's directory for as long as it lives. The kernel drops the lock when
the process dies, however it dies; the file is then swept like any temporary file whose writer is dead. Where the file
system has no locks, nothing is claimed and nothing refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from cellfields.errors import InputError
from cellfields.storage.atomic import StoreError, try_to_lock

_NAME = ".campaign.tmp"
_TRIES, _PAUSE = 20, 0.02  # seconds: whoever sweeps holds the lock for an instant


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Hold the dataset in ``directory`` while the block runs.

    Raises:
        InputError: another campaign holds it; the message says which process on which machine, and since when.
        StoreError: the file system refused.
    """
    path = directory / _NAME
    try:
        descriptor = _claim(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; what was stored before is intact") from error
    try:
        yield
    finally:
        try:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is locked: whoever opened it meanwhile sees that it has lost its name
        finally:
            with contextlib.suppress(OSError):  # nothing that matters is in the file
                os.close(descriptor)


def _claim(path: Path) -> int:
    """Descriptor of the locked file ``path``, in which this process has written who holds it."""
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if try_to_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                os.ftruncate(descriptor, 0)
                os.write(descriptor, _holder())
                return descriptor
            holder_record = os.pread(descriptor, 1000, 0)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(_PAUSE)
    raise InputError(_sentence(path.parent, holder_record))


def _holder() -> bytes:
    about = {"process": os.getpid(), "machine": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    return json.dumps(about).encode()


def _sentence(directory: Path, holder_record: bytes) -> str:
    try:
        about = json.loads(holder_record)
        who = f"process {about['process']} on {about['machine']}, since {about['since']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return (
        f"dataset {directory} is being labelled already ({who}): wait until that run ends, or stop it; both would "
        "solve the same strains"
    )
