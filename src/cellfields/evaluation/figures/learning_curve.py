"""Mean test error against the number of training strains, the PCA floor under it (paper, fig. 4 and 6 b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from cellfields.evaluation.accuracy import QUANTITIES
from cellfields.evaluation.figures.style import colour, label, marker, new_figure, styled
from cellfields.state.quantities import FIELDS


@styled
def learning_curve_figure(
    sizes: Sequence[int],
    errors: Mapping[str, Mapping[str, Sequence[float]]],
    points: Mapping[str, tuple[int, Mapping[str, float]]] | None = None,
) -> Figure:
    """Draw mean errors against training size on logarithmic axes, with a panel for each quantity.

    Args:
        sizes: numbers of training strains.
        errors: engine → quantity → mean error at each size, in the units of an evaluation.
        points: engine → (size, quantity → mean error), for engines whose error is known at one size only.
    """
    points = points or {}
    measured = {quantity for table in errors.values() for quantity in table}
    drawable = (*(f"{name}.nrmse" for name in FIELDS), "position", "free_energy")
    panels = [quantity for quantity in drawable if quantity in measured]
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure, axes = new_figure(rows, columns, width=4.1 * columns, height=3.3 * rows)
    for axis, quantity in zip(axes, panels, strict=False):
        shown = QUANTITIES[quantity]
        for engine, table in errors.items():
            if quantity in table:
                values = [shown.scale * value for value in table[quantity]]
                axis.plot(sizes, values, marker(engine) + "-", color=colour(engine), markersize=5, label=label(engine))
        for engine, (size, means) in points.items():
            if quantity in means:
                line = axis.plot([size], [shown.scale * means[quantity]], marker(engine), label=label(engine))[0]
                line.set(color=colour(engine), markersize=7, markerfacecolor="none")
        axis.set(xscale="log", yscale="log", title=shown.label, ylabel=f"mean error ({shown.unit})")
        ticks = sorted({*sizes, *(size for size, _ in points.values())})
        axis.set_xticks(ticks, [str(size) for size in ticks], rotation=45 if len(ticks) > 5 else 0)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_formatter(ScalarFormatter())
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis in axes[max(0, len(panels) - columns) : len(panels)]:
        axis.set_xlabel("training strains")
    if panels:
        axes[0].legend(loc="best")
    return figure
