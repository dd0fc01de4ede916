"""Files as other codes write them, made from the toy engine's states, in any frame, order and origin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.vasp import VaspChargeDensity
from ase.io.cube import write_cube
from ase.units import Bohr

from cellfields.crystal import Crystal
from cellfields.state import CellState

SHAPE = (20, 36, 32)


def foreign_atoms(
    crystal: Crystal,
    state: CellState,
    *,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    order: tuple[int, ...] = (),
    rotation: np.ndarray | None = None,
) -> Atoms:
    """The relaxed cell as ASE atoms (Å), its origin moved, its atoms reordered and wrapped, its frame rotated."""
    order = order or tuple(range(crystal.n_atoms))
    lattice = state.lattice if rotation is None else state.lattice @ rotation
    atoms = crystal.to_atoms(lattice, state.positions + np.array(shift))[list(order)]
    atoms.wrap()
    return atoms


def values(state: CellState, name: str = "density", shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """A field where the foreign origin is ``shift`` before the crystal's: f'(x') = f(x' − shift)."""
    assert state.fields is not None
    return state.fields.on_grid(name, SHAPE, tuple(-np.array(shift)))


def save_cube(path: Path, atoms: Atoms, grid: np.ndarray) -> None:
    with path.open("w") as file:
        write_cube(file, atoms, grid)


def save_chgcar(path: Path, atoms: Atoms, grid: np.ndarray) -> None:
    density = VaspChargeDensity(None)
    density.atoms, density.chg = [atoms], [grid / Bohr**3]
    density.write(str(path), format="chgcar")


Writer = Callable[[Path, Atoms, np.ndarray], None]
WRITERS: dict[str, Writer] = {"rho.cube": save_cube, "CHGCAR": save_chgcar}
