"""Error of each predicted field on each unseen strain against its volumetric strain (paper, fig. 5 and 8)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cellfields.evaluation.accuracy import Evaluation
from cellfields.evaluation.figures.style import colour, label, marker, new_figure, ring_outside, styled
from cellfields.state.quantities import FIELDS

_MANY = 100  # with more strains than this the marks are small


@styled
def error_vs_strain_figure(
    evaluation: Evaluation, engines: tuple[str, ...] = ("mean", "linear", "surrogate")
) -> Figure:
    """Draw the NRMSE (paper, eq. 12) in per cent on a logarithmic scale, with a panel for each field.

    Each mark is one strain. The last engine's marks are ringed where a strain lies outside the training domain.

    Args:
        evaluation: errors of the engines.
        engines: names of engines in it; those that it does not hold are left out.
    """
    shown = [name for name in engines if name in evaluation.engines]
    judged = {
        quantity for name in shown for quantity in evaluation.engines[name].errors if quantity in evaluation.spread
    }
    fields = [name for name in FIELDS if f"{name}.nrmse" in judged]
    columns = 2 if len(fields) > 1 else 1
    rows = max(1, -(-len(fields) // columns))
    figure, axes = new_figure(rows, columns, width=5.2 * columns, height=3.3 * rows, sharex=True)
    x = 100 * evaluation.volumetric_strain
    for axis, name in zip(axes, fields, strict=False):
        for engine in [e for e in shown if f"{name}.nrmse" in evaluation.engines[e].errors]:
            y = 100 * evaluation.engines[engine].errors[f"{name}.nrmse"]
            axis.semilogy(
                x,
                np.maximum(y, 1e-12),
                marker(engine),
                color=colour(engine),
                markerfacecolor=colour(engine) if engine == shown[-1] else "none",
                markersize=4.5 if len(x) <= _MANY else 2.5,
                alpha=0.85,
                linestyle="none",
                label=f"{label(engine)}: mean {y.mean():.2g} %",
            )
            if engine == shown[-1] and evaluation.outside is not None:
                ring_outside(axis, x, [np.maximum(y, 1e-12)], evaluation.outside)
        axis.set_title(FIELDS[name].title)
        axis.grid(visible=True, which="minor", axis="y", color="#f2f2f2", linewidth=0.5)
        low, high = axis.get_ylim()
        axis.set_ylim(low, high * (high / low) ** 0.45)  # room for the legend above the marks
        axis.legend(loc="upper left", labelspacing=0.3, handletextpad=0.2)
    for axis in axes[len(fields) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(fields) - columns) : len(fields)]:
        axis.set_xlabel("volumetric strain V/V⁰ − 1 (%)")
        axis.xaxis.set_tick_params(labelbottom=True)
    for axis in axes[: len(fields) : columns]:
        axis.set_ylabel("NRMSE (%)")
    return figure
