"""Safe reading of netCDF files: any content gives arrays or one typed error.

The C libraries under netCDF (HDF5 above all) crash, loop or allocate without bounds on some damaged files. They run in
a child process with limits on memory and time, which returns plain arrays.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cellfields._typing import Array
from cellfields.errors import CorruptFileError, InputError

_CHILD = Path(__file__).with_name("_netcdf_child.py")
_MEMORY = 2**30  # bytes that Python, NumPy and the netCDF library may take beside the file's content
_COPIES = 8  # copies of a file's content that may be in memory at a time
_SECONDS, _BYTES_A_SECOND = 60.0, 5e6  # time limit: a constant, and the speed of a slow disk


def require_netcdf() -> None:
    """Check that ABINIT's files can be read, before a run is begun.

    Raises:
        InputError: the netCDF4 library is not installed.
    """
    if importlib.util.find_spec("netCDF4") is None:
        raise InputError("ABINIT's files need the netCDF4 library: pip install 'cellfields[abinit]'")


def read_netcdf(files: Mapping[Path, Sequence[str]], *, timeout: float | None = None) -> dict[Path, dict[str, Array]]:
    """Arrays of several files (netCDF classic or netCDF-4), all read by one child process.

    Args:
        files: path → names of variables, which hold numbers or characters.
        timeout: seconds that reading may take; None means a minute, and more for large files.

    Returns:
        path → name → array; names that a file does not hold are left out.

    Raises:
        InputError: the netCDF4 library is not installed.
        CorruptFileError: a file is missing, is not netCDF, is damaged, or takes too much memory or time.
    """
    require_netcdf()
    for path in files:
        if not path.is_file():
            raise CorruptFileError(f"{path} is not there")
    size = sum(path.stat().st_size for path in files)
    seconds = _SECONDS + size / _BYTES_A_SECOND if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="cellfields-netcdf-") as target:
        job = {
            "memory": _MEMORY + _COPIES * size,
            "seconds": int(seconds) + 1,
            "files": [[str(path.resolve()), list(names)] for path, names in files.items()],
            "target": target,
        }
        _run_child(json.dumps(job), files, seconds)
        return {
            path: {
                name: np.load(file, allow_pickle=False) for name in names if (file := _file(target, i, name)).exists()
            }
            for i, (path, names) in enumerate(files.items())
        }


def _file(target: str, number: int, name: str) -> Path:
    return Path(target, f"{number}.{name}.npy")


def _run_child(job: str, files: Mapping[Path, Sequence[str]], seconds: float) -> None:
    names = " or ".join(str(path) for path in files)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        child = subprocess.run(
            [sys.executable, "-P", str(_CHILD)],  # -P: the modules beside the script must not hide others
            input=job.encode(),
            capture_output=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CorruptFileError(f"{names} could not be read within {seconds:g} seconds: it may be damaged") from None
    if child.returncode == 3:
        reason = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise CorruptFileError(f"netCDF file {(reason or [names])[0]}")
    if child.returncode != 0:
        raise CorruptFileError(f"{names} is damaged: the netCDF library broke down over it")
