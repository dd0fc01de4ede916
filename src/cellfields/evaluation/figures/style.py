"""The common style of all figures; colours can be told apart with colour blindness (Okabe & Ito 2008)."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cellfields._typing import Array, FloatArray

P = ParamSpec("P")

COLOURS = {
    "surrogate": "#0072B2",
    "linear": "#D55E00",
    "quadratic": "#009E73",
    "mean": "#999999",
    "best recipe": "#0072B2",
    "paper's recipe": "#E69F00",
    "published network": "#CC79A7",
    "published linear": "#882255",
    "PCA floor": "#000000",
    "published PCA floor": "#777777",
}
MARKERS = {
    "surrogate": "o",
    "linear": "^",
    "quadratic": "D",
    "mean": "s",
    "paper's recipe": "s",
    "published network": "D",
    "published linear": "v",
    "PCA floor": "_",
    "published PCA floor": "x",
}
ENGINE_LABELS = {
    "surrogate": "surrogate",
    "linear": "linear regression",
    "quadratic": "quadratic regression",
    "cubic": "cubic regression",
    "quartic": "quartic regression",
    "quintic": "quintic regression",
    "sextic": "sextic regression",
    "mean": "mean of the training set",
    "nearest": "nearest training state",
    "paper's recipe": "paper's recipe, ours",
}

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a drawing function so that it uses this module's style and leaves matplotlib's settings unchanged."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(rows: int, columns: int, *, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure with rows × columns axes, without pyplot and its global state.

    Args:
        rows, columns: numbers of axes.
        width, height: size of the figure, inches.
        options: of matplotlib's ``Figure.subplots``.

    Returns:
        The figure, and its axes row by row.
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.ravel())


def colour(engine: str) -> str:
    """The colour of an engine; engines that are not in :data:`COLOURS` are purple."""
    return COLOURS.get(engine, "#CC79A7")


def marker(engine: str) -> str:
    """The marker of an engine; engines that are not in :data:`MARKERS` have a circle."""
    return MARKERS.get(engine, "o")


def label(engine: str) -> str:
    """The name of an engine in a legend."""
    return ENGINE_LABELS.get(engine, engine)


def ring_outside(axis: Axes, x: FloatArray, series: Sequence[FloatArray], outside: Array) -> None:
    """Draw rings around the marks (x, y) of all series, y being one of ``series``, where ``outside`` (n,) is true."""
    for y in series if outside.any() else ():
        axis.plot(
            x[outside], y[outside], "o", markersize=10, markerfacecolor="none", color="#B3261E", linestyle="none",
            markeredgewidth=1.1, zorder=9, label="_outside",
        )  # fmt: skip


def image_bytes(figure: Figure, kind: str = "png", *, dpi: int = 144) -> bytes:
    """Content of a file that holds the figure; ``kind`` is "png", "svg" or "pdf"."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi)
    return buffer.getvalue()


def png_data_uri(png: bytes) -> str:
    """A ``data:`` address of a picture, to be used in an HTML page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
