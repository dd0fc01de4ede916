"""Text files of other codes, read with a limit, and their readers' mistakes turned into one sentence."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import CorruptFileError, InputError

MAX_TEXT = 1 << 27  # bytes: a density on 200 × 200 × 200 points


def read_text(path: Path) -> io.TextIOWrapper:
    """All of a text file, in memory, to be read line by line.

    Raises:
        CorruptFileError: not text.
        InputError: missing, unreadable, or larger than 128 MiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT + 1)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_TEXT:
        raise InputError(f"{path} is larger than {MAX_TEXT >> 20} MiB")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptFileError(f"{path} is no text file (UTF-8)") from None
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig")  # spreadsheets write a mark before the first line


def head(text: io.TextIOWrapper, count: int) -> list[str]:
    """The first lines; the position in ``text`` stays at its beginning.

    Raises:
        CorruptFileError: there are fewer.
    """
    lines = [text.readline() for _ in range(count)]
    text.seek(0)
    if not lines[-1]:
        raise CorruptFileError(f"it has fewer than {count} lines")
    return lines


@contextmanager
def guarded(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a foreign reader raises on damaged text into one typed error."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise CorruptFileError(f"{kind} {path} is truncated or altered: {error}") from error
    except Exception as error:
        raise CorruptFileError(f"{kind} {path} is truncated, altered or no {kind}") from error


def numbers(text: str, count: int) -> FloatArray:
    """So many numbers between blanks, and nothing else.

    Raises:
        CorruptFileError: another number of them, or something in between that is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy only warns of what is no number
        found = np.fromstring(text, sep=" ")  # never with a count: it makes up what is missing
    if found.size != count:
        raise CorruptFileError(f"{found.size} numbers where {count} should be")
    return found
