"""Is a label the minimum that a relaxation from the reference coordinates finds, though it starts on a coarse mesh?

    python benchmarks/two_level_audit.py [--strains 12] [--json FILE]

Strains of hcp Mg from the paper's distribution, relaxed twice: as the engine does (coarse mesh first), and on the full
mesh alone. Prints the differences in F (Hartree per two atoms) and positions (Bohr), and the full-mesh solves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cellfields import Crystal, PlaneWaveEngine, PlaneWaveSettings, sample_deformations
from tests.reference.abinit.make_references import MAGNESIUM


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strains", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    crystal = Crystal.from_lengths_and_angles(**MAGNESIUM)
    settings = PlaneWaveSettings(smearing="cold", cutoff=12, kmesh=(8, 8, 8))
    two_level, direct = PlaneWaveEngine(crystal, settings), PlaneWaveEngine(crystal, settings)
    direct.__dict__["_coarser"] = None  # what the cached property would hold for a small mesh
    rows = []
    for deformation in sample_deformations(crystal, arguments.strains, seed=arguments.seed):
        start = time.perf_counter()
        a = two_level.solve(deformation)
        middle = time.perf_counter()
        b = direct.solve(deformation)
        shift = (a.positions - b.positions) @ a.lattice
        row = {
            "deformation": deformation.as_array().tolist(),
            "free_energy_difference": (a.free_energy - b.free_energy) / 2,
            "position_difference": float(np.linalg.norm(shift, axis=1).max()),
            "displacement": float(np.linalg.norm((b.positions - crystal.positions_ref) @ b.lattice, axis=1).max()),
            "full_mesh_solves": [a.provenance["solves"], b.provenance["solves"]],
            "seconds": [middle - start, time.perf_counter() - middle],
        }
        rows.append(row)
        print(
            f"ΔF {row['free_energy_difference']:9.1e}  Δx {row['position_difference']:8.1e} "
            f"of {row['displacement']:.3f} Bohr"
            f"  solves {row['full_mesh_solves']}  {row['seconds'][0]:.1f} s, {row['seconds'][1]:.1f} s",
            flush=True,
        )
    print(
        f"largest |ΔF| {max(abs(r['free_energy_difference']) for r in rows):.1e} Ha, "
        f"largest Δx {max(r['position_difference'] for r in rows):.1e} Bohr"
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
