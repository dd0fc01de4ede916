"""An evaluation as rows of a table: the headline quantities for a terminal, and any quantities for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cellfields.evaluation.accuracy import QUANTITIES, Evaluation
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.judging import HEADLINE
from cellfields.evaluation.texts import number


def headline(evaluation: Evaluation, stress_remark: str = "") -> list[tuple[str, ...]]:
    """Rows of a table of the quantities in ``judging.HEADLINE``, the first of them the names of the columns.

    Each row holds mean and worst error of the surrogate, the mean error of the best plain baseline with its name, and
    the spread of the quantity.

    Args:
        evaluation: errors of the surrogate and of plain baselines.
        stress_remark: reason why the stress is not judged, or empty; a reason adds a row that says "not judged".
    """
    rows: list[tuple[str, ...]] = [("error in", "unit", "surrogate", "worst", "best plain baseline", "spread")]
    for name in (name for name in HEADLINE if name in evaluation.spread):
        quantity, best = QUANTITIES[name], evaluation.best_baseline(name)
        errors = evaluation.engines["surrogate"].errors if "surrogate" in evaluation.engines else {}
        mean, worst = (
            number(quantity.scale * float(f(errors[name]))) if name in errors else "—" for f in (np.mean, np.max)
        )
        other = "—"
        if best is not None:
            other = f"{number(quantity.scale * evaluation.engines[best].summary(name)['mean'])} ({best})"
        spread = number(quantity.scale * evaluation.spread[name].standard_deviation)
        rows.append((quantity.label, quantity.unit, mean, worst, other, spread))
    return rows + not_judged(rows[0], stress_remark)


def not_judged(columns: tuple[str, ...], stress_remark: str) -> list[tuple[str, ...]]:
    """A list of one row that says the stress is not judged, as long as ``columns``; empty without a reason for it."""
    if not stress_remark:
        return []
    quantity = QUANTITIES["stress_gpa"]
    return [(quantity.label, quantity.unit, "not judged", *("—" for _ in columns[3:]))]


def summary(evaluation: Evaluation, quantities: Iterable[str], regressions: Sequence[str]) -> list[tuple[str, ...]]:
    """Rows of a table of errors, the first of them the names of the columns.

    Each row holds the surrogate's mean and worst error, the mean errors of the regressions, and spread and range of the
    quantity itself.

    Args:
        evaluation: errors of an engine "surrogate" and of the regressions.
        quantities: keys of the evaluation's spread, one for each row.
        regressions: names of engines; those that the evaluation does not hold are left out.
    """
    engines = ("surrogate", *(name for name in regressions if name in evaluation.engines))
    rows = [("error in", "unit", "surrogate", "worst", *map(label, engines[1:]), "spread", "range")]
    for name in quantities:
        quantity, spread = QUANTITIES[name], evaluation.spread[name]
        numbers: list[float | None] = []
        for engine in engines:
            result = evaluation.engines[engine]
            statistics = result.summary(name) if name in result.errors else None
            numbers.append(None if statistics is None else statistics["mean"])
            if engine == "surrogate":
                numbers.append(None if statistics is None else statistics["max"])
        numbers += [spread.standard_deviation, spread.range]
        texts = ("—" if x is None else number(quantity.scale * x) for x in numbers)
        rows.append((quantity.label, quantity.unit, *texts))
    return rows
