"""Text files of other codes as lines, and their readers' mistakes turned into one sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellfields import text
from cellfields.errors import CorruptFileError, InputError


def open_text(path: Path) -> io.StringIO:
    """All of a text file, in memory, to be read line by line; any kind of line ends becomes a newline.

    Raises:
        CorruptFileError: not text.
        InputError: missing, unreadable, or larger than 128 MiB.
    """
    return io.StringIO(text.read_text(path), newline=None)


def head(lines: io.StringIO, count: int) -> list[str]:
    """The next lines.

    Raises:
        CorruptFileError: there are fewer.
    """
    found = [lines.readline() for _ in range(count)]
    if count and not found[-1]:
        raise CorruptFileError(f"it has fewer than {count} lines")
    return found


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
