"""A sealed safetensors file: named arrays, a JSON header, and the SHA-256 of every byte of it.

    length (8 bytes) | {"__metadata__":{"seal":"<64 hex>","kind":…,"header":…}, "<array>":{dtype, shape, …}, …} | data
    seal = SHA-256 of the file with 64 zeros where the seal stands

Any reader of safetensors opens it; this one parses nothing before the seal holds, so what a crash or a bad disk did
to a file is one clear sentence. A forged seal gets no further than the safetensors and JSON parsers: nothing is ever
executed, and no allocation exceeds a small multiple of the file's own, limited, size.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

from cellfields._typing import Array
from cellfields.errors import CorruptFileError, InputError
from cellfields.storage.json_tables import MAX_TEXT, canonical, loads

MAX_FILE = 1 << 30  # bytes
MAX_HEADER = MAX_TEXT
_DTYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "uint8": "U8"}
_PREFIX = b'{"__metadata__":{"seal":"'
_START = 8 + len(_PREFIX)
_END = _START + 64


def seal(kind: str, header: Mapping[str, Any], tensors: Mapping[str, Array]) -> bytes:
    """The file's bytes, the same for the same content.

    Args:
        kind: what the file holds, checked on reading.
        header: plain JSON data.
        tensors: arrays of float64 or float32, int64 or int32, or bytes (uint8).

    Raises:
        InputError: larger than a file may be.
    """
    table: dict[str, Any] = {"__metadata__": {"seal": "0" * 64, "kind": kind, "header": canonical(header)}}
    offset = 0
    for name in sorted(tensors):
        array = tensors[name]
        end = offset + array.nbytes
        table[name] = {"dtype": _DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data start on a multiple of eight
    if len(text) > MAX_HEADER or offset > MAX_FILE - MAX_HEADER - 8:
        raise InputError(f"a {kind} of {len(text)} bytes of header and {offset} of data is too large to be stored")
    data = bytearray(8 + len(text) + offset)  # filled in place: a packed dataset is large, and exists once
    data[: 8 + len(text)] = len(text).to_bytes(8, "little") + text
    begin = 8 + len(text)
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], dtype=tensors[name].dtype.newbyteorder("<"))
        data[begin : begin + array.nbytes] = array.reshape(-1).view(np.uint8).data
        begin += array.nbytes
    data[_START:_END] = _seal_of(data).encode()
    return bytes(data)


def holds(data: bytes) -> bool:
    """Whether these bytes are a sealed file, whole and unaltered."""
    return data[8:_START] == _PREFIX and data[_START:_END] == _seal_of(data).encode()


def unseal(data: bytes, kind: str, name: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays (read-only) of a sealed file.

    Raises:
        CorruptFileError: truncated, altered, foreign, or of another kind; ``name`` says which file.
    """
    if data[8:_START] != _PREFIX:
        raise CorruptFileError(f"{name} is not a file that cellfields sealed (or only the beginning of one)")
    if not holds(data):
        raise CorruptFileError(f"{name} is truncated or altered: its SHA-256 does not fit its content")
    length = int.from_bytes(data[:8], "little")
    if length > min(MAX_HEADER, len(data) - 8):
        raise CorruptFileError(f"{name} is malformed: its header is longer than the file or the limit")
    metadata = loads(data[8 : 8 + length], name).get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("header"), str):
        raise CorruptFileError(f"{name} is malformed: it has no header")
    if metadata.get("kind") != kind:
        raise CorruptFileError(f"{name} holds a {str(metadata.get('kind'))[:40]!r}, not a {kind}")
    header = loads(metadata["header"], name)
    try:
        tensors = load(data)
    except Exception as error:  # the parser of a foreign library, on bytes that may have been forged
        raise CorruptFileError(f"{name} is malformed: its table of arrays is inconsistent") from error
    for array in tensors.values():
        if array.dtype.name not in _DTYPES:
            raise CorruptFileError(f"{name} is malformed: arrays of {array.dtype.name} do not belong there")
    return header, tensors


def read_limited(path: Path) -> bytes:
    """All bytes of a file that is no larger than a sealed file may be.

    Raises:
        CorruptFileError: too large.
        InputError: it does not exist or cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE:
                raise CorruptFileError(f"{path} is larger than any file that cellfields writes")
            return file.read(size)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _seal_of(data: bytes | bytearray) -> str:
    view = memoryview(data)
    found = hashlib.sha256(view[:_START])
    found.update(b"0" * 64)
    found.update(view[_END:])
    return found.hexdigest()
