"""What a predicted density and predicted atoms save the embedded engine.

    python benchmarks/predicted_starts.py STUDY.toml MODEL [--targets 6] [--json FILE]

The study's [engine] must be that of the model's training states, and its dataset must hold them (`cellfields label`).
For each of ``targets`` test strains, at fixed atoms (the predicted ones) and relaxed, from

    atoms      superposed atoms, reference coordinates
    nearest    the density of the nearest training strain, and for the relaxation its atoms too
    predicted  the surrogate's density, and for the relaxation its atoms
    curvature  the same with the curvature that one solve at the reference strain has measured (relaxation only)

SCF steps are those on the full k mesh and, in brackets in the engine's provenance, on the coarse one; both are kept.
Seconds count the prediction, or the read of the state. Rows are appended to the JSON file as they come, and a second
run goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.predicted_starts_abinit import kept_rows, nearest, write
from cellfields import CellState, Deformation, DensityStart, PlaneWaveEngine
from cellfields.pipeline.study import Study
from cellfields.surrogate import Surrogate

RUNS = {"held": ("atoms", "nearest", "predicted"), "relaxed": ("atoms", "nearest", "predicted", "curvature")}
COUNTS = ("solves", "coarse_solves", "scf_steps", "coarse_scf_steps", "seconds", "cpu_seconds")


def main() -> None:
    """Measure what is missing, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--targets", type=int, default=6)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    study, surrogate = Study.load(arguments.study), Surrogate.load(arguments.model, outside="flag")
    engine = PlaneWaveEngine(study.crystal, study.configuration.engine)
    result: dict[str, Any] = {
        "settings": engine.identity.table,
        "k_points": len(engine.kmesh.points),
        "n_train": surrogate.metadata.get("n_train"),
    }
    rows = kept_rows(arguments.json, result)
    pool = study.training_states(study.open_store())
    done = {(row["target"], row["run"], row["start"]) for row in rows}
    missing = [
        (target, deformation, run, kind)
        for target, deformation in enumerate(study.test[: arguments.targets])
        for run, kinds in RUNS.items()
        for kind in kinds
        if (target, run, kind) not in done
    ]
    identity = Deformation.identity(study.crystal)
    curvature = engine.solve_and_continue(identity)[1].hessian if missing else None
    for target, deformation, run, kind in missing:
        row = measure(engine, surrogate, pool, deformation, run, kind, curvature)
        rows.append({"target": target, "run": run, "start": kind, **row})
        print({k: v for k, v in rows[-1].items() if k not in ("forces", "stress")}, flush=True)
        write(arguments.json, {**result, "rows": rows})
    summary = summarise(rows)
    print(json.dumps(summary, indent=1))
    write(arguments.json, {**result, "medians": summary, "rows": rows})


def measure(
    engine: PlaneWaveEngine,
    surrogate: Surrogate,
    pool: list[CellState],
    deformation: Deformation,
    run: str,
    kind: str,
    curvature: np.ndarray | None,
) -> dict[str, Any]:
    """One solve, and everything that comes before it."""
    internal = surrogate.solve(deformation).internal  # compiled, and where the atoms of "held" are
    begin, cpu = time.perf_counter(), time.process_time()
    start = None
    if kind == "nearest":
        start = DensityStart.of(nearest(pool, deformation), with_atoms=True)
    elif kind != "atoms":
        known = curvature if kind == "curvature" else None
        start = DensityStart.of(surrogate.solve(deformation), with_atoms=True, curvature=known)
    if run == "held":
        state = engine.evaluate(deformation, internal, start=start)
    else:
        state = engine.solve(deformation, start=start)
    told = state.provenance
    return {
        **{name: told.get(name, 0) for name in COUNTS[:4]},
        "seconds": round(time.perf_counter() - begin, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "free_energy": state.free_energy,
        "largest_force": told["max_force"],
        "forces": state.forces.tolist(),
        "stress": state.stress.tolist(),
    }


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians, medians of what each target saved against superposed atoms, and how far results are apart."""
    table = []
    for run, kinds in RUNS.items():
        cold = {row["target"]: row for row in rows if row["run"] == run and row["start"] == "atoms"}
        for kind in kinds:
            mine = [row for row in rows if row["run"] == run and row["start"] == kind and row["target"] in cold]
            if not mine:
                continue
            entry: dict[str, Any] = {"run": run, "start": kind, "targets": len(mine)}
            entry |= {key: median(row[key] for row in mine) for key in COUNTS}
            for key in ("solves", "scf_steps", "seconds", "cpu_seconds"):
                entry[f"saved_{key}"] = round(median(1 - row[key] / cold[row["target"]][key] for row in mine), 3)
            for key in ("free_energy", "forces", "stress"):
                apart = (np.abs(np.array(row[key]) - np.array(cold[row["target"]][key])).max() for row in mine)
                entry[f"largest_difference_{key}"] = float(max(apart))
            table.append(entry)
    return table


if __name__ == "__main__":
    main()
