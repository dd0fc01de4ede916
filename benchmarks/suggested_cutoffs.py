"""Suggested cutoffs of the built-in pseudopotentials, and what they leave of F and of the stress in crystals.

    python benchmarks/suggested_cutoffs.py [--only C] [--json benchmarks/results/suggested_cutoffs.json]

The suggestion comes from an isolated atom alone (``dft/pseudopotential/suggested_cutoff.py``). Here crystals are
solved at the largest suggestion of their elements: F minus F at 1.5 times that cutoff, mHa an atom, and the Pulay
pressure, GPa (``mechanics.stress_consistency``). LDA, primitive cells, 2×2×2 k points, which is enough for a difference
between cutoffs. The suggestions of all elements and valences of the table are written too.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pulay_pressure import MAGNESIUM, fcc
from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
from cellfields.dft.pseudopotential import builtin_elements, builtin_pseudopotential, suggested_cutoff
from cellfields.mechanics import stress_consistency

# crystal, valences
CRYSTALS: dict[str, tuple[Crystal, dict[str, int]]] = {
    "Na": (fcc(5.2, ["Na"]), {"Na": 1}),
    "Mg": (MAGNESIUM, {}),
    "Al": (fcc(3.97, ["Al"]), {}),
    "Si": (fcc(5.40, ["Si", "Si"]), {}),
    "H": (fcc(2.4, ["H"]), {}),
    "C": (fcc(3.55, ["C", "C"]), {}),
    "BN": (fcc(3.585, ["B", "N"]), {}),
    "MgO": (fcc(4.1, ["Mg", "O"], 0.5), {}),
    "Cu": (fcc(3.55, ["Cu"]), {}),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CRYSTALS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"crystals": {}, "suggested": {}}
    if arguments.json is not None and arguments.json.exists():
        result = json.loads(arguments.json.read_text())
    for functional in () if arguments.only else ("lda", "pbe"):
        result["suggested"][functional] = {
            symbol: {str(n): suggested_cutoff(builtin_pseudopotential(symbol, functional, n)) for n in valences}
            for symbol, valences in builtin_elements(functional).items()
        }
    for name, (crystal, valences) in CRYSTALS.items():
        if arguments.only in (None, name):
            result["crystals"][name] = row = measure(crystal, valences)
            print(name, row, flush=True)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(crystal: Crystal, valences: dict[str, int]) -> dict[str, float]:
    """What the suggested cutoff leaves in one crystal."""
    ions = [builtin_pseudopotential(s, valence=valences.get(s)) for s in dict.fromkeys(crystal.species)]
    cutoff = max(map(suggested_cutoff, ions))
    common: dict[str, Any] = {"kmesh": (2, 2, 2), "smearing": "fermi-dirac", "smearing_width": 0.02, "basis": "full"}

    def engine(at: float) -> PlaneWaveEngine:
        return PlaneWaveEngine(
            crystal,
            PlaneWaveSettings(cutoff=at, valences=valences, scf_tolerance=1e-8, **{"smearing": "cold", **common}),
        )

    own = engine(cutoff)
    identity, held = Deformation.identity(crystal), np.zeros(crystal.n_internal)
    state = own.evaluate(identity, held)
    dense = engine(1.5 * cutoff).evaluate(identity, held)
    found = stress_consistency(own, state=state)
    assert found.pulay_pressure_gpa is not None
    return {
        "suggested": cutoff,
        "error_mha_an_atom": 1e3 * (state.free_energy - dense.free_energy) / crystal.n_atoms,
        "pulay_pressure_gpa": found.pulay_pressure_gpa,
    }


if __name__ == "__main__":
    main()
