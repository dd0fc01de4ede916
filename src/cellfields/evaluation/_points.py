"""Energies and stresses of single solves with atoms held, each written to a file as soon as it is finished.

    <folder>/<key>.json        key = SHA-256 of (crystal, engine settings, D)

Any later ladder that needs the same solve reads it from its file. Files are written whole or not at all; a damaged file
is treated as missing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import FirstPrinciplesEngine
from cellfields.storage.atomic import make_directory, sweep, write_durably
from cellfields.storage.json_tables import digest

_FORMAT, _VERSION = "cellfields-point", 1


@dataclass(frozen=True)
class Point:
    """The numbers that are kept of one solve.

    Attributes:
        free_energy, entropic_energy: F and −TS, Hartree per cell of the crystal that was solved.
        stress: (3, 3) Cauchy stress, Hartree/Bohr³.
        k_points: number of k points that were solved, or 0 where the engine does not report it.
        seconds: CPU time of the solve.
    """

    free_energy: float
    entropic_energy: float
    stress: tuple[tuple[float, float, float], ...]
    k_points: int
    seconds: float


@dataclass(frozen=True)
class KeptPoints:
    """Solves strains and keeps their points in a folder; with the folder None every strain is solved anew."""

    folder: Path | None

    def __post_init__(self) -> None:
        if self.folder is not None and self.folder.is_dir():
            sweep(self.folder)

    def solve(self, engine: FirstPrinciplesEngine, deformation: Deformation) -> Point:
        """Point of a strain, read from its file or solved with atoms at their reference fractional coordinates.

        Raises:
            InputError, SCFNotConverged: raised by the engine's ``evaluate``.
            StoreError: the folder cannot be written.
        """
        path = None if self.folder is None else self.folder / f"{_key(engine, deformation)}.json"
        kept_point = None if path is None else _read(path)
        if kept_point is not None:
            return kept_point
        state = engine.evaluate(deformation, np.zeros(engine.crystal.n_internal))
        assert state.entropic_energy is not None and state.stress is not None  # first-principles engines know them
        provenance = state.provenance
        point = Point(
            state.free_energy,
            state.entropic_energy,
            tuple((float(x), float(y), float(z)) for x, y, z in state.stress),
            int(provenance.get("k_points", 0)),
            float(provenance.get("cpu_seconds", provenance.get("wall_seconds", 0.0))),
        )
        if path is not None:
            make_directory(path.parent)
            table = {"format": _FORMAT, "version": _VERSION, **asdict(point)}
            write_durably(path, (json.dumps(table, allow_nan=False) + "\n").encode())
        return point


def _key(engine: FirstPrinciplesEngine, deformation: Deformation) -> str:
    return digest(
        [engine.crystal.fingerprint, dict(engine.identity.table), [f"{x:.10f}" for x in deformation.as_array()]]
    )


def _read(path: Path) -> Point | None:
    try:
        table = json.loads(path.read_bytes())
        if (table.pop("format"), table.pop("version")) != (_FORMAT, _VERSION):
            return None
        stress = tuple((float(x), float(y), float(z)) for x, y, z in table.pop("stress"))
        return Point(stress=stress, **table) if len(stress) == 3 else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
