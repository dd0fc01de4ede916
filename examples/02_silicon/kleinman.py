"""Kleinman's internal-strain parameter of silicon: how far the sublattices follow a shear.

    python kleinman.py                       # the trained surrogate, run/model.safetensors
    python kleinman.py silicon.toml          # first principles, at the study's settings

    u_x = −ζ (a/2) ε_yz          beyond the homogeneous deformation, and so on in turn

Under a shear the sublattices move against each other. ζ = 0: they do not; ζ = 1: bonds keep their lengths (L. Kleinman,
Phys. Rev. 128, 2614 (1962)). What it shows: the relaxed atoms are a part of what the surrogate predicts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cellfields import Deformation, Surrogate
from cellfields.engines.contract import Engine
from cellfields.pipeline.study import Study

HERE = Path(__file__).parent
STRAIN = 0.01  # of each shear
SHEARS = ((1, 2), (0, 2), (0, 1))  # yz moves the atoms along x, and so on


def displacement(engine: Engine, strain: np.ndarray) -> np.ndarray:
    """Of one sublattice against the other beyond the homogeneous deformation (3,), Bohr, in the cubic cell's frame."""
    crystal = engine.crystal
    lattice = crystal.lattice_ref @ (np.eye(3) + strain)
    state = engine.solve(Deformation.from_lattice(lattice, crystal))
    shift = state.positions - crystal.positions_ref
    shift -= np.rint(shift)
    return (shift[1] - shift[0]) @ lattice  # atoms 0 and 1 of silicon.cif: (0,0,0) and (¼,¼,¼)


def kleinman(engine: Engine) -> float:
    """ζ from all three shears at once, which keep the threefold axis along [111]; the second order drops out."""
    a = float(np.linalg.norm(engine.crystal.lattice_ref[0]))
    strain = np.zeros((3, 3))
    for i, j in SHEARS:
        strain[i, j] = strain[j, i] = STRAIN
    u = 0.5 * (displacement(engine, strain) - displacement(engine, -strain))
    return float(-u.mean() / (0.5 * a * STRAIN))


def main(arguments: list[str]) -> float:
    """Measure and print."""
    source = Path(arguments[0]) if arguments else HERE / "run" / "model.safetensors"
    if source.suffix == ".toml":
        engine: Engine = Study.load(source).engine
    elif source.is_file():
        engine = Surrogate.load(source)
    else:
        sys.exit(f"{source} does not exist: `cellfields run silicon.toml` trains it")
    zeta = kleinman(engine)
    print(f"Kleinman's parameter of {source.name}: {zeta:.3f}")
    print("literature: 0.53 (LDA, Nielsen and Martin 1985), 0.54 ± 0.04 (experiment, Cousins et al. 1987)")
    return zeta


if __name__ == "__main__":
    main(sys.argv[1:])
