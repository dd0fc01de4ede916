"""What a neighbour's density, or its density and basis, save the next solve.

    python benchmarks/starts.py [--pool 60] [--targets 6] [--json FILE]

Strains of hcp Mg from the paper's distribution. ``pool`` of them are solved; then each of ``targets`` others is solved
cold, from the density of the nearest one (what ``NeighbourStarter`` hands out), and from the whole continuation of
that one (density, reduced basis, curvature, mixing history). Both the relaxation and a solve at fixed atoms. SCF
steps are counted on the full and on the coarse mesh; medians of all, and the largest difference of F (Hartree).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cellfields import CellState, Crystal, DensityStart, PlaneWaveEngine, PlaneWaveSettings, sample_deformations

MAGNESIUM: dict[str, Any] = {
    "lengths": [5.89, 10.201779256580686, 9.56],
    "angles": [90, 90, 90],
    "species": ["Mg"] * 4,
    "positions": [[0, 0, 0], [0.5, 0.5, 0], [0, 2 / 3, 0.5], [0.5, 1 / 6, 0.5]],
}
SPREAD = np.array([0.05] * 3 + [3.0] * 3)


def main() -> None:
    """Solve, compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=60)
    parser.add_argument("--targets", type=int, default=6)
    parser.add_argument("--cutoff", type=float, default=12)
    parser.add_argument("--kmesh", type=int, nargs=3, default=(8, 8, 8))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    crystal = Crystal.from_lengths_and_angles(**MAGNESIUM)
    engine = PlaneWaveEngine(
        crystal, PlaneWaveSettings(smearing="cold", cutoff=arguments.cutoff, kmesh=tuple(arguments.kmesh))
    )
    strains = sample_deformations(crystal, arguments.pool + arguments.targets, seed=3)
    pool = strains[: arguments.pool]
    places = np.array([d.as_array() for d in pool]) / SPREAD
    rows: list[dict[str, Any]] = []
    for target in strains[arguments.pool :]:
        distance = np.linalg.norm(places - target.as_array() / SPREAD, axis=1)
        neighbour, continuation = engine.solve_and_continue(pool[int(distance.argmin())])
        starts = {"cold": None, "density": DensityStart.of(neighbour), "continuation": continuation}
        relaxed = engine.solve(target)
        for kind in ("solve", "evaluate"):
            for name, start in starts.items():
                begin = time.perf_counter()
                if kind == "solve":
                    state = engine.solve(target, start=start)
                else:
                    state = engine.evaluate(target, relaxed.internal, start=start)
                rows.append(_row(kind, name, distance.min(), state, time.perf_counter() - begin, relaxed))
                print(rows[-1], flush=True)
    table = []
    for kind in ("solve", "evaluate"):
        for name in ("cold", "density", "continuation"):
            mine = [row for row in rows if row["kind"] == kind and row["start"] == name]
            entry: dict[str, Any] = {"kind": kind, "start": name}
            entry |= {key: median(row[key] for row in mine) for key in ("scf_steps", "coarse_scf_steps", "seconds")}
            entry["largest_energy_difference"] = max(abs(row["energy_difference"]) for row in mine)
            table.append(entry)
            print(entry)
    if arguments.json is not None:
        settings = {"cutoff": arguments.cutoff, "kmesh": list(arguments.kmesh), "k_points": len(engine.kmesh.points)}
        result = {"settings": settings, "pool": arguments.pool, "medians": table, "rows": rows}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def _row(kind: str, name: str, distance: float, state: CellState, seconds: float, cold: CellState) -> dict[str, Any]:
    return {
        "kind": kind,
        "start": name,
        "distance_in_sigma": float(distance),
        "solves": state.provenance["solves"],
        "scf_steps": state.provenance["scf_steps"],
        "coarse_scf_steps": state.provenance.get("coarse_scf_steps", 0),
        "seconds": round(seconds, 2),
        "energy_difference": state.free_energy - cold.free_energy,
    }


if __name__ == "__main__":
    main()
