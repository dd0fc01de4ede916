"""Free energy of predicted states by several routes against the true one (paper, fig. 7), and their errors.

Each route has a panel, on whose line y = x a prediction is exact. The last panel shows for each route the share of
strains with an error smaller than the one on its axis.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.evaluation.figures.style import colour, label, marker, new_figure, styled

_COLUMNS = 3
_ROUTE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#000000", "#CC79A7", "#999999")
_SMALLEST = 1e-7  # mHa; smaller errors are drawn here, below the convergence of an engine


@styled
def energy_routes_figure(
    truth: FloatArray,
    energies: Mapping[str, Mapping[str, FloatArray]],
    printed: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Draw the panels, with energies in mHa from the mean of the true ones; later engines are drawn on top.

    Args:
        truth: (n,) true free energies, Hartree.
        energies: engine → route → (n,) predicted free energies, Hartree; every engine has the same routes.
        printed: route → mean and largest error printed in a publication, Hartree, to be shown in the route's panel.

    Raises:
        InputError: no engine or no route, or the engines differ in their routes or in the number of energies.
    """
    routes = list(next(iter(energies.values()), {}))
    truth = np.asarray(truth, dtype=float)
    fits = all(
        list(by_route) == routes and all(np.shape(e) == truth.shape for e in by_route.values())
        for by_route in energies.values()
    )
    if not routes or not len(truth) or not fits:
        raise InputError("a figure of energy routes needs an energy a strain for every route of every engine")
    rows = -(-(len(routes) + 1) // _COLUMNS)
    figure, axes = new_figure(rows, _COLUMNS, width=4.1 * _COLUMNS, height=4.3 * rows)
    centre = float(truth.mean())
    for letter, route, axis in zip("abcdefghij", routes, axes, strict=False):
        _parity(axis, 1e3 * (truth - centre), {n: 1e3 * (np.asarray(e[route]) - centre) for n, e in energies.items()})
        lines = [_statistics(label(name), np.abs(e[route] - truth)) for name, e in reversed(list(energies.items()))]
        if printed is not None and route in printed:
            mean, largest = (1e3 * value for value in printed[route])
            lines.append(f"printed\n  mean {mean:.2g}, max {largest:.2g} mHa")
        box = {"facecolor": "white", "edgecolor": "#dddddd", "alpha": 0.9, "boxstyle": "round,pad=0.4"}
        axis.text(0.04, 0.97, "\n".join(lines), transform=axis.transAxes, va="top", fontsize=8.5, bbox=box, zorder=10)
        axis.set_title(f"({letter}) {route}")
    for axis in axes[: len(routes) : _COLUMNS]:
        axis.set_ylabel("predicted − mean of the true (mHa per cell)")
    axes[0].legend(loc="lower right")
    last = list(energies)[-1]
    _distributions(axes[len(routes)], {route: 1e3 * np.abs(energies[last][route] - truth) for route in routes})
    axes[len(routes)].set_title(f"errors of {label(last)}")
    for axis in axes[len(routes) + 1 :]:
        axis.set_axis_off()
    return figure


def _parity(axis: Axes, x: FloatArray, predicted: Mapping[str, FloatArray]) -> None:
    for rank, (engine, y) in enumerate(predicted.items()):
        filled = rank == len(predicted) - 1
        axis.plot(
            x,
            y,
            marker(engine),
            color=colour(engine),
            markerfacecolor=colour(engine) if filled else "none",
            markersize=4,
            alpha=0.85,
            linestyle="none",
            zorder=3 + rank,
            label=label(engine),
        )
    every = np.concatenate([x, *predicted.values()])
    pad = 0.06 * float(np.ptp(every)) or 1.0
    ends = (float(every.min()) - pad, float(every.max()) + pad)
    axis.plot(ends, ends, color="black", linewidth=1, zorder=2.5)
    axis.set(xlim=ends, ylim=ends, xlabel="true − mean (mHa per cell)", box_aspect=1)


def _distributions(axis: Axes, errors: Mapping[str, FloatArray]) -> None:
    for (route, values), tint in zip(errors.items(), _ROUTE_COLOURS, strict=False):
        share = (np.arange(len(values)) + 1) / len(values)
        axis.step(np.sort(np.maximum(values, _SMALLEST)), 100 * share, where="post", color=tint, label=route)
    axis.set(xscale="log", xlabel="error (mHa per cell)", ylabel="strains with a smaller one (%)", ylim=(0, 101))
    axis.legend(loc="upper left")


def _statistics(name: str, errors: FloatArray) -> str:
    return f"{name}\n  mean {1e3 * errors.mean():.2g}, max {1e3 * errors.max():.2g} mHa"
