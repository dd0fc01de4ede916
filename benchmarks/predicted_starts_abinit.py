"""What a predicted density and predicted atoms save ABINIT.

    python benchmarks/predicted_starts_abinit.py STUDY.toml MODEL [--targets 5] [--tolvrs 1e-8] [--json FILE]

The study's [engine] must be that of the model's training states, and its dataset must hold them (`cellfields label`).
For each of ``targets`` test strains, at fixed atoms (the predicted ones) and relaxed, from

    atoms      superposed atoms, ABINIT's defaults, reference coordinates
    nearest    the density of the nearest training strain, and for the relaxation its atoms too
    predicted  the surrogate's density, and for the relaxation its atoms

SCF steps are also read off at looser tolerances: the first step whose squared potential residual (vres2) is below. Wall
and CPU seconds count ABINIT from start to end and, for the last two, the prediction or the read of the state, and
writing the density file. Relaxations end below the study's force_tolerance. Rows are appended to the JSON file as they
come, and a second run goes on from there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cellfields import CellState, Deformation, DensityStart
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.input import OUTPUT_PREFIX
from cellfields.engines.abinit.output import output_files, read_output, scf_history
from cellfields.engines.abinit.run import finished_run
from cellfields.pipeline.study import Study
from cellfields.surrogate import Surrogate

KINDS = ("atoms", "nearest", "predicted")
LEVELS = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12)


def main() -> None:
    """Measure what is missing, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--targets", type=int, default=5)
    parser.add_argument("--tolvrs", type=float, default=None, help="default: as the engine's scf_tolerance asks")
    parser.add_argument("--command", default="abinit")
    parser.add_argument("--no-relax", action="store_true")
    parser.add_argument("--variables", type=json.loads, default={}, help='as JSON: {"nline": 6}')
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    study, surrogate = Study.load(arguments.study), Surrogate.load(arguments.model, outside="flag")
    variables = dict(arguments.variables)
    if arguments.tolvrs is not None:
        variables["tolvrs"] = arguments.tolvrs
    settings = study.configuration.engine.model_copy(update={"plane_waves": "k_sphere"})
    engine = AbinitEngine(study.crystal, settings, AbinitOptions(command=arguments.command, variables=variables))
    result: dict[str, Any] = {"settings": engine.identity.table, "n_train": surrogate.metadata.get("n_train")}
    rows = kept_rows(arguments.json, result)
    pool = study.training_states(study.open_store())
    done = {(row["target"], row["run"], row["start"]) for row in rows}
    for target, deformation in enumerate(study.test[: arguments.targets]):
        for run in ("held",) if arguments.no_relax else ("held", "relaxed"):
            for kind in KINDS:
                if (target, run, kind) in done:
                    continue
                rows.append(
                    {
                        "target": target,
                        "run": run,
                        "start": kind,
                        **measure(engine, surrogate, pool, deformation, run, kind),
                    }
                )
                print({k: v for k, v in rows[-1].items() if k not in ("residuals", "forces", "stress")}, flush=True)
                write(arguments.json, {**result, "rows": rows})
    summary = summarise(rows)
    print(json.dumps(summary, indent=1))
    write(arguments.json, {**result, "medians": summary, "rows": rows})


def measure(
    engine: AbinitEngine, surrogate: Surrogate, pool: list[CellState], deformation: Deformation, run: str, kind: str
) -> dict[str, Any]:
    """One run of ABINIT, and everything that comes before it."""
    internal = surrogate.solve(deformation).internal  # compiled, and where the atoms of "held" are
    begin, cpu = time.perf_counter(), time.process_time()
    start = None
    if kind == "nearest":
        start = DensityStart.of(nearest(pool, deformation), with_atoms=True)
    elif kind == "predicted":
        start = DensityStart.of(surrogate.solve(deformation), with_atoms=True)
    relax = run == "relaxed"
    if relax:
        internal = np.zeros(len(internal)) if start is None or start.internal is None else start.internal
    given = engine.input(deformation, internal, relax=relax, start=start)
    with tempfile.TemporaryDirectory() as folder:
        given.write(Path(folder))
    before, before_cpu = time.perf_counter() - begin, time.process_time() - cpu
    with finished_run(given, engine.options) as finished:
        cycles = scf_history(finished.main_output)
        output = read_output(
            {k: v for k, v in output_files(finished.folder, OUTPUT_PREFIX).items() if k in ("GSR", "HIST")}
        )
        seconds, cpu_seconds = finished.wall_seconds, finished.cpu_seconds
    return {
        "scf_steps": sum(map(len, cycles)),
        "solves": len(cycles),
        "seconds": round(before + seconds, 3),
        "cpu_seconds": round(before_cpu + cpu_seconds, 3),
        "preparation_seconds": round(before, 4),
        "residuals": [step["potential_residual"] for step in cycles[0]],
        "free_energy": output.energies["free_energy"] * engine.crystal.n_translations,
        "largest_force": float(np.abs(output.forces).max()),
        "forces": output.forces.tolist(),
        "stress": output.stress.tolist(),
    }


def kept_rows(path: Path | None, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows that an earlier run with the same settings left."""
    if path is None or not path.is_file():
        return []
    old = json.loads(path.read_text())
    if {name: old.get(name) for name in result} != json.loads(json.dumps(result)):
        raise SystemExit(f"{path} was made with other settings")
    rows: list[dict[str, Any]] = old["rows"]
    return rows


def nearest(pool: list[CellState], deformation: Deformation) -> CellState:
    """The training state at the nearest strain, each component in its standard deviations."""
    places = np.array([state.deformation.as_array() for state in pool])
    distances = np.linalg.norm((places - deformation.as_array()) / places.std(axis=0), axis=1)
    return pool[int(distances.argmin())]


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians, ratios to superposed atoms (medians of the ratio of each target), and how far results are apart."""
    table = []
    for run in ("held", "relaxed"):
        cold = {row["target"]: row for row in rows if row["run"] == run and row["start"] == "atoms"}
        for kind in KINDS:
            mine = [row for row in rows if row["run"] == run and row["start"] == kind and row["target"] in cold]
            if not mine:
                continue
            entry: dict[str, Any] = {"run": run, "start": kind, "targets": len(mine)}
            for key in ("scf_steps", "solves", "seconds", "cpu_seconds", "preparation_seconds"):
                entry[key] = median(row[key] for row in mine)
            for key in ("scf_steps", "solves", "seconds", "cpu_seconds"):
                entry[f"saved_{key}"] = round(median(1 - row[key] / cold[row["target"]][key] for row in mine), 3)
            if run == "held":
                entry["steps_to_vres2"] = {f"{level:g}": steps_to(mine, level) for level in LEVELS}
            for key in ("free_energy", "forces", "stress"):
                apart = (np.abs(np.array(row[key]) - np.array(cold[row["target"]][key])).max() for row in mine)
                entry[f"largest_difference_{key}"] = float(max(apart))
            table.append(entry)
    return table


def steps_to(rows: list[dict[str, Any]], level: float) -> float | None:
    """Median number of SCF steps until vres2 is below a level; None where a run ended above it."""
    steps = [next((i + 1 for i, x in enumerate(row["residuals"]) if x < level), None) for row in rows]
    return None if None in steps else float(median(step for step in steps if step is not None))


def write(path: Path | None, table: dict[str, Any]) -> None:
    """Replace the file as a whole."""
    if path is not None:
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(table, indent=1) + "\n")
        temporary.replace(path)


if __name__ == "__main__":
    main()
