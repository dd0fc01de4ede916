"""Predicted against true energies on unseen strains (paper, fig. 3): on the line y = x a prediction is exact."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cellfields.errors import InputError
from cellfields.evaluation.accuracy import SCALARS, Evaluation
from cellfields.evaluation.figures.style import colour, label, marker, new_figure, ring_outside, styled
from cellfields.state.quantities import quantity as declared

_CONSTANT = 1e-8  # Hartree; an energy with a smaller range is constant and not drawn
_MANY = 100  # with more strains than this the marks are small


def parity_panels(evaluation: Evaluation, engines: tuple[str, ...]) -> list[str]:
    """Names of the energies that :func:`parity_figure` draws: they vary, and one of the engines predicts them."""
    predicted = {quantity for n in engines if n in evaluation.engines for quantity in evaluation.engines[n].predicted}
    return [q for q in SCALARS if q in predicted and q in evaluation.truth and np.ptp(evaluation.truth[q]) > _CONSTANT]


@styled
def parity_figure(evaluation: Evaluation, engines: tuple[str, ...] = ("linear", "surrogate")) -> Figure:
    """Draw a panel for each energy, in mHa from the mean of the true values; later engines are drawn on top.

    Args:
        evaluation: true and predicted energies. An energy that it does not hold, that no engine predicts, or that is
            the same in all test strains (as −TS of an insulator, which is zero) gets no panel. Strains outside the
            training domain are ringed.
        engines: names of engines in it; those that it does not hold are left out.

    Raises:
        InputError: no panel is left.
    """
    predicted = {n: evaluation.engines[n].predicted for n in engines if n in evaluation.engines}
    panels = parity_panels(evaluation, engines)
    if not panels:
        raise InputError("a parity plot needs an energy that the test states and an engine know, and that varies")
    figure, axes = new_figure(1, len(panels), width=4.1 * len(panels), height=4.3)
    for axis, quantity in zip(axes, panels, strict=True):
        truth = evaluation.truth[quantity]
        centre = truth.mean()
        x = 1e3 * (truth - centre)
        shown = [engine for engine, energies in predicted.items() if quantity in energies]
        for rank, engine in enumerate(shown):
            y = 1e3 * (predicted[engine][quantity] - centre)
            axis.plot(
                x,
                y,
                marker(engine),
                color=colour(engine),
                markerfacecolor=colour(engine) if engine == shown[-1] else "none",
                markersize=5 if len(x) <= _MANY else 2.5,
                alpha=0.85,
                linestyle="none",
                zorder=3 + rank,
                label=label(engine),
            )
        if evaluation.outside is not None:
            ring_outside(axis, x, [1e3 * (predicted[e][quantity] - centre) for e in shown], evaluation.outside)
        low, high = x.min(), x.max()
        pad = 0.06 * (high - low) or 1.0
        ends = np.array([low - pad, high + pad])
        axis.plot(ends, ends, color="black", linewidth=1, zorder=2.5)
        axis.set(xlim=ends, xlabel="true − mean (mHa per cell)", title=declared(quantity).title, box_aspect=1)
        lines = []
        for engine in reversed(shown):
            error = 1e3 * evaluation.engines[engine].errors[quantity]
            lines.append(f"{label(engine)}\n  mean {error.mean():.2g}, max {error.max():.2g} mHa")
        axis.text(
            0.04,
            0.97,
            "\n".join(lines),
            transform=axis.transAxes,
            va="top",
            fontsize=8.5,
            bbox={"facecolor": "white", "edgecolor": "#dddddd", "alpha": 0.9, "boxstyle": "round,pad=0.4"},
            zorder=10,
        )
    axes[0].set_ylabel("predicted − mean of the true (mHa per cell)")
    axes[0].legend(loc="lower right")
    return figure
