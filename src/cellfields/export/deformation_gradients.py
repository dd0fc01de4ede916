"""Reads deformation gradients from .npy or .npz files of (n, 3, 3) or (n, 9) numbers, and from .csv files.

Each row of a .csv file holds the nine numbers F₁₁, F₁₂, …, F₃₃.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.errors import InputError

_KINDS = (".npy", ".npz", ".csv")
_ENCODING = "utf-8-sig"  # spreadsheets begin a file with a byte-order mark


def read_gradients(path: Path) -> FloatArray:
    """Read deformation gradients (n, 3, 3), n ≥ 1.

    Raises:
        InputError: the file does not exist, is damaged or of another kind, or holds an array of another shape or type.
    """
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InputError(f"--deformations {path}: the name must end in {', '.join(_KINDS)}")
    try:
        values = _csv(path) if kind == ".csv" else _numpy(path)
    except OSError as error:
        raise InputError(f"--deformations {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--deformations {path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    wanted = "(n, 3, 3) or (n, 9) numbers, n ≥ 1"
    if values.dtype.kind not in "fiu":
        raise InputError(f"--deformations {path} holds {values.dtype}, it must hold {wanted}")
    if values.ndim == 2 and values.shape[1] == 9:
        values = values.reshape(-1, 3, 3)
    if values.ndim != 3 or values.shape[1:] != (3, 3) or not len(values):
        raise InputError(f"--deformations {path} holds an array of shape {values.shape}, it must hold {wanted}")
    return np.asarray(values, dtype=float)


def _numpy(path: Path) -> Array:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        if len(loaded.files) != 1:
            raise InputError(f"--deformations {path} holds {len(loaded.files)} arrays, it must hold one")
        return np.asarray(loaded[loaded.files[0]])


def _csv(path: Path) -> Array:
    """Numbers separated by commas; lines that begin with # and a first line of column names are skipped."""
    with path.open(encoding=_ENCODING) as file:
        first = file.readline()
    names = 0 if first.startswith("#") or any(map(_is_number, first.split(","))) else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warning of an empty file; the caller checks the shape
        return np.loadtxt(path, delimiter=",", skiprows=names, ndmin=2, encoding=_ENCODING)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
