"""Size and error of a packed dataset for several truncations and numbers of modes; memory and time for a large one.

    python benchmarks/pack_size.py DATASET [--large 3000] [--json FILE]

The large one is made of mixtures of the dataset's states, on the fly: the same basis and amount of numbers, and full
rank, so that size, memory and time are those of a campaign (its errors are not: mixtures are smoother than states).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.dataset import DatasetStore
from cellfields.dataset.pack import pack, read_pack
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields

OPTIONS: tuple[dict[str, float], ...] = (
    {"tolerance": 0.0},
    {"tolerance": 1e-5},
    {"tolerance": 1e-4},
    {"tolerance": 1e-3},
    {"tolerance": 1e-2},
    {"cutoff": 24.0},
    {"tolerance": 1e-4, "modes": 10},
    {"tolerance": 1e-4, "modes": 20},
    {"tolerance": 1e-4, "modes": 40},
)


class Mixtures:
    """As many states as wanted, each a mixture of three of a dataset's; with what ``pack`` asks of a store."""

    def __init__(self, store: DatasetStore, count: int) -> None:
        self.crystal, self.identity, self.directory = store.crystal, store.identity, store.directory
        self._states = list(store.states())
        self._strains = sample_deformations(store.crystal, count, seed=0)
        self._row = {strain: row for row, strain in enumerate(self._strains)}

    def states(self) -> Iterator[CellState]:
        return map(self.read, self._strains)

    def read(self, deformation: Deformation) -> CellState:
        rng = np.random.default_rng(self._row[deformation])
        chosen = rng.choice(len(self._states), 3, replace=False)
        weights = rng.dirichlet(np.ones(3))
        state = self._states[chosen[0]]
        mixed: dict[str, Any] = {
            name: sum(w * self._states[i].fields.coefficients[name] for w, i in zip(weights, chosen, strict=True))
            for name in state.fields.coefficients
        }
        lattice = deformation.lattice(self.crystal)
        fields = ElectronicFields(state.fields.basis, mixed, float(np.linalg.det(lattice)))
        return replace(state, deformation=deformation, lattice=lattice, fields=fields)

    def failures(self) -> list[object]:
        return []


def measure(store: DatasetStore | Mixtures, options: dict[str, float]) -> dict[str, Any]:
    """One file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "it.pack"
        start = time.perf_counter()
        content = pack(store, path, **options)  # type: ignore[arg-type]
        packing = time.perf_counter() - start
        start = time.perf_counter()
        states = sum(1 for _ in read_pack(path).states())
        return {
            "options": options,
            "states": states,
            "bytes": path.stat().st_size,
            "pack_seconds": packing,
            "read_seconds": time.perf_counter() - start,
            "fields": {name: found.model_dump() for name, found in content.fields.items()},
        }


def large(directory: Path, count: int, options: dict[str, float]) -> dict[str, Any]:
    """In a process of its own, for its peak memory."""
    command = [sys.executable, __file__, str(directory), "--child", json.dumps(options), "--large", str(count)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--large", type=int, default=3000, metavar="STATES")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    store = DatasetStore.open(arguments.directory)
    if arguments.child is not None:
        result = measure(Mixtures(store, arguments.large), json.loads(arguments.child))
        result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        del result["fields"]
        print(json.dumps(result))
        return
    info = store.info()
    report: dict[str, Any] = {"states": info.solved, "dataset_bytes": info.bytes_on_disk, "engine": info.engine}
    report["packed"] = [measure(store, options) for options in OPTIONS]
    print(f"{info.solved} states, {info.bytes_on_disk / info.solved / 1e3:.0f} kB a state")
    for row in report["packed"]:
        errors = ", ".join(
            f"{n} {f['relative_l2_mean']:.1e} ({f['relative_l2_max']:.1e})" for n, f in row["fields"].items()
        )
        print(f"{row['options']}: {row['bytes'] / row['states'] / 1e3:.1f} kB a state; {errors}", flush=True)
    report["large"] = []
    for options in ({"tolerance": 0.0}, {"tolerance": 1e-4}, {"tolerance": 1e-4, "modes": 50}):
        report["large"].append(large(arguments.directory, arguments.large, options))
        print(json.dumps(report["large"][-1]), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
