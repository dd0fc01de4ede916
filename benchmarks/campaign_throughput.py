"""How much faster two workers label than one.

    python benchmarks/campaign_throughput.py [--strains 24] [--json FILE]

The same relaxed labels of hcp Mg at the paper's settings, in fresh datasets, through the pool of processes with one and
with two workers. Printed: labels an hour over the whole call (with the start of the processes, and the end, when one
worker has nothing more to do) and in between, when all workers are busy, and the ratios of both; and what the ratio
tends to in a long campaign: twice the seconds of a solve beside no other over those of a solve beside another.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.starts import MAGNESIUM
from cellfields import Crystal, DatasetStore, PlaneWaveEngine, PlaneWaveSettings, sample_deformations
from cellfields.dataset._workers import in_own_pool


def measure(engine: PlaneWaveEngine, strains: int, workers: int) -> dict[str, Any]:
    """One campaign in a dataset of its own."""
    deformations = sample_deformations(engine.crystal, strains, seed=2021)
    with tempfile.TemporaryDirectory() as directory:
        store = DatasetStore.create_or_open(directory, engine.crystal, engine.identity)
        begin = time.perf_counter()
        ends, insides = [], []
        for _, outcome in in_own_pool(store, engine, deformations, None, workers):
            assert outcome.failure is None, outcome.failure
            ends.append(time.perf_counter() - begin)
            insides.append(outcome.seconds)
            print(f"  {workers} workers: {len(ends)}/{strains} {outcome.seconds:.1f} s", flush=True)
    total = ends[-1]
    # Steady: all workers busy. Nothing is left to hand out once strains − workers have ended, and one more is ending.
    first, last = workers - 1, strains - workers
    steady = ends[last] - ends[first]
    labels = last - first
    return {
        "workers": workers,
        "seconds": total,
        "labels_an_hour": 3600 * strains / total,
        "steady_labels_an_hour": 3600 * labels / steady,
        "seconds_inside_solve": sum(insides) / strains,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strains", type=int, default=24)
    parser.add_argument("--cutoff", type=float, default=24)
    parser.add_argument("--kmesh", type=int, nargs=3, default=(12, 12, 12))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    crystal = Crystal.from_lengths_and_angles(**MAGNESIUM)
    engine = PlaneWaveEngine(
        crystal, PlaneWaveSettings(smearing="cold", cutoff=arguments.cutoff, kmesh=tuple(arguments.kmesh))
    )
    one, two = measure(engine, arguments.strains, 1), measure(engine, arguments.strains, 2)
    report = {
        "strains": arguments.strains,
        "k_points": len(engine.kmesh.points),
        "one": one,
        "two": two,
        "ratio": two["labels_an_hour"] / one["labels_an_hour"],
        "steady_ratio": two["steady_labels_an_hour"] / one["steady_labels_an_hour"],
        "ratio_of_a_long_campaign": 2 * one["seconds_inside_solve"] / two["seconds_inside_solve"],
    }
    print(json.dumps(report, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
