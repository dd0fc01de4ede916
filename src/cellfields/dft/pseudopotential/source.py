"""The text of a pseudopotential file, the element that it is named for, and helpers of all readers of formats."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from cellfields._typing import FloatArray
from cellfields.errors import CorruptFileError, InputError
from cellfields.text import decode_text, parse_number

_MOST_BYTES = 32 * 1024 * 1024
_LARGEST = 1e15
_LONGEST_SENTENCE = 500
MOST_POINTS = 100_000  # of a radial mesh
MOST_PROJECTORS = 10  # of one angular momentum
HIGHEST_L = 3


@dataclass(frozen=True)
class Source:
    """A pseudopotential file as the readers of formats take it.

    Attributes:
        symbol: the element that the file is named for.
        where: the setting and the path, with which messages begin.
        text: the content.
    """

    symbol: str
    where: str
    text: str

    @classmethod
    def of_file(cls, symbol: str, path: Path) -> Source:
        """Read a file.

        Raises:
            InputError: it is missing, too large, or not text.
        """
        where = f"pseudopotentials.{symbol}: {path}"
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise InputError(f"{where} is too large for a pseudopotential file")
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{where} cannot be read ({error.strerror or error.__class__.__name__})") from error
        return cls.of_bytes(symbol, content, where)

    @classmethod
    def of_bytes(cls, symbol: str, content: bytes, where: str) -> Source:
        """The file of these bytes.

        Raises:
            InputError: they are not text.
        """
        try:
            return cls(symbol, where, decode_text(content, where))
        except CorruptFileError as error:
            raise InputError(f"{where} cannot be read as a text file") from error

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.splitlines()

    def refuse(self, why: str) -> InputError:
        """An error to raise: one sentence that begins with the file, on one line and of limited length."""
        return InputError(f"{self.where} {textwrap.shorten(why, _LONGEST_SENTENCE, placeholder=' …')}")

    def numbers(self, row: int, count: int) -> list[float]:
        """The first ``count`` numbers of a line.

        Raises:
            ValueError, IndexError: there are fewer numbers, or no such line.
        """
        numbers = [parse_number(word) for word in self.lines[row].replace(",", " ").split()[:count]]
        if len(numbers) < count:
            raise ValueError
        return numbers

    def table(self, row: int, rows: int, columns: int) -> FloatArray:
        """A table (rows, columns) of finite numbers, from line ``row`` on; lines may hold further numbers.

        Raises:
            ValueError: lines or numbers are missing.
        """
        lines = self.lines[row : row + rows]
        if len(lines) < rows:
            raise ValueError
        return finite([line.split()[:columns] for line in lines], (rows, columns))

    def require_element(self, atomic_number: float) -> None:
        """Check that the file's atomic number is that of the element that it is named for.

        Raises:
            InputError: it is another element's.
        """
        if round(atomic_number) != atomic_numbers[self.symbol]:
            raise self.refuse(
                f"is for atomic number {atomic_number:g}, not for {self.symbol} ({atomic_numbers[self.symbol]})"
            )

    @contextmanager
    def complete(self, what: str) -> Iterator[None]:
        """Turn errors of reading into one sentence.

        Args:
            what: name of the format, of which the file is not a complete one.

        Raises:
            InputError: reading failed.
        """
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                yield
        except InputError:
            raise
        except (ValueError, LookupError, OverflowError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise self.refuse(f"is not a complete {what} file") from error


def finite(words: object, shape: tuple[int, ...]) -> FloatArray:
    """An array of numbers below 1e15 of the given shape, from (nested) lists of words.

    Raises:
        ValueError: another shape, a word that is no number, or a larger number.
    """
    try:
        array = np.array(words, dtype=float)
    except ValueError:
        array = np.vectorize(parse_number, otypes=[float])(np.array(words, dtype=str))
    if array.shape != shape or not (np.abs(array) < _LARGEST).all():
        raise ValueError
    return array
