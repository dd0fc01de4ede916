"""Reads netCDF arrays in a separate process, which damaged files may crash or hang without harm to the parent.

    python _netcdf_child.py < {"memory": bytes, "seconds": CPU time, "files": [[path, [name, …]], …], "target": folder}

Each array becomes <target>/<file number>.<name>.npy; names that a file lacks are left out. Exit code 0, or 3 with one
sentence on standard error. It imports nothing of the package, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path


def _limit(memory: int, seconds: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # not every system has such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _read(path: str, names: list[str], number: int, target: Path, memory: int) -> None:
    import netCDF4
    import numpy as np

    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        for name in names:
            if name not in file.variables:
                continue
            variable = file.variables[name]
            if np.dtype(variable.dtype).kind not in "iufS":
                raise ValueError(f"variable {name} holds no numbers")
            if variable.size * np.dtype(variable.dtype).itemsize > memory // 4:
                raise ValueError(f"variable {name} claims to be larger than the file can hold")
            np.save(target / f"{number}.{name}.npy", np.asarray(variable[...]), allow_pickle=False)


def main() -> None:
    """Read the files that the JSON on standard input names, and write their arrays."""
    job = json.load(sys.stdin)
    _limit(job["memory"], job["seconds"])
    for number, (path, names) in enumerate(job["files"]):
        try:
            _read(path, names, number, Path(job["target"]), job["memory"])
        except BaseException as error:  # the C library may raise anything on damaged files
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            print(f"{Path(path).name}: {reason}", file=sys.stderr)
            sys.exit(3)


if __name__ == "__main__":
    main()
