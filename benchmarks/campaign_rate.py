"""How long a campaign takes: relaxed labels at the paper's settings, two worker processes, through the dataset store.

    python benchmarks/campaign_rate.py DIRECTORY [--strains 50] [--pseudopotential mg.pseu] [--json FILE]

The directory is a dataset; running again resumes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cellfields import Crystal, DatasetStore, PlaneWaveEngine, PlaneWaveSettings, sample_deformations
from cellfields.dataset import label
from tests.reference.abinit.make_references import MAGNESIUM


def main() -> None:
    """Label, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--strains", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2021)
    parser.add_argument("--pseudopotential", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    crystal = Crystal.from_lengths_and_angles(**MAGNESIUM)
    files = {"Mg": arguments.pseudopotential.resolve()} if arguments.pseudopotential else {}
    engine = PlaneWaveEngine(
        crystal, PlaneWaveSettings(smearing="cold", cutoff=24, kmesh=(12, 12, 12), pseudopotentials=files)
    )
    store = DatasetStore.create_or_open(arguments.directory, crystal, engine.identity)
    strains = sample_deformations(crystal, arguments.strains, seed=arguments.seed)
    missing = len(store.missing(strains))
    start = time.perf_counter()
    summary = label(
        store,
        engine,
        strains,
        workers=arguments.workers,
        on_event=lambda e: print(f"{e.kind} {e.done}/{e.total} {e.seconds:.1f} s", flush=True),
    )
    wall = time.perf_counter() - start
    states = [store.read(d) for d in strains if store.has(d)]
    report = {
        "strains": arguments.strains,
        "solved_now": summary.solved,
        "failed": summary.failed,
        "wall_s": wall,
        "seconds_a_label": wall / max(missing, 1),
        "hours_for_3000": 3000 * wall / max(missing, 1) / 3600,
        "engine_seconds_median": median(float(s.provenance["wall_seconds"]) for s in states),
        "solves_median": median(int(s.provenance["solves"]) for s in states),
        "largest_force": max(float(np.abs(s.forces).max()) for s in states if s.forces is not None),
        "mebibytes_a_label": store.info().bytes_on_disk / 2**20 / max(len(states), 1),
    }
    print(json.dumps(report, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
