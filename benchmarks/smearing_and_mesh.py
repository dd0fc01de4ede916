"""How wrong a shear stiffness is on the k meshes that people use, for each kind and width of smearing.

    C' = ([σ_xx − σ_yy](+e) − [σ_xx − σ_yy](−e)) / 8 e ,    F = diag(1 + e, 1/(1 + e), 1) in the conventional axes

For cubic crystals C' = (C11 − C12)/2, for hexagonal ones C66: the first stiffness that a coarse mesh spoils; e = 0.5 %.
Cutoffs are low: only the errors of mesh and smearing matter, and the plane waves are the union of all spheres in every
solve. The densest mesh is solved with every kind too, so that the bias of a width can be told from the mesh's error.

    python benchmarks/smearing_and_mesh.py --output benchmarks/results/smearing_and_mesh.json

goes on where it stopped. docs/engine_breadth.md shows the result.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np

from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
from cellfields.errors import CellFieldsError, PhysicsWarning
from cellfields.mechanics.crystal_axes import crystal_axes
from cellfields.units import GPA

STRAIN = 0.005
KINDS = ("cold", "fermi-dirac", "gaussian")
WIDTHS = (0.01, 0.005)
MESHES = {"Na": (8, 12, 16), "Al": (8, 12, 16), "Mg": (8, 12, 16)}
DENSE, NARROW = 24, 0.003
CUTOFFS = {"Na": 8.0, "Al": 8.0, "Mg": 8.0}


def crystal(symbol: str) -> Crystal:
    """Primitive cells at lattice constants of the local density approximation, Bohr."""
    if symbol == "Na":
        return Crystal(3.82 * (np.ones((3, 3)) - 2 * np.eye(3)), ["Na"], [[0, 0, 0]])
    if symbol == "Al":
        return Crystal(3.76 * (np.ones((3, 3)) - np.eye(3)), ["Al"], [[0, 0, 0]])
    a, c = 5.89, 9.56
    lattice = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]]
    return Crystal(lattice, ["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])


def mesh(symbol: str, n: int) -> tuple[int, int, int]:
    """n points along each axis; along hexagonal c as many as its length asks for."""
    return (n, n, max(1, round(0.62 * n))) if symbol == "Mg" else (n, n, n)


def stiffness(symbol: str, n: int, kind: str, width: float) -> float:
    """C' in GPa."""
    solid = crystal(symbol)
    settings = PlaneWaveSettings(
        cutoff=CUTOFFS[symbol], kmesh=mesh(symbol, n), smearing=kind, smearing_width=width, basis="reduced"
    )
    axes, _ = crystal_axes(solid)
    difference = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PhysicsWarning)
        engine = PlaneWaveEngine(solid, settings)
        for e in (STRAIN, -STRAIN):
            gradient = axes.T @ np.diag([1 + e, 1 / (1 + e), 1]) @ axes
            state = engine.solve(Deformation.from_deformation_gradient(gradient, solid))
            found = state.deformation.deformation_gradient(solid)
            turn = found @ np.linalg.inv(gradient)  # the state's frame is that of a ∥ x
            stress = axes @ turn.T @ state.stress @ turn @ axes.T
            difference.append(stress[0, 0] - stress[1, 1])
    return float((difference[0] - difference[1]) / (8 * STRAIN) * GPA)


def main() -> None:
    """Solve what is not in the output yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(MESHES))
    options = parser.parse_args()
    found: dict[str, float | None] = json.loads(options.output.read_text()) if options.output.exists() else {}
    jobs = [(s, DENSE, "fermi-dirac", NARROW) for s in options.only]
    jobs += [(s, n, k, w) for s in options.only for n in MESHES[s] for w in WIDTHS for k in KINDS]
    jobs += [(s, DENSE, k, WIDTHS[0]) for s in options.only for k in KINDS]  # the bias of the smearing alone
    for job in jobs:
        key = "{} {} {} {:g}".format(*job)
        if key in found:
            continue
        try:
            found[key] = stiffness(*job)
        except CellFieldsError as error:
            print(key, error, flush=True)
            found[key] = None
        print(key, found[key], flush=True)
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
