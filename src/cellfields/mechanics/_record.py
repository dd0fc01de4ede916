"""Converged points in a file of JSON lines, one for each point: a killed run loses only the unfinished point.

    {"format": "cellfields-points", "version": 1, "key": {crystal, engine, test …}}
    {…point…}
    {…point…}

A line is appended with one write and synchronised. Half a last line, left by a crash, is cut off at the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellfields.engines.contract import Engine, IdentifiedEngine
from cellfields.errors import CorruptFileError, InputError, SettingsMismatchError

_FORMAT, _VERSION = "cellfields-points", 1


@dataclass(frozen=True, eq=False)
class Record:
    """An open file of points.

    Attributes:
        path: the file.
        entries: the points that were in the file when it was opened.
    """

    path: Path
    entries: tuple[dict[str, Any], ...]

    @classmethod
    def open(cls, path: Path, engine: Engine, settings: Mapping[str, Any]) -> Record:
        """Open the file, or create it where it does not exist.

        Raises:
            InputError: the folder does not exist, or the engine has no identity.
            SettingsMismatchError: the file belongs to another crystal, engine or test.
            CorruptFileError: the file is not a record of points.
        """
        if not isinstance(engine, IdentifiedEngine):
            raise InputError(
                f"record: a {type(engine).__name__} cannot say what its numbers depend on, so that they cannot be "
                "kept for a later run; only engines with an identity can"
            )
        if not path.absolute().parent.is_dir():
            raise InputError(f"record {path}: the folder {path.absolute().parent} does not exist")
        key = {"crystal": engine.crystal.fingerprint, "engine": dict(engine.identity.table), **settings}
        header = {"format": _FORMAT, "version": _VERSION, "key": json.loads(json.dumps(key))}
        if path.exists() and not path.is_file():
            raise InputError(f"record {path} is not a file")
        first = _line(header)
        content = path.read_bytes() if path.is_file() else b""
        whole, _, torn = content.rpartition(b"\n")
        if not whole:
            if not first.startswith(content):  # half a header may be left by a crash; else it is another file
                raise CorruptFileError(f"{path} is not a record of points")
            path.write_bytes(b"")
            record = cls(path, ())
            record.append(header)
            return record
        entries = _entries(path, whole.split(b"\n"), header)
        if torn:
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1)
        return cls(path, entries)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Append one point as a line, and synchronise the file: after the return the line survives a power cut."""
        with self.path.open("ab", buffering=0) as file:
            file.write(_line(entry))
            os.fsync(file.fileno())


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _entries(path: Path, lines: list[bytes], header: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    try:
        first_line, *entries = [json.loads(line) for line in lines]
        kind, version, key = first_line["format"], first_line["version"], first_line["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(f"{path} is not a record of points") from error
    if (kind, version) != (_FORMAT, _VERSION):
        raise CorruptFileError(f"{path} is a {kind} file of version {version}, not a record of points")
    different = sorted(name for name in {*key, *header["key"]} if key.get(name) != header["key"].get(name))
    if different:
        raise SettingsMismatchError(f"record {path} belongs to another test: its {', '.join(different)} differ")
    return tuple(entries)
