"""Results of the studies as tables of text for the page, the Markdown file and the terminal.

Errors are shown beside those that the paper prints and those of the authors' models on the same strains, where these
are known. A remark marks the baselines that are better than the networks.
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
from cellfields.reproductions.teh2021.accuracy import BEST, PAPER, PCA_FLOOR, Accuracy, network_beaten_by
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
    """A table of texts with a title and a note; columns from index ``numeric_from`` on are right-aligned."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    numeric_from: int = 1

    def markdown(self) -> str:
        """The table as GitHub Markdown, below a heading."""
        line = ["---" if i < self.numeric_from else "---:" for i in range(len(self.columns))]
        rows = "\n".join(f"| {' | '.join(cells)} |" for cells in (self.columns, line, *self.rows))
        return f"## {self.title}\n\n{self.note + chr(10) * 2 if self.note else ''}{rows}\n"


def shown(quantity: str, value: float | None) -> str:
    """Text of a value of an evaluation, in the unit in which the quantity is shown; a dash for None."""
    return "—" if value is None else number(QUANTITIES[quantity].scale * value)


def named(quantity: str) -> str:
    """Label of a quantity with its unit."""
    return f"{QUANTITIES[quantity].label}, {QUANTITIES[quantity].unit}"


def summary(accuracy: Accuracy) -> Table:
    """Table of mean errors: printed, of the authors' network, of both recipes and the best baseline, and the aims."""
    engines = accuracy.evaluation.engines
    rows = []
    for quantity in accuracy.evaluation.spread:

        def mean(engine: str, quantity: str = quantity) -> float | None:
            result = engines.get(engine)
            return result.summary(quantity)["mean"] if result is not None and quantity in result.errors else None

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
    """Table of the mean, median, 99th percentile and largest error of every engine in every quantity."""
    rows = []
    for quantity in accuracy.evaluation.spread:
        better = {engine: set(network_beaten_by(accuracy, quantity, engine)) for engine in (PAPER, BEST)}
        for engine in (PAPER, BEST, *MODELS, PCA_FLOOR, *BASELINES):
            result = accuracy.evaluation.engines.get(engine)
            if result is None or quantity not in result.errors:
                continue
            statistics = result.summary(quantity)
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


def routes(energies: EnergyRoutes) -> Table:
    """Table of the mean and largest error of the free energy by each route, beside the printed ones."""
    rows = []
    for route in next(iter(energies.energies.values())):
        printed = PRINTED_ROUTES.get(route)
        cells = [_printed("free_energy", printed, "mean"), _printed("free_energy", printed, "max")]
        for recipe in (PAPER, BEST):
            statistics = energies.summary(recipe, route)
            cells += [shown("free_energy", statistics["mean"]), shown("free_energy", statistics["max"])]
        rows.append((route, *cells))
    columns = ("route, mHa", "printed mean", "max", "paper's recipe, ours, mean", "max", "best recipe, mean", "max")
    solved, asked = len(energies.truth), energies.asked
    count = f"{solved}" if solved == asked else f"{solved} of {asked}"
    left_out = f" {energies.failed} strains gave no energy by some route and are left out." if energies.failed else ""
    note = (
        "Errors of F per cell of four atoms, from predicted fields and predicted atoms. On the labels' own fields the "
        f"sum route is wrong by {energies.largest_label_error:.1e} Ha at most.{left_out}"
    )
    return Table(f"Free energy by five routes (Figure 7), {count} test strains", columns, tuple(rows), note)


def learning(curve: LearningCurve) -> Table:
    """Table of mean errors and training times at each training size."""
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


def validation(compared: CrossValidation) -> Table:
    """Table of the architectures that cross-validation compared, with their errors."""
    rows = []
    for quantity in compared.quantities:
        choices = [choice for choice in compared.choices if choice.quantity == quantity]
        best = compared.best(quantity)
        for index, choice in enumerate(choices):
            remarks = ["the paper's"] * (index == 0) + ["smallest"] * (choice is best)
            error = f"{number(100 * choice.error)} ± {number(100 * choice.deviation)}"
            rows.append((quantity, "-".join(map(str, choice.widths)), error, ", ".join(remarks)))
    title = (
        f"Architectures by {compared.folds}-fold cross-validation on {compared.training} strains, "
        f"{compared.epochs} epochs"
    )
    note = "Error: root mean square over the outputs' own spread, in per cent, mean ± standard deviation over folds."
    return Table(title, ("quantity", "hidden widths", "error, %", ""), tuple(rows), note, numeric_from=2)


def ablated(ablation: Ablation) -> Table:
    """Table of mean errors with a row for each variant of the recipe."""
    quantities = [quantity for quantity in _ABLATED if any(quantity in row.errors for row in ablation.rows)]
    rows = tuple(
        (row.label, *(shown(quantity, row.errors.get(quantity)) for quantity in quantities), duration(row.seconds))
        for row in ablation.rows
    )
    counts = f"{ablation.training} training and {ablation.test} test strains"
    title = f"What each ingredient is worth: mean errors, {counts}"
    return Table(title, ("recipe", *map(named, quantities), "training"), rows)


def meshes(compared: Meshes) -> Table:
    """Table of errors with labels of the paper's k mesh and of the converged one."""
    mesh = "×".join(map(str, compared.settings.get("kmesh", ())))
    rows = _sides(compared.errors, CONVERGED_AIMS, "converged mesh")
    rows += [
        (named(quantity), "the labels themselves differ by", shown(quantity, value), "", "", "")
        for quantity, value in compared.differences.items()
    ]
    note = (
        f"The same {compared.training} training and {compared.test} test strains, atoms held where the paper's mesh "
        f"relaxed them (largest force there on the converged mesh {compared.largest_force:.1e} Ha/Bohr)."
    )
    return Table(f"The paper's mesh and a converged one ({mesh})", _SIDES, tuple(rows), note, numeric_from=2)


def smearings(compared: Smearings) -> Table:
    """Table of errors with labels of cold and of Fermi–Dirac smearing, and of the spread of both."""
    rows = _sides(compared.errors, {}, "")
    for smearing, spread in compared.spread.items():
        rows += [(named(q), f"spread, {smearing}", shown(q, value), "", "", "") for q, value in spread.items()]
    rows.sort(key=lambda row: [named(q) for q in QUANTITIES].index(row[0]))
    note = f"The same {compared.training} training and {compared.test} test strains."
    return Table("Cold and Fermi–Dirac smearing (footnote 1)", _SIDES, tuple(rows), note, numeric_from=2)


def coverages(uncertainties: Uncertainties) -> Table:
    """Table of the shares of errors within multiples of σ, on held-out folds and on test strains."""
    rows = []
    for where, table in (("held-out folds", uncertainties.held_out), ("test strains", uncertainties.unseen)):
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
    note = (
        f"{uncertainties.training} training strains in four folds, {uncertainties.test} test strains. "
        f"Nominal coverage: {nominal}."
    )
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
