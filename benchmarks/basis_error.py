"""What the reduced basis costs in accuracy: against full plane waves on the same k points and the same plane waves.

    python benchmarks/basis_error.py [--json FILE] [--core 0]

hcp Mg, strain of Figure 2, atoms displaced, 12 Ha, 6×6×6 on the four-atom cell (220 k points). Errors in Hartree per
two atoms, Hartree/Bohr, Hartree/Bohr³, and relative L² for the density; "corrected" is what the engine reports.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._child import FIGURE_2, run
from tests.reference.abinit.make_references import MAGNESIUM


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--core", type=int, default=0)
    arguments = parser.parse_args()
    base = {"cutoff": 12, "kmesh": [6, 6, 6], "smearing": "cold", "smearing_width": 0.01, "scf_tolerance": 1e-12}
    job = {"crystal": MAGNESIUM, "deformation": FIGURE_2, "internal": [0.012, 0.018, -0.006]}
    job |= {"relax": False, "repeats": 1, "fields": True}
    exact = run(job | {"settings": base | {"basis": "full", "plane_waves": "union"}}, arguments.core)
    print(f"full plane waves: F = {exact['free_energy']:.9f} Ha, {exact['seconds'][0]:.1f} s")
    heads = ("tolerance", "F", "F corrected", "U", "-TS", "force", "stress", "density", "time (s)")
    print("{:>9} {:>9} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}".format(*heads))
    rows = []
    for tolerance in (1e-5, 3e-6, 1e-6, 3e-7, 1e-7):
        mine = run(job | {"settings": base | {"basis": "reduced", "basis_tolerance": tolerance}}, arguments.core)
        corrected = mine["free_energy"] - exact["free_energy"]
        density = np.array(exact["density"])
        row = {
            "tolerance": tolerance,
            "free_energy_uncorrected": corrected - mine["provenance"]["basis_correction"] / 2,
            "free_energy": corrected,
            "band_energy": mine["band_energy"] - exact["band_energy"],
            "entropic_energy": mine["entropic_energy"] - exact["entropic_energy"],
            "force": float(np.abs(np.array(mine["forces"]) - exact["forces"]).max()),
            "stress": float(np.abs(np.array(mine["stress"]) - exact["stress"]).max()),
            "density": float(np.linalg.norm(mine["density"] - density) / np.linalg.norm(density)),
            "seconds": mine["seconds"][0],
        }
        rows.append(row)
        numbers = list(row.values())
        print(
            f"{tolerance:9.0e} " + " ".join(f"{x:9.1e}" for x in numbers[1:8]) + f" {row['seconds']:8.2f}", flush=True
        )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"full_seconds": exact["seconds"][0], "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
