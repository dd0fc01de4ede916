"""Elastic constants of magnesium: learned, from first principles, and measured.

    python benchmarks/elasticity_magnesium.py STUDY.toml MODEL.safetensors OUT [--third-order]

STUDY says how first principles solve. Constants of second order with relaxed ions at the reference cell and at each
engine's own stress-free cell, with clamped ions at the reference cell (first principles only), and of third order at
the reference cell. Every first-principles state is kept in OUT/states, and the same command goes on from there.
Writes OUT/elasticity.json (GPa) and OUT/youngs_modulus.png.

Experiment: L. J. Slutsky and C. W. Garland, Phys. Rev. 107, 972 (1957), extrapolated to 0 K.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from cellfields import CellState, Crystal, DatasetStore, Deformation, PlaneWaveEngine, Surrogate, elastic_constants
from cellfields.engines.contract import Engine
from cellfields.evaluation.figures import youngs_modulus_figure
from cellfields.mechanics import ElasticConstants, stress_free, third_order_constants
from cellfields.mechanics.moduli import moduli, point_group, symmetrised
from cellfields.pipeline.study import Study
from cellfields.units import GPA

EXPERIMENT = {"C11": 63.5, "C12": 25.9, "C13": 21.7, "C33": 66.5, "C44": 18.4}
PLACES = {"C11": (0, 0), "C22": (1, 1), "C12": (0, 1), "C13": (0, 2), "C23": (1, 2), "C33": (2, 2)}
PLACES |= {"C44": (3, 3), "C55": (4, 4), "C66": (5, 5)}


class Kept:
    """A first-principles engine whose relaxed states are looked up before they are solved."""

    def __init__(self, engine: PlaneWaveEngine, directory: Path) -> None:
        self.engine, self.evaluate = engine, engine.evaluate
        self.store = DatasetStore.create_or_open(directory, engine.crystal, engine.identity)

    @property
    def crystal(self) -> Crystal:
        return self.engine.crystal

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """Cold: a stress must not depend on what was solved before it."""
        if not self.store.has(deformation):
            self.store.write(self.engine.solve(deformation))
            print(f"solved D = {np.round(deformation.as_array(), 5).tolist()}", flush=True)
        return self.store.read(deformation)


def table(found: ElasticConstants, crystal: Crystal) -> dict[str, Any]:
    """In GPa, with what hexagonal symmetry makes of them and forbids."""
    average, forbidden = symmetrised(found.constants, point_group(crystal))
    raw = {name: GPA * found.constants[place] for name, place in PLACES.items()}
    return {
        "deformation": found.deformation.as_array().tolist(),
        "largest_stress": GPA * float(np.abs(found.stress).max()),
        "constants": raw,
        "hexagonal": {name: GPA * average[PLACES[name]] for name in EXPERIMENT},
        "forbidden_by_symmetry": GPA * forbidden,
        "asymmetry": GPA * found.asymmetry,
        "bulk_modulus": GPA * moduli(found.constants).bulk,
    }


def largest_difference(one: ElasticConstants, other: ElasticConstants) -> float:
    """Over all 21 constants, GPa."""
    return GPA * float(np.abs(one.constants - other.constants).max())


def main() -> None:
    """Solve, compare, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--third-order", action="store_true", help="from first principles too: 43 solves")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    learned: Engine = Surrogate.load(arguments.model, outside="flag")
    true = Kept(Study.load(arguments.study).engine, arguments.out / "states")
    engines: dict[str, Engine] = {"ML": learned, "DFT": true}
    crystal = learned.crystal
    at_reference = {name: elastic_constants(engine) for name, engine in engines.items()}
    at_rest = {name: elastic_constants(engine, stress_free(engine).deformation) for name, engine in engines.items()}
    clamped = elastic_constants(true, ions="clamped")
    report: dict[str, Any] = {
        "units": "GPa",
        "experiment_at_0_K": EXPERIMENT,
        "relaxed_at_the_reference_cell": {n: table(c, crystal) for n, c in at_reference.items()},
        "relaxed_without_stress": {n: table(c, crystal) for n, c in at_rest.items()},
        "clamped_at_the_reference_cell": {"DFT": table(clamped, crystal)},
        "largest_difference_ML_DFT": {
            "at the reference cell": largest_difference(at_reference["ML"], at_reference["DFT"]),
            "without stress": largest_difference(at_rest["ML"], at_rest["DFT"]),
        },
    }
    third = {"ML": third_order_constants(learned)}
    if arguments.third_order:
        third["DFT"] = third_order_constants(true)
        report["largest_third_order_difference"] = GPA * float(np.abs(third["ML"][0] - third["DFT"][0]).max())
    report["third_order"] = {
        name: {f"C{i + 1}{j + 1}{k + 1}": GPA * c[i, j, k] for i, j, k in ((0, 0, 0), (0, 0, 1), (2, 2, 2), (0, 0, 2))}
        | {"asymmetry": GPA * noise}
        for name, (c, noise) in third.items()
    }
    youngs_modulus_figure(at_rest["DFT"].constants).savefig(arguments.out / "youngs_modulus.png", dpi=144)
    text = json.dumps(report, indent=1) + "\n"
    (arguments.out / "elasticity.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
