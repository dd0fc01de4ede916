"""Polar instability against biaxial strain: the softest odd mode, and what the crystal gains by following it.

    python polar.py srtio3.toml --cutoff 30 --kmesh 4 4 4 --strains -0.02 0 0.02 --axis 3

    k(ε) = min eig Φ(ε) ,   Φ_ab = ∂²F/∂u_a∂u_b          u_a displacements along one axis that break the centre
    ΔF(ε, u) = F(u e) − F(0)                             e the softest one, u its length (primitive cell, Bohr)

Edges a and b are strained by ε as on a substrate, c answers by −r ε with r = 2 C₁₂/C₁₁. k < 0: with its centre imposed
the crystal sits on a saddle. Displacements along one axis only: the tetragonal symmetry of such strains does not mix
them with the others, and there are a third as many as `odd_mode_check` tries.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cellfields import Deformation, PlaneWaveEngine
from cellfields.engines.planewave.odd_modes import odd_patterns
from cellfields.pipeline.study import Study
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart

STEP = 0.05  # Bohr
RATIO = 0.64  # r of SrTiO3: C₁₁ = 317, C₁₂ = 102 GPa at room temperature


def biaxial(engine: PlaneWaveEngine, strain: float, ratio: float = RATIO) -> Deformation:
    """λa = λb = 1 + ε, λc = 1 − r ε."""
    return Deformation((1 + strain, 1 + strain, 1 - ratio * strain), Deformation.identity(engine.crystal).angles)


def displaced(engine: PlaneWaveEngine, state: CellState, pattern: np.ndarray, length: float) -> CellState:
    """The state with atoms moved by length · pattern (N, 3) from another one, the inversion centre free."""
    crystal = engine.crystal
    positions = state.positions + length * pattern @ np.linalg.inv(state.lattice)
    return engine.evaluate(state.deformation, crystal.internal(positions), start=DensityStart.of(state))


def softest(free: PlaneWaveEngine, imposed: PlaneWaveEngine, state: CellState, axis: int) -> tuple[float, np.ndarray]:
    """Curvature (Hartree/Bohr²) and pattern (N, 3) of the softest odd mode along an axis (0, 1, 2)."""
    crystal = imposed.crystal
    patterns = [p for p in odd_patterns(crystal) if np.abs(p[:, axis]).max() > 0]
    images = crystal.inversion_images
    pulled = []
    for pattern in patterns:
        forces = displaced(free, state, pattern, STEP).forces
        pulled.append(-0.5 * (forces + forces[images]) / STEP)
    matrix = np.einsum("aij,bij->ab", patterns, pulled) / crystal.n_translations
    curvatures, modes = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return float(curvatures[0]), np.einsum("a,aij->ij", modes[:, 0], patterns)


def gain(engine: PlaneWaveEngine, state: CellState, pattern: np.ndarray, lengths: Sequence[float]) -> list[float]:
    """F − F(0) a primitive cell, Hartree."""
    found = [displaced(engine, state, pattern, length).free_energy for length in lengths]
    return [(f - state.free_energy) / engine.crystal.n_translations for f in found]


def main(arguments: list[str] | None = None) -> list[tuple[float, float, list[float]]]:
    """Measure and print; returns strain, curvature and gains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--strains", type=float, nargs="+", default=[-0.02, 0.0, 0.02])
    parser.add_argument("--ratio", type=float, default=RATIO, help="r")
    parser.add_argument("--axis", type=int, choices=(1, 2, 3), default=3, help="of the displacements")
    parser.add_argument("--lengths", type=float, nargs="*", default=[0.3], help="of the softest mode, Bohr")
    parser.add_argument("--kmesh", type=int, nargs=3, metavar="N", help="instead of the study's")
    parser.add_argument("--cutoff", type=float, help="Hartree, instead of the study's")
    chosen = parser.parse_args(arguments)
    study = Study.load(chosen.study)
    others = {"kmesh": chosen.kmesh and tuple(chosen.kmesh), "cutoff": chosen.cutoff}
    settings = study.configuration.engine.model_copy(update={name: x for name, x in others.items() if x is not None})
    engine = PlaneWaveEngine(study.crystal, settings)
    imposed, free = (engine.for_crystal(engine.crystal.with_inversion(how)) for how in ("impose", "free"))
    rows = []
    for strain in chosen.strains:
        state = imposed.solve(biaxial(engine, strain, chosen.ratio))
        curvature, pattern = softest(free, imposed, state, chosen.axis - 1)
        gains = gain(free, state, pattern, chosen.lengths)
        rows.append((strain, curvature, gains))
        moved = zip(engine.crystal.species, pattern[:, chosen.axis - 1], strict=True)
        atoms = ", ".join(f"{symbol} {x:+.2f}" for symbol, x in moved)
        wells = ", ".join(f"{1e3 * g:+.3f} mHa at {u:g} Bohr" for u, g in zip(chosen.lengths, gains, strict=True))
        print(f"strain {100 * strain:+.1f} %: softest mode {curvature:+.5f} Ha/Bohr² ({atoms}); {wells}", flush=True)
    return rows


if __name__ == "__main__":
    main()
