"""How far the stress at a fixed cutoff is from the derivative of the energy, and how well one extra solve tells it.

    python benchmarks/pulay_pressure.py [--only MgO] [--json benchmarks/results/pulay_pressure.json]

σ is the derivative of F at a fixed *set* of plane waves. At a fixed cutoff E the set changes with the volume V, and

    tr σ/3 − dF/dV = p ,   p = −(2/3) (E/V) ∂F/∂E .

Built-in pseudopotentials, LDA, primitive cells, full plane waves. For each case: tr σ/3 at the volume V; dF/dV from a
polynomial of third degree in V^(2/3) through F at 13 volumes within ±6 % (fixed cutoff; the fit averages the jumps of
single plane waves); their difference, which is the true p; and p estimated from one more solve at the cutoff times
1.05, 1.1, 1/1.05 and 1/1.1. For cubic crystals also the lattice constant at which the stress vanishes (a root of the
stress of separate solves), and the one where F is smallest (the minimum of the polynomial, fitted again around it
where it lies outside the 13 volumes). Pressures in GPa, tension positive; lattice constants in Å.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import brentq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cellfields import CellState, Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
from cellfields.state.density_start import DensityStart
from cellfields.units import ANGSTROM, GPA

FACTORS = (1.05, 1.1, 1 / 1.05, 1 / 1.1)
FCC = 0.5 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def fcc(a: float, species: list[str], second: float = 0.25) -> Crystal:
    """Primitive cell of a face-centred crystal with edge a (Å), one atom or two along the diagonal."""
    return Crystal(FCC * a / ANGSTROM, species, np.array([[0.0] * 3, [second] * 3])[: len(species)])


MAGNESIUM = Crystal.from_lengths_and_angles(
    [5.95, 5.95, 9.66], [90, 90, 120], ["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
)
INSULATOR: dict[str, Any] = {"smearing": "none"}
METAL: dict[str, Any] = {"smearing": "fermi-dirac", "smearing_width": 0.01}
# name: crystal, cutoffs, k mesh, occupation
CASES: dict[str, tuple[Crystal, tuple[float, ...], tuple[int, int, int], dict[str, Any]]] = {
    "MgO": (fcc(4.1, ["Mg", "O"], 0.5), (30, 60, 90), (3, 3, 3), INSULATOR),
    "BN": (fcc(3.585, ["B", "N"]), (30, 50, 70), (3, 3, 3), INSULATOR),
    "Si": (fcc(5.40, ["Si", "Si"]), (6, 8, 12, 20), (4, 4, 4), INSULATOR),
    "Al": (fcc(3.97, ["Al"]), (6, 8, 12, 20), (6, 6, 6), METAL),
    "Mg": (MAGNESIUM, (6, 8, 10, 15), (4, 4, 3), METAL),
}
_STRAINS = np.linspace(-0.02, 0.02, 13)


def main() -> None:
    """Measure, print, write."""
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
        rows = [row for row in rows if row["crystal"] != name]
        for cutoff in cutoffs:
            row = {"crystal": name} | measure(crystal, cutoff, mesh, occupation)
            rows.append(row)
            print(" ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


def measure(crystal: Crystal, cutoff: float, mesh: tuple[int, int, int], occupation: dict[str, Any]) -> dict[str, Any]:
    """One row of the table."""
    identity = Deformation.identity(crystal)
    held = np.zeros(crystal.n_internal)

    def engine(at: float) -> PlaneWaveEngine:
        return PlaneWaveEngine(
            crystal, PlaneWaveSettings(cutoff=at, kmesh=mesh, basis="full", **{"smearing": "cold", **occupation})
        )

    own = engine(cutoff)
    begin = time.process_time()
    centre = own.evaluate(identity, held)
    seconds = time.process_time() - begin
    start = DensityStart.of(centre)
    estimates, costs = {}, {}
    for factor in FACTORS:
        begin = time.process_time()
        energy = engine(factor * cutoff).evaluate(identity, held, start=start).free_energy
        costs[f"{factor:.3f}"] = (time.process_time() - begin) / seconds
        slope = (energy - centre.free_energy) / ((factor - 1) * cutoff)
        estimates[f"{factor:.3f}"] = -2 / 3 * cutoff / centre.volume * slope * GPA
    volumes, energies = [], []
    for strain in _STRAINS:
        stretch = float(1 + strain)
        state = own.evaluate(Deformation((stretch,) * 3, identity.angles), held, start=start)
        volumes.append(state.volume)
        energies.append(state.free_energy)
    x = (np.array(volumes) / centre.volume) ** (2 / 3) - 1
    fit = Polynomial.fit(x, energies, 3).convert()
    jumps = np.array(energies) - fit(x)
    derivative = float(fit.deriv()(0.0) * 2 / 3 / centre.volume) * GPA
    stress = float(np.trace(np.asarray(centre.stress)) / 3 * GPA)
    row: dict[str, Any] = {
        "cutoff": float(cutoff),
        "stress": stress,
        "energy_derivative": derivative,
        "pulay": stress - derivative,
        "estimates": estimates,
        "costs": costs,
        "rms_jump_mha": float(1e3 * np.sqrt(np.mean(jumps**2))),
    }
    if crystal.n_atoms > 1 and crystal.species[0] == "Mg" and len(set(crystal.species)) == 1:
        return row  # hexagonal: no cube whose edge could be told
    edge = float((4 * centre.volume) ** (1 / 3) * ANGSTROM)

    def at(stretch: float) -> CellState:
        return own.evaluate(Deformation((stretch,) * 3, identity.angles), held, start=start)

    row["a_stress"] = stress_free_edge(at, edge)
    row["a_energy"] = smallest_energy_edge(at, edge, dict(zip(1 + _STRAINS, energies, strict=True)))
    return row


def stress_free_edge(at: Callable[[float], CellState], edge: float) -> float | None:
    """Edge at which tr σ of separate solves vanishes, within ±10 % of ``edge``; None where it does not."""
    try:
        root = float(brentq(lambda s: float(np.trace(np.asarray(at(s).stress))), 0.9, 1.1, xtol=1e-5))
    except ValueError:
        return None
    return edge * root


def smallest_energy_edge(at: Callable[[float], CellState], edge: float, energies: dict[float, float]) -> float | None:
    """Edge of the smallest F: the minimum of a polynomial of third degree in s² through 13 stretches s within ±2 %.

    ``energies`` are the first 13. Where the polynomial has no minimum among them, 13 stretches around the end with the
    smaller F follow, at most four times; then the answer is None.
    """
    for _ in range(5):
        x = np.array(list(energies)) ** 2
        fit = Polynomial.fit(x, list(energies.values()), 3)
        for root in fit.deriv().roots():
            if np.isreal(root) and x.min() <= root.real <= x.max() and fit.deriv(2)(root.real) > 0:
                return float(edge * root.real**0.5)
        centre = min(energies, key=lambda s: energies[s])
        energies = {s: at(s).free_energy for s in centre + _STRAINS}
    return None


if __name__ == "__main__":
    main()
