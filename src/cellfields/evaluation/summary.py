"""An evaluation as rows of a table: the few numbers that matter for a terminal, and all of them for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cellfields.evaluation.accuracy import QUANTITIES, Evaluation
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.judging import HEADLINE
from cellfields.evaluation.texts import number


def headline(evaluation: Evaluation, stress_remark: str = "") -> list[tuple[str, ...]]:
    """The numbers that matter: a row of column names, then one row a quantity.

    Mean and worst error of the surrogate, the mean error of the best plain baseline with its name, the spread.
    ``stress_remark``: why the stress is not judged; then a row says so.
    """
    rows: list[tuple[str, ...]] = [("error in", "unit", "surrogate", "worst", "best plain baseline", "spread")]
    for name in (name for name in HEADLINE if name in evaluation.spread):
        quantity, best = QUANTITIES[name], evaluation.best_baseline(name)
        found = evaluation.engines["surrogate"].errors if "surrogate" in evaluation.engines else {}
        mean, worst = (
            number(quantity.scale * float(f(found[name]))) if name in found else "—" for f in (np.mean, np.max)
        )
        other = "—"
        if best is not None:
            other = f"{number(quantity.scale * evaluation.engines[best].summary(name)['mean'])} ({best})"
        spread = number(quantity.scale * evaluation.spread[name].standard_deviation)
        rows.append((quantity.label, quantity.unit, mean, worst, other, spread))
    return rows + not_judged(rows[0], stress_remark)


def not_judged(columns: tuple[str, ...], stress_remark: str) -> list[tuple[str, ...]]:
    """A row for a stress that is not judged, where there is a reason; else none."""
    if not stress_remark:
        return []
    quantity = QUANTITIES["stress_gpa"]
    return [(quantity.label, quantity.unit, "not judged", *("—" for _ in columns[3:]))]


def summary(evaluation: Evaluation, quantities: Iterable[str], regressions: Sequence[str]) -> list[tuple[str, ...]]:
    """Texts of a table, column names first.

    One row a quantity: the surrogate's mean and worst error, the mean errors of the regressions, spread and range of
    the quantity itself.
    """
    engines = ("surrogate", *(name for name in regressions if name in evaluation.engines))
    rows = [("error in", "unit", "surrogate", "worst", *map(label, engines[1:]), "spread", "range")]
    for name in quantities:
        quantity, spread = QUANTITIES[name], evaluation.spread[name]
        numbers: list[float | None] = []
        for engine in engines:
            found = evaluation.engines[engine]
            known = found.summary(name) if name in found.errors else None
            numbers.append(None if known is None else known["mean"])
            if engine == "surrogate":
                numbers.append(None if known is None else known["max"])
        numbers += [spread.standard_deviation, spread.range]
        texts = ("—" if x is None else number(quantity.scale * x) for x in numbers)
        rows.append((quantity.label, quantity.unit, *texts))
    return rows
