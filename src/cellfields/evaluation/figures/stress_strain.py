"""Uniaxial stress tests of several engines: stress and transverse strains against prescribed strain (paper, fig. 9).

(a) stress along each stretched direction;  (b), (c), (d) the two transverse strains of each test

A line has a gap where the crystal jumps: where a transverse strain changes between two neighbouring points by more than
twice the step of the prescribed strain and by more than five times the median change. Crosses are instabilities; open
circles are a model's extrapolations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.evaluation.figures.style import new_figure, styled
from cellfields.mechanics.uniaxial_path import UniaxialTable
from cellfields.units import GPA

_COLOURS = ("#0072B2", "#D55E00", "#009E73")  # colours of x₁, x₂, x₃
_LINES = ("-", "--", ":", "-.")
_MARKS = ("o", "^", "s", "D")
_SUBSCRIPTS = "₁₂₃"
_JUMP = 5.0  # times the median change of the transverse strains between neighbours


@styled
def uniaxial_figure(
    curves: Mapping[str, Sequence[UniaxialTable]],
    *,
    as_marks: Collection[str] = (),
    title: str = "",
    outside: Mapping[str, Sequence[FloatArray]] | None = None,
    instabilities: Sequence[tuple[int, float, float]] = (),
) -> Figure:
    """Draw curves of stress and transverse strains without changing them.

    A residual stress or strain, if it is not wanted, must be subtracted before.

    Args:
        curves: name in the legend → one table for each direction; all three directions, or fewer.
        as_marks: names of the curves that are drawn as marks; the others are drawn as lines.
        title: title of the figure.
        outside: name → for each of its tables (n,) of bool, true for points that are a model's extrapolations.
        instabilities: direction (1, 2 or 3), strain and stress (Hartree/Bohr³) of each instability.

    Raises:
        InputError: there are no curves.
    """
    directions = sorted({table.direction for tables in curves.values() for table in tables})
    if not directions:
        raise InputError("a uniaxial figure needs at least one curve")
    rows, columns = (2, 2) if len(directions) == 3 else (1, 1 + len(directions))
    figure, axes = new_figure(rows, columns, width=5.0 * columns, height=3.9 * rows)
    styles = _styles(curves, as_marks)
    for name, tables in curves.items():
        flags = (outside or {}).get(name, [np.zeros(len(table.strain), dtype=bool) for table in tables])
        for table, far in zip(tables, flags, strict=True):
            colour = _COLOURS[table.direction - 1]
            stress = table.stress * GPA
            strain = table.strain if name in as_marks else strains_with_gaps(table)
            axes[0].plot(100 * strain, _filled(stress, strain), color=colour, **styles[name])
            axes[0].plot(100 * table.strain[far], stress[far], "o", color=colour, fillstyle="none", markersize=6)
            panel = axes[1 + directions.index(table.direction)]
            for other in range(3):
                if other != table.direction - 1:
                    values = _filled(table.strains[:, other], strain)
                    panel.plot(100 * strain, 100 * values, color=_COLOURS[other], **styles[name])
    for direction, at, stress_there in instabilities:
        axes[0].plot(100 * at, stress_there * GPA, "X", color=_COLOURS[direction - 1], markersize=9, zorder=5)
    axes[0].set(xlabel="prescribed strain (%)", ylabel="stress (GPa)", title="(a) uniaxial stress")
    marks = []
    if any(far.any() for flags in (outside or {}).values() for far in flags):
        marks.append(
            Line2D([], [], linestyle="none", marker="o", fillstyle="none", color="#444444", label="extrapolated")
        )
    if instabilities:
        marks.append(Line2D([], [], linestyle="none", marker="X", color="#444444", label="instability"))
    _legend(axes[0], directions, styles, "σ", marks)
    for letter, direction, panel in zip("bcd", directions, axes[1:], strict=False):
        subscript = _SUBSCRIPTS[direction - 1]
        panel.set(xlabel=f"ε{subscript}{subscript} (%)", ylabel="transverse strain (%)")
        panel.set_title(f"({letter}) stretched along x{subscript}")
        _legend(panel, [other for other in (1, 2, 3) if other != direction], styles, "ε")
    if title:
        figure.suptitle(title)
    return figure


def strains_with_gaps(table: UniaxialTable) -> FloatArray:
    """Prescribed strains (n + number of jumps,) with a NaN between two points where the crystal jumps.

    matplotlib draws no line across a NaN.
    """
    change = np.abs(np.diff(table.strains, axis=0)).max(axis=1)
    step = np.abs(np.diff(table.strain))
    jumps = (change > 2 * step) & (change > _JUMP * np.median(change)) if len(change) else np.zeros(0, dtype=bool)
    return np.insert(table.strain, np.flatnonzero(jumps) + 1, np.nan)


def _filled(values: FloatArray, strain: FloatArray) -> FloatArray:
    """Values with a NaN inserted wherever ``strain`` has one."""
    filled = np.full(len(strain), np.nan)
    filled[~np.isnan(strain)] = values
    return filled


def _styles(curves: Mapping[str, Sequence[UniaxialTable]], as_marks: Collection[str]) -> dict[str, dict[str, Any]]:
    marked = [name for name in curves if name in as_marks]
    drawn = [name for name in curves if name not in as_marks]
    marks = {
        name: {"linestyle": "none", "marker": _MARKS[i % len(_MARKS)], "markersize": 4.5, "fillstyle": "none"}
        for i, name in enumerate(marked)
    }
    lines = {name: {"linestyle": _LINES[i % len(_LINES)], "linewidth": 1.5} for i, name in enumerate(drawn)}
    return {**lines, **marks}


def _legend(
    axis: Axes,
    directions: Sequence[int],
    styles: Mapping[str, dict[str, Any]],
    symbol: str,
    marks: Sequence[Line2D] = (),
) -> None:
    """Draw the legend: colours stand for components, lines and marks for curves."""
    axis.axhline(0, color="#888888", linewidth=0.6, zorder=0)
    axis.axvline(0, color="#888888", linewidth=0.6, zorder=0)
    handles = [Line2D([], [], color=_COLOURS[d - 1], label=symbol + 2 * _SUBSCRIPTS[d - 1]) for d in directions]
    handles += [Line2D([], [], color="#444444", label=name, **style) for name, style in styles.items()]
    axis.legend(handles=[*handles, *marks])
