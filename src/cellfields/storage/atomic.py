"""Bytes that are either wholly under their name or not there at all, whatever kills the process or the machine.

    temporary file in the same directory → write → fsync → rename onto the name → fsync the directory

A writer holds a lock on its temporary file for as long as it lives, and the kernel drops the lock when it dies. So
whoever can take the lock knows that the file was left behind by a crash and may sweep it, while a campaign that is
running beside this one keeps its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from cellfields.errors import CellFieldsError

if sys.platform != "win32":
    import fcntl

_SUFFIX = ".tmp"
_MOST_WRITES = 5
_OLD = 3600.0  # seconds; a write takes milliseconds
_OPEN_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)


class StoreError(CellFieldsError):
    """The file system refused a write (disk full, read-only, gone); what was sealed before is intact."""


def write_durably(path: Path, data: bytes) -> None:
    """Put ``data`` under ``path``, replacing what was there; when this returns, it survives a power cut.

    The temporary file is closed before it gets its name, as some systems demand. Its lock ends there, so a sweep may
    take it in the instant between the two; it is then written again.

    Raises:
        StoreError: the operating system refused; ``path`` holds what it held before, or all of ``data``.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_SUFFIX}")
    try:
        for _ in range(_MOST_WRITES):
            _write_and_close(temporary, data)
            try:
                os.replace(temporary, path)
            except FileNotFoundError:
                if path.parent.is_dir():
                    continue
                raise
            break
        else:
            raise FileNotFoundError(errno.ENOENT, "the temporary file disappeared again and again", str(temporary))
        sync_directory(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise StoreError(
                f"cannot write {path}: {error.strerror or error}; what was stored before is intact"
            ) from error
        raise


def _write_and_close(path: Path, data: bytes) -> None:
    descriptor = _open_locked(path)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for somebody else to write under; the file gets its own when the block ends well.

    For what is too large for :func:`write_durably`. Leftovers of writers that were killed are swept first.

    Raises:
        StoreError: the operating system refused, here or in the block; ``path`` holds what it held before.
    """
    for old in path.parent.glob(f".{path.name}.*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            _remove_abandoned(old)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_SUFFIX}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        sync_directory(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError | RuntimeError):  # netCDF's name for what the operating system refuses
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"cannot write {path}: {reason}; what was stored before is intact") from error
        raise


def make_directory(path: Path) -> None:
    """Create a directory and its parents, durably; one that exists is left as it is.

    Raises:
        StoreError: the operating system refused.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent)
    try:
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"cannot create directory {path}: {error.strerror or error}") from error


def settle(directory: Path) -> None:
    """Make what is in a directory survive a power cut: whoever wrote it may not have come so far yet, or have died.

    What a file holds is synchronised before it gets its name, so this is a matter of the names alone.

    Raises:
        StoreError: the operating system refused.
    """
    try:
        sync_directory(directory)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):  # who may only read vouches for nothing
            raise StoreError(f"cannot synchronise {directory}: {error.strerror or error}") from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    if sys.platform == "win32":  # directories cannot be synchronised there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no such call
            raise
    finally:
        os.close(descriptor)


def sweep(directory: Path) -> int:
    """Remove temporary files whose writer is dead, and settle what is there: a crash may have come in between.

    Returns:
        How many files were removed; those of living writers stay.

    Raises:
        StoreError: the names in the directory cannot be made to survive a power cut.
    """
    removed = 0
    for path in directory.glob(f".*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # gone already, or not ours to remove
            removed += _remove_abandoned(path)
    settle(directory)
    return removed


def _open_locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, _OPEN_FLAGS, 0o666)  # the user's umask decides who may read, as for any file
        if sys.platform != "win32":
            _lock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink or sys.platform == "win32":
            return descriptor
        os.close(descriptor)  # swept in the instant between its creation and its lock: make another


def _remove_abandoned(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        locked = try_to_lock(descriptor)
        abandoned = locked if locked is not None else time.time() - os.fstat(descriptor).st_mtime > _OLD
        if abandoned:
            path.unlink()
        return abandoned
    finally:
        os.close(descriptor)


def try_to_lock(descriptor: int) -> bool | None:
    """Whether the lock on an open file was got, without waiting; None where the file system has no locks."""
    return None if sys.platform == "win32" else _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock(descriptor: int, kind: int) -> bool | None:
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
