"""Uniaxial stress tests of several engines: stress, and the transverse strains, against the strain (paper, fig. 9).

(a) stress along each stretched direction;  (b), (c), (d) the two transverse strains of each test
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ase.units import Bohr, GPa, Hartree
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cellfields.errors import InputError
from cellfields.evaluation.figures._style import new_figure, styled
from cellfields.mechanics.uniaxial import UniaxialTable

_COLOURS = ("#0072B2", "#D55E00", "#009E73")  # of x₁, x₂, x₃
_LINES = ("-", "--", ":", "-.")
_MARKS = ("o", "^", "s", "D")
_SUBSCRIPTS = "₁₂₃"


@styled
def uniaxial_figure(
    curves: Mapping[str, Sequence[UniaxialTable]], *, as_marks: Collection[str] = (), title: str = ""
) -> Figure:
    """Draw curves as they are given: subtract residual stress and strains before, where that is wanted.

    Args:
        curves: name (in the legend) → one table a direction; all three directions, or fewer.
        as_marks: names of those to draw as marks, the others are lines.
        title: of the figure.

    Raises:
        InputError: no curve at all.
    """
    directions = sorted({table.direction for tables in curves.values() for table in tables})
    if not directions:
        raise InputError("a uniaxial figure needs at least one curve")
    rows, columns = (2, 2) if len(directions) == 3 else (1, 1 + len(directions))
    figure, axes = new_figure(rows, columns, width=5.0 * columns, height=3.9 * rows)
    styles = _styles(curves, as_marks)
    for name, tables in curves.items():
        for table in tables:
            colour = _COLOURS[table.direction - 1]
            stress = table.stress * (Hartree / Bohr**3 / GPa)
            axes[0].plot(100 * table.strain, stress, color=colour, **styles[name])
            panel = axes[1 + directions.index(table.direction)]
            for other in range(3):
                if other != table.direction - 1:
                    panel.plot(100 * table.strain, 100 * table.strains[:, other], color=_COLOURS[other], **styles[name])
    axes[0].set(xlabel="prescribed strain (%)", ylabel="stress (GPa)", title="(a) uniaxial stress")
    _legend(axes[0], directions, styles, "σ")
    for letter, direction, panel in zip("bcd", directions, axes[1:], strict=False):
        subscript = _SUBSCRIPTS[direction - 1]
        panel.set(xlabel=f"ε{subscript}{subscript} (%)", ylabel="transverse strain (%)")
        panel.set_title(f"({letter}) stretched along x{subscript}")
        _legend(panel, [other for other in (1, 2, 3) if other != direction], styles, "ε")
    if title:
        figure.suptitle(title)
    return figure


def _styles(curves: Mapping[str, Sequence[UniaxialTable]], as_marks: Collection[str]) -> dict[str, dict[str, Any]]:
    marked = [name for name in curves if name in as_marks]
    drawn = [name for name in curves if name not in as_marks]
    marks = {
        name: {"linestyle": "none", "marker": _MARKS[i % len(_MARKS)], "markersize": 4.5, "fillstyle": "none"}
        for i, name in enumerate(marked)
    }
    lines = {name: {"linestyle": _LINES[i % len(_LINES)], "linewidth": 1.5} for i, name in enumerate(drawn)}
    return {**lines, **marks}


def _legend(axis: Axes, directions: Sequence[int], styles: Mapping[str, dict[str, Any]], symbol: str) -> None:
    """Colours say which component, lines and marks whose it is."""
    axis.axhline(0, color="#888888", linewidth=0.6, zorder=0)
    axis.axvline(0, color="#888888", linewidth=0.6, zorder=0)
    handles = [Line2D([], [], color=_COLOURS[d - 1], label=symbol + 2 * _SUBSCRIPTS[d - 1]) for d in directions]
    handles += [Line2D([], [], color="#444444", label=name, **style) for name, style in styles.items()]
    axis.legend(handles=handles)
