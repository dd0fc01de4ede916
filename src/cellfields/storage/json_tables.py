"""Plain data as JSON with one spelling, so that equal data have equal hashes, and sealed tables of it.

seal(table) = table ∪ {"sha256": SHA-256 of the canonical spelling of table}
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from cellfields.errors import CorruptFileError, InputError

MAX_TEXT = 1 << 22  # bytes
_DEEPEST = 64  # levels; what cellfields writes has fewer than ten


def plain(value: Any, where: str, *, levels: int = _DEEPEST // 2) -> Any:
    """Numbers, strings, lists and tables of them, with NumPy's types made Python's.

    A number that is not finite becomes its name ("nan", "inf"): JSON has no such number, and a residual that blew up
    is worth keeping. Halves of characters (in names of files) are escaped. What this gives, :func:`loads` reads.

    Raises:
        InputError: anything else, named by ``where``; an integer beyond all floats; more levels of nesting than that.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist(), where, levels=levels)
    if isinstance(value, int) and abs(value) <= sys.float_info.max:
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, Mapping) and levels:
        return {plain(str(key), where): plain(v, f"{where}.{key}", levels=levels - 1) for key, v in value.items()}
    if isinstance(value, list | tuple) and levels:
        return [plain(entry, f"{where}[{index}]", levels=levels - 1) for index, entry in enumerate(value)]
    if isinstance(value, int | Mapping | list | tuple):
        raise InputError(f"{where} is too large or nested too deeply to be stored")
    raise InputError(f"{where} is a {type(value).__name__}; only numbers, strings, lists and tables can be stored")


def canonical(value: Any) -> str:
    """The one spelling of plain data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def loads(text: str | bytes, name: str) -> dict[str, Any]:
    """A JSON table of finite numbers and of text, no larger and no deeper than cellfields writes them.

    Raises:
        CorruptFileError: ``text`` is anything else.
    """
    if len(text) > MAX_TEXT:
        raise CorruptFileError(f"{name} is not a cellfields file: its table is larger than any that cellfields writes")
    try:
        table = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
        _require_plain(table)
    except (ValueError, OverflowError, RecursionError) as error:  # also bytes that are no UTF-8
        raise CorruptFileError(f"{name} is truncated or altered: it holds no valid JSON") from error
    if not isinstance(table, dict):
        raise CorruptFileError(f"{name} is not a cellfields file: a JSON table is expected")
    return table


def seal_table(table: Mapping[str, Any]) -> bytes:
    """Readable JSON of a plain table with its hash beside it."""
    return (json.dumps({**table, "sha256": digest(table)}, indent=1, allow_nan=False) + "\n").encode()


def unseal_table(data: bytes, name: str) -> dict[str, Any]:
    """The plain table in bytes that :func:`seal_table` made.

    Raises:
        CorruptFileError: truncated, altered or foreign.
    """
    table = loads(data, name)
    if table.pop("sha256", None) != digest(table):
        raise CorruptFileError(f"{name} is truncated or altered: its SHA-256 does not fit its content")
    return table


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number


def _whole(text: str) -> int:
    number = int(text)
    float(number)  # who calculates with it may: OverflowError where not
    return number


def _require_plain(table: Any) -> None:
    """Refuse halves of characters, and nesting that would exhaust the stack of whoever walks through it."""
    json.dumps(table, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    level = [[table]]
    for _ in range(_DEEPEST):
        level = [_entries(entry) for entries in level for entry in entries if isinstance(entry, dict | list)]
    if level:
        raise ValueError("nested too deeply")


def _entries(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
