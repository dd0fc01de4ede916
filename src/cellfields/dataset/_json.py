"""Plain data as JSON with one spelling, so that equal data have equal hashes, and sealed tables of it.

seal(table) = table ∪ {"sha256": SHA-256 of the canonical spelling of table}
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cellfields.errors import CorruptFileError, InputError


def plain(value: Any, where: str) -> Any:
    """Numbers, strings, lists and tables of them, with NumPy's types made Python's.

    A number that is not finite becomes its name ("nan", "inf"): JSON has no such number, and a residual that blew up
    is worth keeping.

    Raises:
        InputError: anything else, named by ``where``.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist(), where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry, f"{where}[{index}]") for index, entry in enumerate(value)]
    raise InputError(f"{where} is a {type(value).__name__}; only numbers, strings, lists and tables can be stored")


def canonical(value: Any) -> str:
    """The one spelling of plain data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def loads(text: str | bytes, name: str) -> dict[str, Any]:
    """A JSON table without NaN.

    Raises:
        CorruptFileError: ``text`` is anything else.
    """
    try:
        table = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # also bytes that are no UTF-8, and nesting made to exhaust the stack
        raise CorruptFileError(f"{name} is truncated or altered: it holds no valid JSON") from error
    if not isinstance(table, dict):
        raise CorruptFileError(f"{name} is not a cellfields file: a JSON table is expected")
    return table


def seal_table(table: Mapping[str, Any]) -> bytes:
    """Readable JSON of a plain table with its hash beside it."""
    return (json.dumps({**table, "sha256": digest(table)}, indent=1, allow_nan=False) + "\n").encode()


def unseal_table(data: bytes, name: str) -> dict[str, Any]:
    """Inverse of :func:`seal_table`.

    Raises:
        CorruptFileError: truncated, altered or foreign.
    """
    table = loads(data, name)
    if table.pop("sha256", None) != digest(table):
        raise CorruptFileError(f"{name} is truncated or altered: its SHA-256 does not fit its content")
    return table


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
