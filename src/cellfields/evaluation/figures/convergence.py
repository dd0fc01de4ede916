"""Convergence ladders: the differences of F, −TS and the stress of each member from the densest one."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellfields.evaluation.convergence import Convergence, Rung
from cellfields.evaluation.figures.style import new_figure, styled
from cellfields.units import GPA

_TITLES = {
    "cutoff": "cutoff (Ha)",
    "kmesh": "k mesh (points, before folding)",
    "smearing_width": "smearing width (Ha), densest mesh",
}
_CURVES = (
    ("free_energy", "F", "o-", "#0072B2"),
    ("extrapolated", "½(E + F)", "d:", "#009E73"),
    ("entropic_energy", "−TS", "s--", "#D55E00"),
    ("strain_energy", "F(strained) − F(reference)", "^-.", "#CC79A7"),
)
_ROUNDING = 1e-9  # mHa, GPa


@styled
def convergence_figure(
    convergence: Convergence, tolerance: float | None = None, stress_tolerance: float | None = None
) -> Figure:
    """Draw each ladder in a column of its own, with energies an atom (mHa) above and the stress (GPa) below.

    Vertical lines mark the study's own values, horizontal lines the tolerances.

    Args:
        convergence: the ladders.
        tolerance: of F, Hartree an atom, or None to draw no line.
        stress_tolerance: Hartree/Bohr³, or None to draw no line.
    """
    ladders = {
        name: rungs for name, rungs in convergence.ladders.items() if name in _TITLES
    }  # kinds of smearing have no axis
    count = len(ladders)
    figure, axes = new_figure(2, count, width=4.2 * count, height=6.2)
    for column, (name, rungs) in enumerate(ladders.items()):
        changes = [(rung, rung.change) for rung in rungs if rung.change is not None][:-1]  # the densest: none
        places = [_of(rung.value) for rung, _ in changes]
        energies, stress = axes[column], axes[count + column]
        for key, label, style, colour in _CURVES:
            as_f = key == "extrapolated" and all(c.extrapolated == c.free_energy for _, c in changes)
            if not as_f:
                values = [1e3 * getattr(change, key) for _, change in changes]
                _draw(energies, places, values, style, color=colour, label=label)
        _draw(stress, places, [GPA * change.stress for _, change in changes], "o-", color="#0072B2")
        limits = (tolerance and 1e3 * tolerance, stress_tolerance and GPA * stress_tolerance)
        for axis, limit in zip((energies, stress), limits, strict=True):
            axis.set_xscale("log")
            axis.set_xticks(places, [_label(rung) for rung, _ in changes], minor=False)
            axis.minorticks_off()
            axis.axvline(_of(getattr(convergence.settings, name)), color="#999999", linewidth=0.8)
            if limit:
                axis.axhline(limit, color="#000000", linewidth=0.8)
        stress.set_xlabel(_TITLES[name])
        if name == "smearing_width":
            energies.invert_xaxis()
            stress.invert_xaxis()
    axes[0].set_ylabel("change an atom (mHa)")
    axes[count].set_ylabel("change of stress (GPa)")
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(loc="best")
    return figure


def _draw(axis: Axes, places: list[float], values: list[float], style: str, **look: Any) -> None:
    """Draw those values that are larger than rounding on a logarithmic scale."""
    shown = [(x, y) for x, y in zip(places, values, strict=True) if y > _ROUNDING]
    if shown:
        axis.set_yscale("log")
        axis.plot(*zip(*shown, strict=True), style, markersize=5, **look)


def _of(value: float | str | tuple[int, int, int]) -> float:
    return float(math.prod(value)) if isinstance(value, tuple) else float(value)


def _label(rung: Rung) -> str:
    return "×".join(map(str, rung.value)) if isinstance(rung.value, tuple) else f"{rung.value:g}"
