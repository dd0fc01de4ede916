"""F and stress in the two sets of plane waves: one sphere a k point, and the union of all spheres.

    python benchmarks/plane_wave_sets.py --json FILE          (benchmarks/results/plane_wave_sets.json)

`basis = "auto"` goes from the first to the second where k points become 40: this is how far a table of k meshes jumps.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
from cellfields.units import GPA


def cases() -> Iterator[tuple[str, Crystal, tuple[int, int, int]]]:
    """Name, crystal, k mesh."""
    diamond = [[0, 0, 0], [0.25, 0.25, 0.25]]
    yield "Si", Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, ["Si", "Si"], diamond), (3, 3, 3)
    yield "Al", Crystal.from_lengths_and_angles([5.4] * 3, [60] * 3, ["Al"], [[0, 0, 0]]), (4, 4, 4)


def main() -> None:
    """Solve, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    rows = []
    options = parser.parse_args()
    for name, crystal, kmesh in cases():
        for cutoff in (6.0, 12.0, 20.0):
            found = []
            for plane_waves in ("k_sphere", "union"):
                settings = PlaneWaveSettings(
                    smearing="cold",
                    cutoff=cutoff,
                    kmesh=kmesh,
                    basis="full",
                    plane_waves=plane_waves,
                    scf_tolerance=1e-8,
                )
                state = PlaneWaveEngine(crystal, settings).evaluate(
                    Deformation.identity(crystal), np.zeros(crystal.n_internal)
                )
                assert state.stress is not None
                found.append((state.free_energy / crystal.n_atoms, float(state.stress[0, 0]) * GPA))
            change = {
                "crystal": name,
                "cutoff_hartree": cutoff,
                "free_energy_mha_an_atom": 1e3 * (found[1][0] - found[0][0]),
                "stress_gpa": found[1][1] - found[0][1],
            }
            rows.append(change)
            print(change, flush=True)
    options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
