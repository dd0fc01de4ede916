"""How many solves a point of a uniaxial test takes: the carried stiffness beside the paper's Barzilai–Borwein steps.

    python benchmarks/uniaxial_cost.py [--dft] [--strains 21] [--json FILE]

On a closed formula of magnesium's stiffness and anharmonicity, and with --dft on the embedded engine (12 Ha, 4×4×4;
some minutes). Both methods begin at the last point of the path, and continue each solve from the last one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from cellfields import PlaneWaveEngine, PlaneWaveSettings  # noqa: E402
from cellfields.mechanics import uniaxial_test  # noqa: E402
from tests.mechanics.engines import HyperelasticEngine  # noqa: E402
from tests.toy import magnesium  # noqa: E402


def main() -> None:
    """Count, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dft", action="store_true")
    parser.add_argument("--strains", type=int, default=21)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    crystal = magnesium()
    engines = {"formula": HyperelasticEngine(crystal, residual=1e-5 * np.array([1, -0.5, 0.5, 0, 0, 0]))}
    if arguments.dft:
        engines["plane waves"] = PlaneWaveEngine(
            crystal, PlaneWaveSettings(smearing="cold", cutoff=12, kmesh=(4, 4, 4))
        )
    strains = np.round(np.linspace(-0.1, 0.1, arguments.strains), 10).tolist()
    rows = []
    for name, engine in engines.items():
        for method in ("secant", "barzilai-borwein"):
            for direction in (1, 2, 3) if name == "formula" else (2,):
                start = time.perf_counter()
                curve = uniaxial_test(engine, direction, strains, method=method)
                row = {
                    "engine": name,
                    "method": method,
                    "direction": direction,
                    "points": len(curve.points),
                    "solves": curve.evaluations,
                    "solves_a_point": [point.evaluations for point in curve.points],
                    "seconds": time.perf_counter() - start,
                }
                rows.append(row)
                print(
                    f"{name:>12} {method:>17} x{direction}: {row['solves']} solves for {row['points']} points "
                    f"({row['solves'] / row['points']:.2f} each), {row['seconds']:.1f} s",
                    flush=True,
                )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
