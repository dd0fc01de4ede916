"""Result files: whole or not at all, and never an excuse to start a calculation that cannot be written."""

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
"""What the name of the file of an option ends in, if it ends in anything: the one format that the option writes."""


def check_target(path: Path | None, option: str) -> None:
    """Refuse a file that could not be written, or whose name promises another format, before anything is computed.

    Args:
        path: what the user gave; None and ``-`` (stdout) are always right.
        option: its name, for the message and for the suffix that goes with it (:data:`WRITTEN_SUFFIX`).

    Raises:
        InputError: a folder, a missing folder, or another suffix.
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
    # A vector on one line. JSON strings hold no raw line breaks, so only the layout changes.
    text = re.sub(r"\[\n[^\[\]{}]*\n *\]", lambda found: re.sub(r"\n *", " ", found[0]), text) + "\n"
    if str(target) == "-":
        sys.stdout.write(text)
    else:
        write_file(target, text.encode("utf-8"))


def write_file(path: Path, data: bytes) -> None:
    """All of the bytes under the name, or what was there before."""
    from cellfields.storage.atomic import write_durably

    write_durably(path.absolute(), data)


def write_fields(path: Path, state: CellState, crystal: Crystal, shape: tuple[int, int, int]) -> None:
    """Fields on a uniform grid and what is needed to place them, as a NumPy ``.npz`` without pickled objects.

    Point (i, j, k) of an array is at the fractional coordinates (i/n1, j/n2, k/n3) of the deformed cell. All fields
    that the state holds are written, in physical units, which ``units`` names.

    Raises:
        InputError: a field that nobody declared.
    """
    import numpy as np

    from cellfields.state.quantities import ordered_fields, quantity

    assert state.fields is not None  # the commands check
    names = ordered_fields(state.fields.coefficients)
    units = {"lattice": "Bohr", "positions": "fractional", "origin": "fractional"}
    units |= {name: quantity(name).unit for name in names}
    arrays: dict[str, Any] = {name: state.fields.on_grid(name, shape) for name in names}
    known = (name for name in ("lattice", "positions", "internal", "free_energy") if state.knows(name))
    arrays |= {name: np.asarray(getattr(state, name)) for name in known}
    arrays |= {
        "species": np.array(crystal.species),
        "deformation": state.deformation.as_array(),
        "origin": np.zeros(3),
        "units": np.array(json.dumps(units)),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(path, buffer.getvalue())
