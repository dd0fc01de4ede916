"""In-plane stiffness of graphene from the trained surrogate's stress.

    python stiffness.py                      # run/model.safetensors
    python stiffness.py graphene.toml        # first principles, at the study's settings

    C_ij = c ∂σ_i/∂ε_j      stress is per volume of the box; times its height c it is per length of the sheet, N/m

What it shows: a sheet needs one k point across the vacuum, and `hold` for what would strain it; the stress in the plane
is then that of the sheet alone. Taken at the size where it vanishes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase.units import Bohr, Hartree, J, m
from scipy.optimize import brentq

from cellfields import Deformation, Surrogate
from cellfields.engines.contract import Engine
from cellfields.pipeline.study import Study

HERE = Path(__file__).parent
STRAIN = 0.005
NEWTON_A_METRE = Hartree / Bohr**2 / (J / m**2)


def sheet_stress(engine: Engine, size: float, strain: tuple[float, float]) -> np.ndarray:
    """(σ_xx, σ_yy) of the sheet, N/m, at a size relative to the reference and strains (ε_xx, ε_yy) on top of it."""
    crystal = engine.crystal
    stretch = np.diag([size * (1 + strain[0]), size * (1 + strain[1]), 1.0])
    state = engine.solve(Deformation.from_lattice(crystal.lattice_ref @ stretch, crystal))
    height = state.lattice[2, 2]
    return np.diag(state.stress)[:2] * height * NEWTON_A_METRE


def stiffness(engine: Engine) -> tuple[float, float, float]:
    """Size without stress, C₁₁ and C₁₂ in N/m; the mean over x and y, which a hexagonal sheet does not tell apart."""
    size = brentq(lambda s: float(sheet_stress(engine, s, (0, 0)).mean()), 0.98, 1.03, xtol=1e-5)
    along = [sheet_stress(engine, size, (e, 0)) for e in (STRAIN, -STRAIN)]
    across = [sheet_stress(engine, size, (0, e)) for e in (STRAIN, -STRAIN)]
    slopes = np.array([(plus - minus) / (2 * STRAIN) for plus, minus in (along, across)])
    return size, float(np.diag(slopes).mean()), float(slopes[[0, 1], [1, 0]].mean())


def main(arguments: list[str]) -> tuple[float, float, float]:
    """Measure and print."""
    source = Path(arguments[0]) if arguments else HERE / "run" / "model.safetensors"
    if source.suffix == ".toml":
        engine: Engine = Study.load(source).engine
    elif source.is_file():
        engine = Surrogate.load(source)
    else:
        sys.exit(f"{source} does not exist: `cellfields run graphene.toml` trains it")
    size, c11, c12 = stiffness(engine)
    edge = size * np.linalg.norm(engine.crystal.lattice_ref[0]) * Bohr
    print(f"a = {edge:.3f} Å without stress; C11 = {c11:.0f} N/m, C12 = {c12:.0f} N/m")
    print(f"Young's modulus {c11 - c12**2 / c11:.0f} N/m, Poisson's ratio {c12 / c11:.3f}")
    return size, c11, c12


if __name__ == "__main__":
    main(sys.argv[1:])
