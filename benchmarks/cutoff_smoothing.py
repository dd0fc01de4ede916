"""What a smooth end of the spheres of plane waves (``engine.cutoff_smoothing``) does to F, stress and lattice constant.

    python benchmarks/cutoff_smoothing.py [--only Si] [--json benchmarks/results/cutoff_smoothing.json]

Built-in pseudopotentials, LDA, primitive cells, full plane waves. For each crystal, cutoff and width (a fraction of
the cutoff; 0 is the sharp sphere): F and tr σ/3 at 13 isotropic strains within ±3 %.

    jumps    largest deviation of F from its polynomial of fifth degree in the stretch, mHa a cell
    pulay    tr σ/3 − dF/dV at the middle, GPa, dF/dV from that polynomial
    tilt     dF/dV − dF/dV at the highest cutoff with a smooth sphere, GPa: what the cutoff does to the energy's slope
    a_stress, a_energy   edge of the conventional cell where the stress vanishes, and where F is smallest, Å (cubic)
    seconds  CPU time of the 13 solves

Every (crystal, cutoff, width) is written as soon as it is measured, and taken from the file by a later run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import brentq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pulay_pressure import FCC, INSULATOR, MAGNESIUM, METAL, fcc
from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
from cellfields.state.density_start import DensityStart
from cellfields.units import ANGSTROM, GPA

GRAPHENE = Crystal.from_lengths_and_angles(
    [4.62, 4.62, 12.0], [90, 90, 120], ["C", "C"], [[1 / 3, 2 / 3, 0.5], [2 / 3, 1 / 3, 0.5]]
)
# name: crystal, cutoffs, k mesh, occupation
CASES: dict[str, tuple[Crystal, tuple[float, ...], tuple[int, int, int], dict[str, Any]]] = {
    "Si": (fcc(5.40, ["Si", "Si"]), (6, 8, 12), (4, 4, 4), INSULATOR),
    "Mg": (MAGNESIUM, (6, 8, 10), (4, 4, 3), METAL),
    "BN": (fcc(3.585, ["B", "N"]), (30, 40, 50), (3, 3, 3), INSULATOR),
    "MgO": (fcc(4.1, ["Mg", "O"], 0.5), (30, 45, 60), (2, 2, 2), INSULATOR),
    "graphene": (GRAPHENE, (18, 26, 34), (4, 4, 1), METAL),
}
FRACTIONS = (0.0, 0.05, 0.1, 0.2)
STRAINS = np.linspace(-0.03, 0.03, 13)


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if arguments.json is not None and arguments.json.exists():
        rows = json.loads(arguments.json.read_text())["rows"]
    for name, (crystal, cutoffs, mesh, occupation) in CASES.items():
        if arguments.only not in (None, name):
            continue
        for cutoff in cutoffs:
            for fraction in FRACTIONS:
                if any((r["crystal"], r["cutoff"], r["fraction"]) == (name, cutoff, fraction) for r in rows):
                    continue
                row = {"crystal": name, "cutoff": cutoff, "fraction": fraction}
                rows.append(row | measure(crystal, cutoff, fraction, mesh, occupation))
                if arguments.json is not None:
                    arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
                print(json.dumps(rows[-1]), flush=True)
    print_table(rows)


def measure(
    crystal: Crystal, cutoff: float, fraction: float, mesh: tuple[int, int, int], occupation: dict[str, Any]
) -> dict[str, Any]:
    """One row of the table."""
    settings = PlaneWaveSettings(
        cutoff=cutoff, cutoff_smoothing=fraction * cutoff, kmesh=mesh, basis="full", **occupation
    )
    engine, held = PlaneWaveEngine(crystal, settings), np.zeros(crystal.n_internal)
    angles = Deformation.identity(crystal).angles
    sheet = mesh[2] == 1
    begin, start = time.process_time(), None
    volumes, energies, pressures = [], [], []
    for strain in STRAINS:
        stretch = float(1 + strain)
        third = 1.0 if sheet else stretch
        state = engine.evaluate(Deformation((stretch, stretch, third), angles), held, start=start)
        start = DensityStart.of(state)
        stress = np.asarray(state.stress)
        volumes.append(state.volume)
        energies.append(state.free_energy)
        pressures.append(float(stress[0, 0] + stress[1, 1]) / 2 if sheet else float(np.trace(stress) / 3))
    seconds = time.process_time() - begin
    stretches = 1 + STRAINS
    fit = Polynomial.fit(stretches, energies, 5)
    middle = len(STRAINS) // 2
    dimensions = 2 if sheet else 3
    slope = float(fit.deriv()(1.0)) / (dimensions * volumes[middle]) * GPA
    row: dict[str, Any] = {
        "jumps_mha": 1e3 * float(np.abs(fit(stretches) - energies).max()),
        "stress_gpa": pressures[middle] * GPA,
        "slope_gpa": slope,
        "pulay_gpa": pressures[middle] * GPA - slope,
        "free_energy": energies[middle],
        "seconds": round(seconds, 1),
    }
    if np.allclose(np.abs(crystal.lattice_ref @ crystal.lattice_ref.T)[0, 1:], (crystal.lattice_ref[0] ** 2).sum() / 2):
        edge = float(np.linalg.norm(crystal.lattice_ref[0]) / np.linalg.norm(FCC[0])) * ANGSTROM
        row["a_stress"] = _scaled(edge, _root(Polynomial.fit(stretches, pressures, 3), -0.05, 0.05))
        row["a_energy"] = _scaled(edge, _root(fit.deriv(), -0.05, 0.05))
    return row


def _root(curve: Polynomial, low: float, high: float) -> float | None:
    if curve(1 + low) * curve(1 + high) > 0:
        return None
    return float(brentq(curve, 1 + low, 1 + high))


def _scaled(edge: float, stretch: float | None) -> float | None:
    return None if stretch is None else edge * stretch


def print_table(rows: list[dict[str, Any]]) -> None:
    """As Markdown."""
    print(
        "| crystal | cutoff, Ha | width | jumps, mHa | Pulay, GPa | tilt, GPa | a by stress, Å | a by energy, Å | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        same = [r for r in rows if r["crystal"] == row["crystal"] and r["fraction"] > 0]
        best = max(same, key=lambda r: (r["cutoff"], -r["fraction"]), default=row)
        edges = [f"{row[k]:.4f}" if row.get(k) else "" for k in ("a_stress", "a_energy")]
        width = row["fraction"] * row["cutoff"]
        print(
            f"| {row['crystal']} | {row['cutoff']:g} | {width:.3g} | {row['jumps_mha']:.2g} | "
            f"{row['pulay_gpa']:+.3g} | {row['slope_gpa'] - best['slope_gpa']:+.3g} | {edges[0]} | {edges[1]} | "
            f"{row['seconds']:g} |"
        )


if __name__ == "__main__":
    main()
