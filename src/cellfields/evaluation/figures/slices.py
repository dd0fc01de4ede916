"""Fields on a lattice plane of the deformed cell: true, predicted, and their difference, with atoms (paper, fig. 2).

    r(s, t) = s a_i + t a_j + h a_k ,   0 ≤ s, t ≤ 1        drawn in the plane's own Cartesian coordinates, Å

The longer edge is horizontal. The true and the predicted field have the same scale, the difference has its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from scipy.fft import next_fast_len

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.evaluation.figures.style import new_figure, styled
from cellfields.state import CellState
from cellfields.state.quantities import FIELDS, quantity
from cellfields.units import ANGSTROM

_POINTS = 72  # points along each edge of the plane
_NEAR = 0.75  # Bohr; atoms closer to the plane than this are drawn on it
_ATOM: dict[str, Any] = {
    "marker": "o",
    "linestyle": "none",
    "markersize": 6,
    "color": "white",
    "markeredgecolor": "black",
}
_COLOUR_MAPS = {"Hartree": "cividis", "Hartree/Bohr^3": "magma"}  # unit (of potentials, of energy densities) → map


@styled
def slice_figure(truth: CellState, predicted: CellState, *, normal: int = 2, height: float | None = None) -> Figure:
    """Draw a row for each field with three columns: true, predicted, and predicted − true on its own scale.

    Constant fields, as the entropy density of an insulator, get no row. Axes are in Å.

    Args:
        truth, predicted: states of the same deformation, with fields.
        normal: index of the lattice vector that is *not* in the plane; 2 gives the plane of a and b.
        height: fractional coordinate of the plane along that vector; None takes the first atom's, or 0 where positions
            are not known.

    Raises:
        InputError: no field is known to both states and varies.
    """
    names = varying_fields(truth, predicted)
    if not names:
        raise InputError("a slice needs states with fields, at least one in common that is not constant")
    if height is None:
        height = _height(truth, normal)
    first, second = _in_plane(truth.lattice, normal)
    x, y = (ANGSTROM * points for points in plane_coordinates(truth.lattice, first, second))
    aspect = np.ptp(y) / np.ptp(x)
    figure, axes = new_figure(len(names), 3, width=12.5, height=len(names) * (3.15 * aspect + 0.55) + 0.3)
    for row, name in enumerate(names):
        panels = axes[3 * row : 3 * row + 3]
        true = plane_through(truth, name, normal, height)
        guess = plane_through(predicted, name, normal, height)
        low, high = min(true.min(), guess.min()), max(true.max(), guess.max())
        error = guess - true
        reach = float(np.abs(error).max()) or 1e-300
        if first > second:  # the longer edge, which is drawn horizontally, comes first
            true, guess, error = true.T, guess.T, error.T
        for axis, values in zip(panels[:2], (true, guess), strict=True):
            mesh = axis.pcolormesh(
                x, y, values, cmap=colour_map(name), vmin=low, vmax=high, shading="gouraud", rasterized=True
            )
        colour_bar(figure, mesh, panels[:2], name)
        mesh = panels[2].pcolormesh(
            x, y, error, cmap="RdBu_r", norm=Normalize(-reach, reach), shading="gouraud", rasterized=True
        )
        colour_bar(figure, mesh, [panels[2]], name)
        for axis in panels:
            decorate(axis, x, y)
        for axis, state in zip(panels, (truth, predicted, truth), strict=True):
            mark_atoms(axis, state, (first, second, normal), height, scale=ANGSTROM)
        panels[0].set_ylabel(f"{quantity(name).title}\n⊥ {'abc'[first]} (Å)", fontsize=10)
        panels[0].tick_params(left=True, labelleft=True)
    for axis, title in zip(axes[:3], ("true", "predicted", "predicted − true"), strict=True):
        axis.set_title(title)
    for axis in axes[-3:]:
        axis.set_xlabel(f"along {'abc'[first]} (Å)")
        axis.tick_params(bottom=True, labelbottom=True)
    return figure


def varying_fields(truth: CellState, predicted: CellState) -> list[str]:
    """Names of the declared fields that both states know and that are not constant in the true one."""
    both = [name for name in FIELDS if truth.knows(name) and predicted.knows(name)]
    return [name for name in both if truth.fields is not None and truth.fields.varies(name)]


def colour_map(name: str) -> str:
    """Name of the matplotlib colour map with which a field is drawn."""
    return _COLOUR_MAPS.get(quantity(name).unit, "viridis")


def plane_name(truth: CellState, *, normal: int = 2, height: float | None = None) -> str:
    """Description in words of the plane that :func:`slice_figure` draws with the same arguments."""
    first, second = ("abc"[axis] for axis in range(3) if axis != normal)
    through = " through the first atom" if height is None and truth.knows("positions") else ""
    place = round(_height(truth, normal) if height is None else height, 3) + 0.0
    return f"lattice plane of {first} and {second}{through}, at fractional coordinate {place:g} along {'abc'[normal]}"


def _height(truth: CellState, normal: int) -> float:
    return float(truth.positions[0, normal]) if truth.knows("positions") else 0.0


def _in_plane(lattice: FloatArray, normal: int) -> tuple[int, int]:
    """Indices of the two lattice vectors in the plane, that of the longer one first."""
    pair = [axis for axis in range(3) if axis != normal]
    lengths = np.linalg.norm(lattice, axis=1)
    first, second = sorted(pair, key=lambda axis: -lengths[axis])
    return first, second


def frame_cell(lattice: FloatArray, first: int, second: int) -> FloatArray:
    """(2, 3) orthonormal axes of the plane, the first of them along lattice vector ``first``."""
    along = lattice[first] / np.linalg.norm(lattice[first])
    across = lattice[second] - (lattice[second] @ along) * along
    return np.stack([along, across / np.linalg.norm(across)])


def plane_coordinates(lattice: FloatArray, first: int, second: int) -> tuple[FloatArray, FloatArray]:
    """Cartesian coordinates x, y (n+1, n+1) in the plane's axes, Bohr, of the points that a field is drawn on."""
    frame = frame_cell(lattice, first, second)
    s = np.linspace(0, 1, _POINTS + 1)
    points = s[:, None, None] * lattice[first] + s[None, :, None] * lattice[second]
    flat = points @ frame.T
    return flat[..., 0], flat[..., 1]


def plane_through(state: CellState, name: str, normal: int, height: float) -> FloatArray:
    """Field values (n+1, n+1) on the plane, whose last row and column repeat the first.

    The array's axes follow the lattice vectors in the plane in order of their index.
    """
    assert state.fields is not None
    through = next_fast_len(2 * int(np.abs(state.fields.basis.indices[:, normal]).max()) + 1)
    shape = tuple(through if axis == normal else _POINTS for axis in range(3))
    origin = tuple(height if axis == normal else 0.0 for axis in range(3))
    values = state.fields.on_grid(name, (shape[0], shape[1], shape[2]), (origin[0], origin[1], origin[2]))
    plane = np.take(values, 0, axis=normal)
    return np.pad(plane, ((0, 1), (0, 1)), mode="wrap")


def mark_atoms(
    axis: Axes, state: CellState, axes: tuple[int, int, int], height: float, scale: float = 1.0, **style: Any
) -> None:
    """Mark the atoms near the plane, and their periodic images, in the drawn cell.

    Args:
        axis: where to draw.
        state: its positions are drawn; without positions nothing is.
        axes: indices of the two lattice vectors in the plane, and of the third one.
        height: fractional coordinate of the plane along the third vector.
        scale: drawn units per Bohr.
        style: options of matplotlib's ``plot``.
    """
    if not state.knows("positions"):
        return
    first, second, normal = axes
    frame = frame_cell(state.lattice, first, second)
    spacing = float(np.linalg.det(state.lattice)) / float(
        np.linalg.norm(np.cross(state.lattice[first], state.lattice[second]))
    )
    for position in state.positions:
        offset = position[normal] - height
        offset -= np.rint(offset)
        if abs(offset) * spacing > _NEAR:
            continue
        for shift in np.ndindex(3, 3):
            s, t = position[[first, second]] % 1 + np.array(shift) - 1
            if -0.02 <= s <= 1.02 and -0.02 <= t <= 1.02:
                point = frame @ (s * state.lattice[first] + t * state.lattice[second] + offset * state.lattice[normal])
                axis.plot(*(scale * point), **{**_ATOM, **style}, zorder=5, clip_on=False)


def decorate(axis: Axes, x: FloatArray, y: FloatArray) -> None:
    """Draw the border of the cell with points x, y (n+1, n+1), and remove ticks and frame."""
    axis.set_aspect("equal")
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    border = [(x[i, j], y[i, j]) for i, j in ((0, 0), (-1, 0), (-1, -1), (0, -1), (0, 0))]
    axis.plot(*zip(*border, strict=True), color="#444444", linewidth=0.9)
    axis.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    pad = 0.04 * np.ptp(y)
    axis.set(xlim=(x.min() - pad, x.max() + pad), ylim=(y.min() - pad, y.max() + pad))


def colour_bar(figure: Figure, mesh: ScalarMappable, axes: list[Axes], name: str) -> None:
    """Draw the colour bar of a field beside axes, labelled with the field's unit."""
    numbers = ScalarFormatter()
    numbers.set_powerlimits((-2, 3))
    bar = figure.colorbar(mesh, ax=axes, shrink=0.92, pad=0.015, aspect=18, format=numbers)
    bar.set_label(quantity(name).shown_unit)
    bar.outline.set_visible(False)
