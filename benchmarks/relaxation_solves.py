"""How many solves at fixed atoms the embedded engine's relaxations take; and the same of another version of it.

    python benchmarks/relaxation_solves.py --json FILE          (benchmarks/results/relaxation_solves.json)
    PYTHONPATH=OTHER/src python benchmarks/relaxation_solves.py --as before --json FILE

Small cells at low cutoffs, each at strains that leave nothing of the point group (hydrogen: bonds along three axes).
A relaxation that fails is counted with the solves that it made, and as a failure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings, sample_deformations
from cellfields.errors import RelaxationNotConverged

STRAINS = 3


def crystals() -> Iterator[tuple[str, Crystal, PlaneWaveSettings]]:
    """Name, crystal, settings."""
    magnesium = Crystal.from_lengths_and_angles(
        [5.95, 5.95, 9.66], [90, 90, 120], ["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    )
    yield "Mg", magnesium, PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(3, 3, 2))
    yield "Mg, reduced basis", magnesium, PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(4, 4, 3), basis="reduced")
    diamond = [[0, 0, 0], [0.25, 0.25, 0.25]]
    silicon = Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, ["Si", "Si"], diamond)
    yield "Si", silicon, PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 2, 2))
    silicide = Crystal.from_lengths_and_angles([8.4] * 3, [60] * 3, ["Si", "Mg", "Mg"], [*diamond, [0.75] * 3])
    yield "Mg2Si", silicide, PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 2, 2))
    arsenide = Crystal.from_lengths_and_angles([7.5] * 3, [60] * 3, ["Ga", "As"], diamond)
    yield "GaAs, no inversion centre", arsenide, PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 2, 2))


def molecules() -> Iterator[tuple[str, Crystal, PlaneWaveSettings]]:
    """Hydrogen in a box of 8 Bohr, bonds of 1.4 to 1.6 Bohr."""
    for axis in ((0, 0, 1), (1, 1, 0), (1, 1, 1)):
        for bond in (1.4, 1.6):
            half = 0.5 * bond / 8.0 * np.array(axis) / np.linalg.norm(axis)
            crystal = Crystal(8.0 * np.eye(3), ["H", "H"], [(0.5 + half).tolist(), (0.5 - half).tolist()])
            yield "H2 in a box", crystal, PlaneWaveSettings(cutoff=15, kmesh=(1, 1, 1), smearing="none")


def count(crystal: Crystal, settings: PlaneWaveSettings, deformation: Deformation) -> tuple[int, int, bool]:
    """Solves, SCF steps, and whether the relaxation converged."""
    try:
        found = PlaneWaveEngine(crystal, settings).solve(deformation).provenance
        return found["solves"] + found["coarse_solves"], found["scf_steps"] + found["coarse_scf_steps"], True
    except RelaxationNotConverged as error:
        return len(error.history), 0, False


def main() -> None:
    """Count, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as", dest="name", default="after")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    rows: dict[str, list[tuple[int, int, bool]]] = {}
    for name, crystal, settings in crystals():
        for deformation in sample_deformations(crystal, STRAINS, seed=7):
            rows.setdefault(name, []).append(count(crystal, settings, deformation))
        print(name, rows[name], flush=True)
    for name, crystal, settings in molecules():
        rows.setdefault(name, []).append(count(crystal, settings, Deformation.identity(crystal)))
    print("H2", rows["H2 in a box"])
    table = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    table[options.name] = {
        name: {
            "solves": [solves for solves, _, _ in found],
            "scf_steps": [steps for _, steps, _ in found],
            "failures": sum(not ok for _, _, ok in found),
        }
        for name, found in rows.items()
    }
    options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
