"""Result files: they are checked before a calculation begins, and written whole or not at all."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellfields.errors import InputError

if TYPE_CHECKING:
    from cellfields.crystal import Crystal
    from cellfields.state import CellState

WRITTEN_SUFFIX = {
    "--json": ".json",
    "--fields": ".npz",
    "--output": ".nc",
    "--record": ".jsonl",
    "FILE": ".pack",
}
"""Option → suffix of the one format that it writes; a file's name may also have no suffix."""


def check_target(path: Path | None, option: str) -> None:
    """Check before anything is computed that a result file can be written and is named like its format.

    Args:
        path: file that the user named; None and ``-`` (stdout) are always accepted.
        option: name of the option, a key of :data:`WRITTEN_SUFFIX` where it has a format.

    Raises:
        InputError: the path is a folder, lies in a folder that does not exist, or has another suffix.
    """
    if path is None or str(path) == "-":
        return
    wanted = WRITTEN_SUFFIX.get(option)
    if wanted is not None and path.suffix and path.suffix.lower() != wanted:
        raise InputError(f"{option} {path}: only {wanted} files are written; let the name end in {wanted}")
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder; name a file")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{option} {path}: the folder {path.absolute().parent} does not exist")


def write_json(target: Path, table: Mapping[str, Any]) -> None:
    """Write JSON to a file, or to stdout where the target is ``-``."""
    text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
    # Each vector is put on one line. JSON strings hold no raw line breaks, so that only the layout changes.
    text = re.sub(r"\[\n[^\[\]{}]*\n *\]", lambda vector: re.sub(r"\n *", " ", vector[0]), text) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
    else:
        write_file(target, text.encode("utf-8"))


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that either all bytes are in it or an older file stays as it was.

    Raises:
        StoreError: the operating system refused the write.
    """
    from cellfields.storage.atomic import write_durably

    write_durably(path.absolute(), data)


def write_fields(path: Path, state: CellState, crystal: Crystal, shape: tuple[int, int, int]) -> None:
    """Write a state's fields on a uniform grid, with lattice and atoms, as a NumPy ``.npz`` without pickled objects.

    Element (i, j, k) of a field is at the fractional coordinates (i/n1, j/n2, k/n3) of the deformed cell. All fields of
    the state are written in physical units, which the entry ``units`` (JSON) gives.

    Args:
        path: file to write.
        state: a state with fields.
        crystal: the reference crystal.
        shape: points (n1, n2, n3) along each axis.

    Raises:
        InputError: the state holds a field that is not declared.
        StoreError: the operating system refused the write.
    """
    import numpy as np

    from cellfields.state.quantities import ordered_fields, quantity

    assert state.fields is not None  # checked by the commands
    names = ordered_fields(state.fields.coefficients)
    units = {"lattice": "Bohr", "positions": "fractional", "origin": "fractional"}
    units |= {name: quantity(name).unit for name in names}
    arrays: dict[str, Any] = {name: state.fields.on_grid(name, shape) for name in names}
    numbers = (name for name in ("lattice", "positions", "internal", "free_energy") if state.knows(name))
    arrays |= {name: np.asarray(getattr(state, name)) for name in numbers}
    arrays |= {
        "species": np.array(crystal.species),
        "deformation": state.deformation.as_array(),
        "origin": np.zeros(3),
        "units": np.array(json.dumps(units)),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(path, buffer.getvalue())
