"""Distances of predicted from true atoms, below the distances that the true atoms moved (paper, fig. 6)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellfields.evaluation.accuracy import Evaluation
from cellfields.evaluation.figures.style import COLOURS, colour, label, new_figure, styled

_SMALLEST = 1e-9  # Bohr; smaller errors are drawn here, because an exact prediction has no logarithm


@styled
def position_error_figure(evaluation: Evaluation, engines: tuple[str, ...] = ("linear", "surrogate")) -> Figure:
    """Draw histograms over the unseen strains on one logarithmic scale of lengths in Bohr, with a line at each mean.

    Strains outside the training domain are hatched.

    Args:
        evaluation: errors of the engines, and displacements of the true atoms.
        engines: names of engines in it; those without an error of positions are left out.
    """
    series = {"how far the true atoms move": (evaluation.displacement, COLOURS["mean"])}
    for name in engines:
        if name in evaluation.engines and "position" in evaluation.engines[name].errors:
            series[f"error, {label(name)}"] = (evaluation.engines[name].errors["position"], colour(name))
    series = {text: (np.maximum(values, _SMALLEST), tint) for text, (values, tint) in series.items()}
    low = np.log10(min(values.min() for values, _ in series.values()))
    high = np.log10(max(values.max() for values, _ in series.values()))
    count = int(np.clip(4 * np.sqrt(len(evaluation.displacement)), 12, 48))
    bins = np.logspace(low - 0.05, high + 0.05, count + 1)
    figure, axes = new_figure(len(series), 1, width=7.6, height=0.5 + 1.45 * len(series), sharex=True, sharey=True)
    for axis, (text, (values, tint)) in zip(axes, series.items(), strict=True):
        axis.hist(values, list(bins), color=tint, alpha=0.85, zorder=2)
        if evaluation.outside is not None and evaluation.outside.any():
            outer = values[evaluation.outside]
            axis.hist(outer, list(bins), histtype="step", hatch="////", edgecolor="#B3261E", zorder=2.5)
        axis.axvline(values.mean(), color="black", linewidth=1.2, zorder=3)
        axis.set_title(f"{text}: mean {values.mean():.2g}, largest {values.max():.2g} Bohr", loc="left", fontsize=10)
        axis.set(xscale="log", ylabel="strains")
        axis.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes[-1].set_xlabel("distance in the deformed cell (Bohr)")
    return figure
