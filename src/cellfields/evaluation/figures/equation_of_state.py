"""Equation of state: energies with their fit, and the pressure from the fit and from the stress."""

from __future__ import annotations

import numpy as np
from ase.eos import birchmurnaghan
from matplotlib.figure import Figure

from cellfields.evaluation.figures.style import new_figure, styled
from cellfields.mechanics.equation_of_state import EquationOfState
from cellfields.units import ANGSTROM, GPA


@styled
def equation_of_state_figure(fitted: EquationOfState) -> Figure:
    """F − F₀ (mHa) and pressure (GPa) against volume (Å³): points are solved, lines are the fit."""
    figure, (left, right) = new_figure(1, 2, width=9.0, height=3.8)
    dense = np.linspace(fitted.volumes.min(), fitted.volumes.max(), 200)
    fit = birchmurnaghan(dense, fitted.energy, fitted.bulk_modulus, fitted.bulk_derivative, fitted.volume)
    left.plot(dense * ANGSTROM**3, 1e3 * (fit - fitted.energy), color="#444444", label="Birch–Murnaghan")
    left.plot(fitted.volumes * ANGSTROM**3, 1e3 * (fitted.energies - fitted.energy), "o", color="#0072B2", label="F")
    left.set(xlabel="volume of the cell (Å³)", ylabel="F − F₀ (mHa)")
    right.plot(dense * ANGSTROM**3, fitted.pressure(dense) * GPA, color="#444444", label="−dF/dV of the fit")
    if fitted.pressures is not None:
        right.plot(fitted.volumes * ANGSTROM**3, fitted.pressures * GPA, "s", color="#D55E00", label="−tr σ/3")
    right.axhline(0, color="#888888", linewidth=0.6, zorder=0)
    right.set(xlabel="volume of the cell (Å³)", ylabel="pressure (GPa)")
    for axis in (left, right):
        axis.legend()
    return figure
