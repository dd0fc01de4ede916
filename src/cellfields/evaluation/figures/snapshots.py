"""The electron density of a cell along a path of deformations, with predicted and true atoms (paper, fig. 10).

Each deformation is a column and each lattice plane a row. All panels have the same scale of lengths and colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellfields.errors import InputError
from cellfields.evaluation.figures.slices import (
    colour_bar,
    colour_map,
    decorate,
    frame_cell,
    mark_atoms,
    plane_coordinates,
    plane_through,
)
from cellfields.evaluation.figures.style import new_figure, styled
from cellfields.state import CellState

_FIELD = "density"
_WIDTH = 2.0  # inches; width of a panel
_CROSS: dict[str, Any] = {
    "marker": "x",
    "markersize": 8,
    "color": "#D02020",
    "markeredgecolor": "#D02020",
    "markeredgewidth": 2.0,
}
_PLUS: dict[str, Any] = {
    "marker": "+",
    "markersize": 11,
    "color": "#FF8FC7",
    "markeredgecolor": "#FF8FC7",
    "markeredgewidth": 1.6,
}


@styled
def snapshot_figure(
    predicted: Mapping[str, CellState],
    truth: Mapping[str, CellState] | None = None,
    *,
    heights: Sequence[float] = (0.0, 0.5),
    guides: Sequence[Sequence[float]] = ((1 / 2,), (1 / 6, 2 / 3)),
) -> Figure:
    """Draw the density on planes of a and b.

    Args:
        predicted: title of a column ("ε₂₂ = −0.10") → state with a density; its atoms are drawn as red crosses.
        truth: title of a column → true state, whose atoms are drawn as pink plus signs at their fractional
            coordinates; titles may be missing.
        heights: fractional coordinate along c of each plane.
        guides: for each plane, fractional coordinates along b of dashed lines, which mark atoms of the undeformed
            crystal; the defaults are those of magnesium.

    Raises:
        InputError: there are no states, a state has no density, or guides and heights differ in number.
    """
    if not predicted or not all(state.knows(_FIELD) for state in predicted.values()):
        raise InputError("snapshots need at least one state, all with a density")
    if len(guides) != len(heights):
        raise InputError(f"guides must hold one list for each of the {len(heights)} heights, not {len(guides)}")
    states = list(predicted.values())
    reach = np.max([[np.ptp(x), np.ptp(y)] for x, y in (plane_coordinates(s.lattice, 0, 1) for s in states)], axis=0)
    planes = {
        (row, column): plane_through(state, _FIELD, 2, height)
        for row, height in enumerate(heights)
        for column, state in enumerate(states)
    }
    low, high = min(p.min() for p in planes.values()), max(p.max() for p in planes.values())
    rows, columns = len(heights), len(states)
    height = rows * _WIDTH * reach[1] / reach[0]
    figure, axes = new_figure(rows, columns, width=_WIDTH * columns + 1.2, height=height + 0.5)
    for (row, column), values in planes.items():
        axis, state = axes[row * columns + column], states[column]
        x, y = plane_coordinates(state.lattice, 0, 1)
        mesh = axis.pcolormesh(
            x, y, values, cmap=colour_map(_FIELD), vmin=low, vmax=high, shading="gouraud", rasterized=True
        )
        decorate(axis, x, y)
        _centre(axis, reach)
        _draw_guides(axis, state, guides[row])
        mark_atoms(axis, state, (0, 1, 2), heights[row], **_CROSS)
        title = list(predicted)[column]
        if truth is not None and title in truth:
            true = truth[title]
            mark_atoms(axis, _on_cell(true, state), (0, 1, 2), heights[row], **_PLUS)
        if row == 0:
            axis.set_title(title)
        if column == 0:
            axis.set_ylabel(f"x̄₃ = {heights[row]:g}")
    colour_bar(figure, mesh, axes, _FIELD)
    return figure


def _on_cell(true: CellState, state: CellState) -> CellState:
    """The true state on the predicted lattice: relaxed cells differ a little, fractional coordinates are compared."""
    return replace(true, lattice=state.lattice)


def _centre(axis: Axes, reach: np.ndarray) -> None:
    """Show a window of size ``reach`` (2,) and a margin around the middle of a cell, the same for every cell."""
    for low, high, size, place in (
        (*axis.get_xlim(), reach[0], axis.set_xlim),
        (*axis.get_ylim(), reach[1], axis.set_ylim),
    ):
        middle = 0.5 * (low + high)
        place(middle - 0.54 * size, middle + 0.54 * size)


def _draw_guides(axis: Axes, state: CellState, places: Sequence[float]) -> None:
    frame = frame_cell(state.lattice, 0, 1)
    for place in places:
        ends = [frame @ (s * state.lattice[0] + place * state.lattice[1]) for s in (0.0, 1.0)]
        axis.plot(*zip(*ends, strict=True), linestyle="--", color="white", linewidth=0.9)
