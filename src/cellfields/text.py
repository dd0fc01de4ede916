"""Text and numbers as other programs write them: one reader of text and one of numbers for all formats.

    bytes → text      UTF-8 with or without a byte-order mark; else Latin-1, in which every byte is a character
    token → number    1.5   1.5E-3   1.5D-3   1.5d-3   0.33004-101   (Fortran leaves out the E of three-digit exponents)

A file is text unless it holds a zero byte. One accented letter in a title must not make a file unreadable: what the
readers use of it, numbers and keywords, is ASCII.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import CorruptFileError, InputError

MAX_TEXT = 1 << 27  # bytes: a density on 200 × 200 × 200 points

_FORTRAN = re.compile(r"(?<=[0-9.])(?:[dD]|(?=[+-]))(?=[+-]?[0-9]+(?![0-9.]))")


def read_text(path: str | Path, *, most: int = MAX_TEXT) -> str:
    """All of a text file, without a byte-order mark.

    Args:
        path: the file. The name is taken as it is, nothing in it is interpreted.
        most: the largest size in bytes that is read.

    Raises:
        CorruptFileError: the file holds zero bytes, so it is no text.
        InputError: the file is missing, unreadable, or larger than ``most``.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > most:
        raise InputError(f"{path} is larger than {most >> 20} MiB")
    return decode_text(data, str(path))


def decode_text(data: bytes, name: str) -> str:
    """Bytes as text, without a byte-order mark; ``name`` is what a message calls the file.

    Raises:
        CorruptFileError: there is a zero byte, so it is no text.
    """
    if b"\0" in data:
        raise CorruptFileError(f"{name} is no text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_number(token: str) -> float:
    """One number, with a C or a Fortran exponent.

    Raises:
        ValueError: the token is no number.
    """
    try:
        return float(token)
    except ValueError:
        return float(with_c_exponents(token))


def with_c_exponents(text: str) -> str:
    """A text with every Fortran exponent (``1.5D-3``, ``0.33004-101``) written with an ``E``."""
    return _FORTRAN.sub("E", text)


def parse_numbers(text: str, count: int) -> FloatArray:
    """Exactly ``count`` numbers between blanks, (count,).

    Raises:
        CorruptFileError: there are more or fewer of them, or something between them is no number.
    """
    words = text.split()
    try:
        found = np.array(words, dtype=float)
    except ValueError:
        try:
            found = np.array([parse_number(word) for word in words])
        except ValueError as error:
            raise CorruptFileError(f"something that is no number stands among the numbers: {error}") from None
    if found.size != count:
        raise CorruptFileError(f"{found.size} numbers where {count} should be")
    return found
