"""How many material points a second the constitutive law answers: P and dP/dF, double and single precision.

    python benchmarks/constitutive_rate.py [--model FILE] [--points 100000] [--threads 2] [--repeats 3] [--json FILE]

Without --model: untrained surrogates of the recipes' sizes (paper: 6-50-100-50-1; best: a polynomial of degree 6), on a
closed formula. One process; --threads Python threads share the points, each on one core as far as there are cores.
CPU seconds are reported beside wall seconds: on a machine with other work they are the steadier measure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # one core a thread of ours

import numpy as np  # noqa: E402

from cellfields import Surrogate, sample_deformations  # noqa: E402
from cellfields.mechanics import ConstitutiveLaw  # noqa: E402
from cellfields.surrogate import Recipe  # noqa: E402
from tests.mechanics.engines import HyperelasticEngine  # noqa: E402
from tests.toy import magnesium  # noqa: E402


def surrogates(model: Path | None) -> dict[str, Surrogate]:
    """What to measure."""
    if model is not None:
        return {model.stem: Surrogate.load(model)}
    engine = HyperelasticEngine(magnesium())
    states = list(map(engine.solve, sample_deformations(engine.crystal, 100, seed=0)))
    recipes = {"paper": Recipe(epochs=1), "best": Recipe(name="best")}
    return {name: Surrogate.train(engine.crystal, states, recipe) for name, recipe in recipes.items()}


def measure(law: ConstitutiveLaw, gradients: np.ndarray, threads: int, repeats: int) -> dict[str, float]:
    """Cold call, then the best of some warm ones."""
    start = time.perf_counter()
    law.evaluate(gradients[:1024])
    cold = time.perf_counter() - start
    parts = np.array_split(gradients, threads)
    walls, cpus = [], []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            list(pool.map(law.evaluate, parts))
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    n = len(gradients)
    return {
        "compile_seconds": cold,
        "points_per_second": n / min(walls),
        "points_per_cpu_second": n / min(cpus),
    }


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    gradients = np.eye(3) + 0.01 * rng.normal(size=(arguments.points, 3, 3))
    report: dict = {"machine": platform.machine(), "points": arguments.points, "threads": arguments.threads, "laws": []}
    print(f"{'surrogate':>12} {'precision':>9} {'points/s':>10} {'points/CPU s':>13} {'compile (s)':>12}")
    for name, surrogate in surrogates(arguments.model).items():
        for dtype in ("float64", "float32"):
            law = ConstitutiveLaw.from_surrogate(surrogate, dtype=dtype)
            row = measure(law, gradients, arguments.threads, arguments.repeats)
            report["laws"].append({"surrogate": name, "dtype": dtype, **row})
            print(
                f"{name:>12} {dtype:>9} {row['points_per_second']:10.3g} {row['points_per_cpu_second']:13.3g} "
                f"{row['compile_seconds']:12.1f}",
                flush=True,
            )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
