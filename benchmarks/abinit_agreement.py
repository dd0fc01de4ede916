"""How far two engines are apart that are given the same settings: the embedded one and ABINIT.

    python benchmarks/abinit_agreement.py [--strains 10] [--json FILE]      (some minutes; needs ABINIT)

Cells held fixed, one row each, then relaxations of strains drawn from the paper's distribution. Both engines run with
their default tolerances, the embedded one in full plane waves. Hartree per cell of the crystal given, Hartree/Bohr,
Hartree/Bohr³, Bohr; fields in relative L².
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings, sample_deformations  # noqa: E402
from cellfields.engines.abinit import AbinitEngine  # noqa: E402
from tests.engines.abinit.problems import differences  # noqa: E402
from tests.reference.abinit.make_references import CASES, MAGNESIUM, SILICON  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "abinit_agreement.json"
ALUMINIUM_SILICIDE = {**SILICON, "species": ["Al", "Si"]}  # made up: zincblende, no inversion centre
_A, _B, _SI = (dict(CASES[name]) for name in ("mg_strained_a", "mg_strained_b", "si_diamond"))
_A_SETTINGS = {**_A["settings"], "bands": None}
HELD: dict[str, dict[str, Any]] = {
    "Mg, 10 Ha, cold": {**_A, "settings": _A_SETTINGS},
    "the same, each code's own FFT grid": {**_A, "settings": {**_A_SETTINGS, "fft_grid": None}},
    "the same, PBE": {**_A, "settings": {**_A_SETTINGS, "functional": "pbe"}},
    "Mg, 8 Ha, Fermi–Dirac": {**_B, "settings": {**_B["settings"], "fft_grid": (18, 18, 30), "bands": None}},
    "Al, 12 Ha, cold": CASES["al_fcc"],
    "Si, 10 Ha, filled bands": {**_SI, "settings": {**_SI["settings"], "bands": None}},
    "AlSi without inversion centre, 10 Ha, cold": {
        **_SI,
        "crystal": ALUMINIUM_SILICIDE,
        "settings": {**_SI["settings"], "smearing": "cold", "smearing_width": 0.02, "bands": None},
    },
}
RELAXED = {"cutoff": 8, "kmesh": (4, 2, 2), "smearing": "cold", "smearing_width": 0.01, "fft_grid": (18, 18, 30)}


def held(case: dict[str, Any]) -> dict[str, Any]:
    """Differences at fixed atoms, and what ABINIT took."""
    crystal = Crystal.from_lengths_and_angles(**case["crystal"])
    settings = PlaneWaveSettings(**{"smearing": "cold", **case["settings"]}, basis="full")
    strain, internal = Deformation.from_array(case["deformation"]), np.array(case["internal"])
    theirs = AbinitEngine(crystal, settings).evaluate(strain, internal)
    ours = PlaneWaveEngine(crystal, settings).evaluate(strain, internal)
    return {**differences(theirs, ours), "abinit_scf_steps": theirs.provenance["scf_steps"]}


def relaxed(count: int) -> dict[str, Any]:
    """Largest differences between relaxed states of hcp Mg."""
    crystal = Crystal.from_lengths_and_angles(**MAGNESIUM)
    settings = PlaneWaveSettings(**{"smearing": "cold", **RELAXED}, basis="full")
    engines = AbinitEngine(crystal, settings), PlaneWaveEngine(crystal, settings)
    rows = []
    for strain in sample_deformations(crystal, count, seed=5):
        theirs, ours = (engine.solve(strain) for engine in engines)
        moved = float(np.linalg.norm((ours.positions - crystal.positions_ref) @ ours.lattice, axis=1).max())
        solves = {"abinit_solves": theirs.provenance["solves"], "own_solves": ours.provenance["solves"]}
        rows.append({**differences(theirs, ours), "displacement": moved, **solves})
        print(f"  {strain}: {_short(rows[-1])}", flush=True)
    return {name: max(row[name] for row in rows) for name in rows[0]}


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int) else float(f"{value:.1e}") for name, value in row.items()}


def main() -> None:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strains", type=int, default=10)
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    report: dict[str, Any] = {}
    for name, case in HELD.items():
        start = time.perf_counter()
        report[name] = _short(held(case))
        print(f"{name} ({time.perf_counter() - start:.0f} s): {report[name]}", flush=True)
    report[f"Mg relaxed, {arguments.strains} strains, 8 Ha, cold"] = _short(relaxed(arguments.strains))
    arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
