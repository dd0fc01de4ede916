"""Time and memory of one self-consistent solve against the number of atoms and electrons.

    python benchmarks/growth.py [--json FILE] [--core 0] [--largest 8]

Supercells of silicon and magnesium with equally dense k meshes. Atoms are displaced a little (with the inversion centre
kept: real arithmetic), or the engine would fold every supercell to its primitive cell. Atoms held; forces, stress and
fields included; one core, one thread, fresh process, CPU seconds of a warm call.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk, make_supercell

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._child import run
from cellfields import Crystal
from cellfields.crystal.deformation import lengths_and_angles

STEP = 0.01  # fractional of the primitive cell's a, about
CELLS: list[tuple[str, tuple[int, int, int], dict[str, Any]]] = [
    ("Si", size, {"cutoff": 6, "smearing": "none"}) for size in ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2))
] + [
    ("Mg", size, {"cutoff": 6, "smearing": "cold", "smearing_width": 0.02})
    for size in ((1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2))
]
MESH = {"Si": (4, 4, 4), "Mg": (8, 8, 4)}  # of the primitive cell
ATOMS = {"Si": bulk("Si", "diamond", a=5.40), "Mg": bulk("Mg", "hcp", a=3.12, c=5.06)}
ELECTRONS = {"Si": 4, "Mg": 2}


def supercell(symbol: str, size: tuple[int, int, int]) -> dict[str, Any]:
    """The crystal's table, with no translation left in it."""
    crystal = Crystal.from_atoms(make_supercell(ATOMS[symbol], np.diag(size)))
    assert crystal.inversion_images is not None
    shift = np.random.default_rng(1).uniform(-STEP, STEP, size=(crystal.n_atoms, 3)) / np.array(size)
    shift = 0.5 * (shift - shift[crystal.inversion_images])  # odd under the inversion
    lengths, angles = lengths_and_angles(crystal.lattice_ref)
    positions = crystal.positions_ref + shift
    return {
        "lengths": lengths.tolist(),
        "angles": angles.tolist(),
        "species": list(crystal.species),
        "positions": positions.tolist(),
    }


def measure(symbol: str, size: tuple[int, int, int], settings: dict[str, Any], basis: str, core: int) -> dict[str, Any]:
    """One row."""
    table = supercell(symbol, size)
    crystal = Crystal.from_lengths_and_angles(**table)
    assert crystal.n_translations == 1 and crystal.inversion_centre is not None
    kmesh = [max(1, n // s) for n, s in zip(MESH[symbol], size, strict=True)]
    job = {
        "crystal": table,
        "settings": {**settings, "kmesh": kmesh, "basis": basis},
        "deformation": [1.01, 0.99, 1.0, *np.add(table["angles"], [0.5, -0.5, 0.2])],
        "internal": [0.0] * crystal.n_internal,
    }
    result = run(job | {"relax": False, "repeats": 2}, core)
    provenance = result["provenance"]
    return {
        "element": symbol,
        "atoms": crystal.n_atoms,
        "electrons": crystal.n_atoms * ELECTRONS[symbol],
        "basis": basis,
        "k_points": provenance["k_points"],
        "scf_steps": provenance["scf_steps"],
        "cpu_s": provenance["cpu_seconds"],
        "peak_memory_mib": round(result["peak_memory_mib"]),
        "free_energy_an_atom": result["free_energy"] / crystal.n_atoms,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--largest", type=int, default=8, help="atoms")
    arguments = parser.parse_args()
    rows = []
    for symbol, size, settings in CELLS:
        if len(ATOMS[symbol]) * np.prod(size) > arguments.largest:
            continue
        for basis in ("full", "reduced"):
            rows.append(measure(symbol, size, settings, basis, arguments.core))
            print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
