"""What complex arithmetic costs: the same crystal with its inversion centre imposed (real) and free (complex).

    python benchmarks/complex_cost.py [--json FILE] [--core 0] [--repeats 3]

One self-consistent solve at fixed atoms with forces, stress and fields. CPU seconds, the least of several warm calls in
fresh processes, real and complex in turn; "difference" is what the two differ by in F, Hartree per primitive cell.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._child import FIGURE_2, run
from cellfields import Crystal
from tests.reference.abinit.make_references import MAGNESIUM, SILICON

SI_STRAIN = [1.012, 0.994, 1.003, 60.6, 59.2, 60.3]
METAL = {"smearing": "cold", "smearing_width": 0.01}
FILLED = {"smearing": "none"}
CASES = {
    "Mg, 12 Ha, 8×8×8, reduced": (MAGNESIUM, FIGURE_2, {"cutoff": 12, "kmesh": [8, 8, 8], **METAL}),
    "Mg, 24 Ha, 12×12×12, reduced": (MAGNESIUM, FIGURE_2, {"cutoff": 24, "kmesh": [12, 12, 12], **METAL}),
    "Mg, 12 Ha, 4×2×2, full": (MAGNESIUM, FIGURE_2, {"cutoff": 12, "kmesh": [4, 2, 2], "basis": "full", **METAL}),
    "Si, 12 Ha, 8×8×8, reduced": (SILICON, SI_STRAIN, {"cutoff": 12, "kmesh": [8, 8, 8], **FILLED}),
    "Si, 12 Ha, 3×3×3, full": (SILICON, SI_STRAIN, {"cutoff": 12, "kmesh": [3, 3, 3], "basis": "full", **FILLED}),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    print(f"{'case':<30} {'k points':>8} {'real (s)':>9} {'complex (s)':>12} {'ratio':>6} {'difference (Ha)':>16}")
    for name, (cell, strain, settings) in CASES.items():
        found: dict[str, list[dict]] = {"impose": [], "free": []}
        for _ in range(arguments.repeats):
            for inversion, results in found.items():
                crystal = {**cell, "inversion": inversion}
                xi = [0.0] * Crystal.from_lengths_and_angles(**crystal).n_internal
                job = {"crystal": crystal, "deformation": strain, "internal": xi, "settings": settings}
                results.append(run(job | {"relax": False, "repeats": 2}, arguments.core))
        real, complex_ = (min(r["provenance"]["cpu_seconds"] for r in results) for results in found.values())
        difference = found["free"][0]["free_energy"] - found["impose"][0]["free_energy"]
        k_points = found["free"][0]["provenance"]["k_points"]
        rows.append({"case": name, "k_points": k_points, "real": real, "complex": complex_, "difference": difference})
        print(
            f"{name:<30} {k_points:8d} {real:9.2f} {complex_:12.2f} {complex_ / real:6.2f} {difference:16.1e}",
            flush=True,
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
