"""Reports on a running solve: each step of self-consistency and of the relaxation, as data and as lines of a log.

    step i of self-consistency:  F_KS ,  F_Harris − F_KS ,  ‖ρ_out − ρ_in‖

The logger is ``cellfields.engines.planewave``: one line for each relaxation step at INFO, one for each SCF step at
DEBUG. Energies are those of the primitive cell, which is what is solved.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

LOGGER = logging.getLogger("cellfields.engines.planewave")


@dataclass(frozen=True)
class ScfStep:
    """One step of self-consistency.

    Attributes:
        step: number, from 0 in every SCF; a reduced basis has one SCF on a coarse mesh before that on the full one.
        free_energy: F_KS, Hartree per primitive cell.
        harris_minus_kohn_sham: F_Harris − F_KS, Hartree, an estimate of the error of F that is left.
        density_residual: ρ_out − ρ_in in the Coulomb norm, √Hartree.
        eigenvalue_residual: largest residual norm of the needed orbitals, Hartree.
        fermi_energy: E_F, Hartree.
    """

    step: int
    free_energy: float
    harris_minus_kohn_sham: float
    density_residual: float
    eigenvalue_residual: float
    fermi_energy: float


ScfCallback = Callable[[ScfStep], None]


def log_scf_step(done: ScfStep) -> None:
    """Log one SCF step, its energy and residuals, at DEBUG."""
    LOGGER.debug(
        "SCF step %d: F = %.10f Ha, Harris - Kohn-Sham %+.1e Ha, density residual %.1e",
        done.step,
        done.free_energy,
        done.harris_minus_kohn_sham,
        done.density_residual,
    )


def log_relaxation_step(step: int, free_energy: float, largest_force: float, scf_steps: int, k_points: int) -> None:
    """Log one step of a relaxation at INFO.

    Args:
        step: number, from 1 in every relaxation; a rough one on a coarse mesh may come before that on the full one.
        free_energy: F, Hartree per primitive cell.
        largest_force: largest Cartesian component of the forces on the atoms, Hartree/Bohr.
        scf_steps: number of SCF steps in this relaxation step.
        k_points: number of k points of the mesh.
    """
    LOGGER.info(
        "relaxation step %d (%d k points): F = %.10f Ha, largest force %.1e Ha/Bohr, %d SCF steps",
        step,
        k_points,
        free_energy,
        largest_force,
        scf_steps,
    )
