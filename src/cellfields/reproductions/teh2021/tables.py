"""Results of the studies as tables of text: the same rows for the page, the Markdown file and the terminal.

Every number stands beside the paper's printed one and the authors' own on the same strains, where there is one; and
where a regression without networks is better than the networks, the row says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cellfields.evaluation.accuracy import QUANTITIES, SCALARS
from cellfields.evaluation.baselines import BASELINES
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.report import duration
from cellfields.evaluation.texts import number
from cellfields.reproductions.teh2021.ablation import Ablation
from cellfields.reproductions.teh2021.accuracy import BEST, FLOOR, PAPER, Accuracy, network_beaten_by
from cellfields.reproductions.teh2021.converged import Meshes
from cellfields.reproductions.teh2021.cross_validation import CrossValidation
from cellfields.reproductions.teh2021.learning_curve import LearningCurve
from cellfields.reproductions.teh2021.protocol import (
    AIMS,
    CONVERGED_AIMS,
    LARGEST_FREE_ENERGY,
    PRINTED,
    PRINTED_ROUTES,
    Printed,
)
from cellfields.reproductions.teh2021.published import MODELS
from cellfields.reproductions.teh2021.routes import EnergyRoutes
from cellfields.reproductions.teh2021.smearing import Smearings
from cellfields.reproductions.teh2021.uncertainty import NOMINAL, Uncertainties
from cellfields.state.fields import FIELD_NAMES

_STATISTICS = {"mean": "mean", "median": "median", "p99": "99 %", "max": "max"}
_ABLATED = (
    *SCALARS,
    "position",
    *(f"{name}.relative_l2" for name in FIELD_NAMES),
    "stress_gpa",
)


@dataclass(frozen=True)
class Table:
    """One table: ``numeric_from`` is the first right-aligned column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    numeric_from: int = 1

    def markdown(self) -> str:
        """As GitHub reads it."""
        line = ["---" if i < self.numeric_from else "---:" for i in range(len(self.columns))]
        rows = "\n".join(f"| {' | '.join(cells)} |" for cells in (self.columns, line, *self.rows))
        return f"## {self.title}\n\n{self.note + chr(10) * 2 if self.note else ''}{rows}\n"


def shown(quantity: str, value: float | None) -> str:
    """In the unit that people see it in; a dash for what is not known."""
    return "—" if value is None else number(QUANTITIES[quantity].scale * value)


def named(quantity: str) -> str:
    """Name and unit."""
    return f"{QUANTITIES[quantity].label}, {QUANTITIES[quantity].unit}"


def summary(accuracy: Accuracy) -> Table:
    """Mean errors side by side: printed, the authors' on these strains, ours, the best baseline, and the aim."""
    engines = accuracy.evaluation.engines
    rows = []
    for quantity in accuracy.evaluation.spread:

        def mean(engine: str, quantity: str = quantity) -> float | None:
            found = engines.get(engine)
            return found.summary(quantity)["mean"] if found is not None and quantity in found.errors else None

        baselines = {name: value for name in BASELINES if (value := mean(name)) is not None}
        leader = min(baselines, key=lambda name: baselines[name]) if baselines else None
        best, aim = mean(BEST), AIMS.get(quantity)
        rows.append(
            (
                named(quantity),
                _printed(quantity, PRINTED.get(quantity), "mean"),
                shown(quantity, mean("published network")),
                shown(quantity, mean(PAPER)),
                shown(quantity, best),
                "—" if leader is None else f"{shown(quantity, baselines[leader])} ({label(leader)})",
                shown(quantity, aim),
                "" if aim is None or best is None else "yes" if best <= aim else "no",
            )
        )
    worst = engines[BEST].summary("free_energy")["max"] if "free_energy" in engines[BEST].errors else None
    if worst is not None:
        verdict = "yes" if worst <= LARGEST_FREE_ENERGY else "no"
        largest = (
            f"largest error in {named('free_energy')}",
            _printed("free_energy", PRINTED["free_energy"], "max"),
            "—",
            shown("free_energy", engines[PAPER].summary("free_energy")["max"]),
            shown("free_energy", worst),
            "—",
            shown("free_energy", LARGEST_FREE_ENERGY),
            verdict,
        )
        rows.append(largest)
    columns = (
        "mean error",
        "printed",
        "authors' network",
        "paper's recipe, ours",
        "best recipe",
        "best baseline",
        "aim",
        "met",
    )
    return Table(f"Mean errors on {_counts(accuracy)}", columns, tuple(rows), "Energies are per cell of four atoms.")


def everything(accuracy: Accuracy) -> Table:
    """Every engine on every quantity: mean, median, 99 % and largest error."""
    rows = []
    for quantity in accuracy.evaluation.spread:
        better = {engine: set(network_beaten_by(accuracy, quantity, engine)) for engine in (PAPER, BEST)}
        for engine in (PAPER, BEST, *MODELS, FLOOR, *BASELINES):
            found = accuracy.evaluation.engines.get(engine)
            if found is None or quantity not in found.errors:
                continue
            statistics = found.summary(quantity)
            printed = PRINTED.get(quantity) if engine in (PAPER, "published network") else None
            beaten = [f"our {name}" for name in (PAPER, BEST) if engine in better[name]]
            rows.append(
                (
                    named(quantity),
                    label(engine),
                    *(shown(quantity, statistics[name]) for name in _STATISTICS),
                    _printed(quantity, printed, "both"),
                    f"beats {' and '.join(beaten)}" if beaten else "",
                )
            )
    columns = ("error in", "engine", *_STATISTICS.values(), "printed in the paper", "remark")
    note = (
        "Published rows are the authors' errors on the same strains. Baselines learn from the same states and images "
        "as the paper's recipe, through the same modes, without stress."
    )
    return Table(f"All errors on {_counts(accuracy)}", columns, tuple(rows), note, numeric_from=2)


def routes(found: EnergyRoutes) -> Table:
    """Mean and largest error of the free energy, route by route, beside the printed ones."""
    rows = []
    for route in next(iter(found.energies.values())):
        printed = PRINTED_ROUTES.get(route)
        cells = [_printed("free_energy", printed, "mean"), _printed("free_energy", printed, "max")]
        for recipe in (PAPER, BEST):
            statistics = found.summary(recipe, route)
            cells += [shown("free_energy", statistics["mean"]), shown("free_energy", statistics["max"])]
        rows.append((route, *cells))
    columns = ("route, mHa", "printed mean", "max", "paper's recipe, ours, mean", "max", "best recipe, mean", "max")
    count = f"{len(found.truth)}" if len(found.truth) == found.asked else f"{len(found.truth)} of {found.asked}"
    left_out = f" {found.failed} strains gave no energy by some route and are left out." if found.failed else ""
    note = (
        "Errors of F per cell of four atoms, from predicted fields and predicted atoms. On the labels' own fields the "
        f"sum route is wrong by {found.own:.1e} Ha at most.{left_out}"
    )
    return Table(f"Free energy by five routes (Figure 7), {count} test strains", columns, tuple(rows), note)


def learning(curve: LearningCurve) -> Table:
    """Means against training size."""
    rows = []
    for quantity in next(iter(curve.errors.values())) | curve.errors[BEST]:
        for engine, means in curve.errors.items():
            if quantity in means:
                rows.append((named(quantity), label(engine), *(shown(quantity, value) for value in means[quantity])))
    for engine, seconds in curve.seconds.items():
        rows.append(("training time", label(engine), *map(duration, seconds)))
    rows.sort(key=lambda row: row[0] == "training time")
    title = f"Mean error on {curve.test} test strains against the number of training solves (Figures 4 and 6 b)"
    note = f"Each solve is {curve.images} labels by the crystal's symmetry, for networks, polynomials and modes alike."
    return Table(title, ("error in", "engine", *map(str, curve.sizes)), tuple(rows), note, numeric_from=2)


def validation(found: CrossValidation) -> Table:
    """Architectures by cross-validation."""
    rows = []
    for quantity in found.quantities:
        choices = [choice for choice in found.choices if choice.quantity == quantity]
        best = found.best(quantity)
        for index, choice in enumerate(choices):
            remarks = ["the paper's"] * (index == 0) + ["smallest"] * (choice is best)
            error = f"{number(100 * choice.error)} ± {number(100 * choice.deviation)}"
            rows.append((quantity, "-".join(map(str, choice.widths)), error, ", ".join(remarks)))
    title = f"Architectures by {found.folds}-fold cross-validation on {found.training} strains, {found.epochs} epochs"
    note = "Error: root mean square over the outputs' own spread, in per cent, mean ± standard deviation over folds."
    return Table(title, ("quantity", "hidden widths", "error, %", ""), tuple(rows), note, numeric_from=2)


def ablated(found: Ablation) -> Table:
    """One row an ingredient."""
    quantities = [quantity for quantity in _ABLATED if any(quantity in row.errors for row in found.rows)]
    rows = tuple(
        (row.label, *(shown(quantity, row.errors.get(quantity)) for quantity in quantities), duration(row.seconds))
        for row in found.rows
    )
    title = f"What each ingredient is worth: mean errors, {found.training} training and {found.test} test strains"
    return Table(title, ("recipe", *map(named, quantities), "training"), rows)


def meshes(found: Meshes) -> Table:
    """Errors with labels of either mesh."""
    mesh = "×".join(map(str, found.settings.get("kmesh", ())))
    rows = _sides(found.errors, CONVERGED_AIMS, "converged mesh")
    rows += [
        (named(quantity), "the labels themselves differ by", shown(quantity, value), "", "", "")
        for quantity, value in found.differences.items()
    ]
    note = (
        f"The same {found.training} training and {found.test} test strains, atoms held where the paper's mesh relaxed "
        f"them (largest force there on the converged mesh {found.largest_force:.1e} Ha/Bohr)."
    )
    return Table(f"The paper's mesh and a converged one ({mesh})", _SIDES, tuple(rows), note, numeric_from=2)


def smearings(found: Smearings) -> Table:
    """Errors with either smearing."""
    rows = _sides(found.errors, {}, "")
    for smearing, spread in found.spread.items():
        rows += [(named(q), f"spread, {smearing}", shown(q, value), "", "", "") for q, value in spread.items()]
    rows.sort(key=lambda row: [named(q) for q in QUANTITIES].index(row[0]))
    note = f"The same {found.training} training and {found.test} test strains."
    return Table("Cold and Fermi–Dirac smearing (footnote 1)", _SIDES, tuple(rows), note, numeric_from=2)


def coverages(found: Uncertainties) -> Table:
    """Shares of errors within multiples of σ."""
    rows = []
    for where, table in (("held-out folds", found.held_out), ("test strains", found.unseen)):
        for quantity, c in table.items():
            shares = (f"{100 * share:.1f}" for share in c.shares.values())
            numbers = (shown(quantity, c.sigma), shown(quantity, c.error), *shares, f"{c.correlation:.2f}")
            rows.append((named(quantity), where, *numbers))
    columns = (
        "error in",
        "strains",
        "mean σ",
        "mean error",
        *(f"within {k} σ, %" for k in NOMINAL),
        "rank correlation",
    )
    nominal = ", ".join(f"{100 * share:g} %" for share in NOMINAL.values())
    note = f"{found.training} training strains in four folds, {found.test} test strains. Nominal coverage: {nominal}."
    return Table("Uncertainty of the best recipe: coverage", columns, tuple(rows), note, numeric_from=2)


_SIDES = ("error in", "labels, engine", "mean", "median", "99 %", "max")


def _sides(
    errors: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]], aims: Mapping[str, float], aimed: str
) -> list[tuple[str, ...]]:
    quantities = [q for q in QUANTITIES if any(q in e for side in errors.values() for e in side.values())]
    rows: list[tuple[str, ...]] = []
    for quantity in quantities:
        for side, engines in errors.items():
            for engine, table in engines.items():
                if quantity in table:
                    values = [shown(quantity, table[quantity][name]) for name in _STATISTICS]
                    if side == aimed and engine == BEST and quantity in aims:
                        met = "met" if table[quantity]["mean"] <= aims[quantity] else "not met"
                        values[0] += f" (aim {shown(quantity, aims[quantity])}: {met})"
                    rows.append((named(quantity), f"{side}, {label(engine)}", *values))
    return rows


def _printed(quantity: str, printed: Printed | None, which: str) -> str:
    if printed is None:
        return "—"
    about = "~" if printed.about else ""
    mean = about + shown(quantity, printed.mean)
    largest = "" if printed.largest is None else about + shown(quantity, printed.largest)
    if which == "mean":
        return mean
    if which == "max":
        return largest or "—"
    return f"{mean}{f', max {largest}' if largest else ''} ({printed.place})"


def _counts(accuracy: Accuracy) -> str:
    def of(count: int, asked: int) -> str:
        return f"{count}" if count == asked else f"{count} of {asked}"

    trained = of(accuracy.training, accuracy.asked[0])
    return f"{of(accuracy.test, accuracy.asked[1])} test strains, learned from {trained}"
