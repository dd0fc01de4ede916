"""One prediction with all four fields on a grid, ours and the plain route in turn; and a batch of F, atoms and stress.

    python benchmarks/prediction_speed.py [--model mg] [--repeats 15] [--block 6] [--batch 1000] [--json FILE]

The plain route is what the paper's design amounts to in NumPy: dense layers 6-500-500-50 a field and 6-50-100-50-n for
atoms and energy, then a product of 50 numbers with a 50 × 138,240 matrix a field (random numbers: time is all that
counts), in double and in single precision. Both write into arrays that are there already. One thread; CPU time of the
process beside wall time, medians; blocks of --block strains in turn, each strain another one. The first of a block
finds its caches full of what the others left: its time stands by itself ("after others"), the medians are those of the
rest. "Cold" is the first call of a fresh process, without imports and without reading the model.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import argparse  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from itertools import pairwise  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from cellfields import Deformation, Surrogate, sample_deformations  # noqa: E402
from cellfields.state.fields import FIELD_NAMES  # noqa: E402

GRID = (36, 64, 60)
MODES, FIELD_WIDTHS, SMALL_WIDTHS = 50, (500, 500), (50, 100, 50)


class Plain:
    """Dense layers and a dense lift a field."""

    def __init__(self, dtype: type) -> None:
        rng = np.random.default_rng(0)
        points = int(np.prod(GRID))

        def dense(*sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
            pairs = pairwise(sizes)
            return [
                ((rng.normal(size=(a, b)) / a**0.5).astype(dtype), rng.normal(size=b).astype(dtype)) for a, b in pairs
            ]

        self.dtype = dtype
        self.fields = [dense(6, *FIELD_WIDTHS, MODES) for _ in FIELD_NAMES]
        self.small = [dense(6, *SMALL_WIDTHS, n) for n in (3, 1)]
        self.modes = [rng.normal(size=(MODES, points)).astype(dtype) for _ in FIELD_NAMES]
        self.buffers = [np.empty(points, dtype) for _ in FIELD_NAMES]
        self.means = [rng.normal(size=points).astype(dtype) for _ in FIELD_NAMES]

    def __call__(self, strain: np.ndarray) -> list[np.ndarray]:
        x = ((strain - [1, 1, 1, 90, 90, 90]) / [0.05, 0.05, 0.05, 3, 3, 3]).astype(self.dtype)
        for layers, modes, mean, out in zip(self.fields, self.modes, self.means, self.buffers, strict=True):
            np.dot(self._network(layers, x), modes, out=out)
            out += mean
        return [*self.buffers, *(self._network(layers, x) for layers in self.small)]

    @staticmethod
    def _network(layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
        for kernel, bias in layers[:-1]:
            x = np.tanh(x @ kernel + bias)
        return x @ layers[-1][0] + layers[-1][1]


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def medians(rows: list[tuple[float, float]]) -> dict[str, float]:
    """Of wall and CPU time."""
    wall, cpu = np.median(np.array(rows), axis=0)
    return {"wall_ms": float(wall), "cpu_ms": float(cpu)}


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mg")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--block", type=int, default=6)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    surrogate = Surrogate.load(arguments.model, outside="flag")
    strains = sample_deformations(surrogate.crystal, max(arguments.repeats * arguments.block, arguments.batch), seed=1)

    buffers = [np.empty(GRID) for _ in FIELD_NAMES]

    def ours(strain: Deformation) -> list[np.ndarray]:
        state = surrogate.solve(strain)
        assert state.fields is not None
        return [state.fields.on_grid(name, GRID, out=out) for name, out in zip(FIELD_NAMES, buffers, strict=True)]

    cold = timed(lambda: ours(strains[0]))
    plain = {"double": Plain(np.float64), "single": Plain(np.float32)}
    routes: dict[str, Callable[[Deformation], object]] = {"ours": ours, "solve": surrogate.solve}
    routes |= {name: lambda strain, route=route: route(strain.as_array()) for name, route in plain.items()}
    first: dict[str, list[tuple[float, float]]] = {name: [] for name in routes}
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in routes}
    for block in range(arguments.repeats):
        some = strains[block * arguments.block : (block + 1) * arguments.block]
        for name, route in routes.items():
            times = [timed(lambda strain=strain, route=route: route(strain)) for strain in some]
            first[name].append(times[0])
            rows[name] += times[1:]
    batch = np.array([strain.as_array() for strain in strains[: arguments.batch]])
    cold_batch = timed(lambda: surrogate.solve_batch(batch))
    many = medians([timed(lambda: surrogate.solve_batch(batch)) for _ in range(11)])
    found = {name: medians(values) for name, values in rows.items()}
    after = {name: medians(values) for name, values in first.items()}
    report = {
        "machine": platform.machine(),
        "model": {"recipe": surrogate.recipe.name, "n_train": surrogate.metadata["n_train"]},
        "grid": GRID,
        "blocks": [arguments.repeats, arguments.block],
        "one_strain_four_fields": {"cold_ms": dict(zip(("wall", "cpu"), cold, strict=True)), **found},
        "after_others": after,
        "ratio_after_others_of_cpu_time": {name: after[name]["cpu_ms"] / after["ours"]["cpu_ms"] for name in plain},
        "ratio_of_cpu_time": {name: found[name]["cpu_ms"] / found["ours"]["cpu_ms"] for name in plain},
        "ratio_of_wall_time": {name: found[name]["wall_ms"] / found["ours"]["wall_ms"] for name in plain},
        "batch": {
            "strains": len(batch),
            "cold_ms": dict(zip(("wall", "cpu"), cold_batch, strict=True)),
            "microseconds_a_strain": {name[:-3]: 1e3 * value / len(batch) for name, value in many.items()},
        },
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text)


if __name__ == "__main__":
    main()
