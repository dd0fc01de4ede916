"""An evaluation as one self-contained HTML page: the numbers that matter, figures inside, settings, what failed.

Nothing is loaded from elsewhere, nothing runs; every text that comes from a user or a file is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from string import Template
from typing import Any, Protocol

import numpy as np

from cellfields.crystal import Crystal
from cellfields.deformation import Deformation
from cellfields.evaluation._html import figure_box, table
from cellfields.evaluation._html import page as frame
from cellfields.evaluation.errors import QUANTITIES, Evaluation
from cellfields.evaluation.figures import error_vs_strain_figure, parity_figure, position_error_figure, slice_figure
from cellfields.evaluation.figures._style import label
from cellfields.fields import FIELD_NAMES
from cellfields.state import CellState

_HEADLINE = ("free_energy", "density.relative_l2", "position", "stress_gpa")


class FailedSample(Protocol):
    """What the report says of a strain that has no state."""

    @property
    def deformation(self) -> Deformation:
        """D."""

    @property
    def error(self) -> str:
        """The kind of error."""

    @property
    def message(self) -> str:
        """One sentence."""


@dataclass(frozen=True)
class ReportInput:
    """What a report is made of.

    Attributes:
        crystal: the reference crystal.
        evaluation: errors on the unseen strains.
        specimen: true state (with fields) of the strain that is drawn, or None to draw none.
        predicted: the surrogate's state of the same strain.
        settings: table → key → value, as in the study file.
        training_states: number of states the surrogate was trained on.
        asked_for: numbers of training and test strains that the study asked for.
        timings: what → seconds.
        failures: strains that were left out.
        unknown: names of what the surrogate does not know, because its training states do not.
        stress_remark: why the stress is not judged (:class:`StressAgreement`), or empty.
        slopes: whether F was learned from the stress too (the surrogate's ``metadata["slopes"]``), or empty.
    """

    crystal: Crystal
    evaluation: Evaluation
    specimen: CellState | None
    predicted: CellState | None
    settings: Mapping[str, Mapping[str, Any]]
    training_states: int
    asked_for: tuple[int, int]
    timings: Mapping[str, float] = field(default_factory=dict)
    failures: Sequence[FailedSample] = ()
    unknown: Sequence[str] = ()
    stress_remark: str = ""
    slopes: str = ""


def headline(evaluation: Evaluation, stress_remark: str = "") -> list[tuple[str, ...]]:
    """The numbers that matter: a row of column names, then one row a quantity; of a stress not judged, that."""
    rows = summary(evaluation, [name for name in _HEADLINE if name in evaluation.spread], ("linear",))
    return rows + _not_judged(rows[0], stress_remark)


def _not_judged(columns: tuple[str, ...], stress_remark: str) -> list[tuple[str, ...]]:
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


def number(value: float) -> str:
    """Three significant digits, without an exponent where people do not need one."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        digits = max(0, 2 - int(np.floor(np.log10(abs(value))))) if value else 0
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def render_report(page: ReportInput) -> str:
    """The page's HTML."""
    evaluation = page.evaluation
    count = len(evaluation.deformations)
    crystal = page.crystal
    formula = "".join(f"{s}{crystal.species.count(s)}" for s in dict.fromkeys(crystal.species))
    volumes = 100 * evaluation.volumetric_strain
    columns, *rows = summary(evaluation, evaluation.spread, ("quadratic", "linear", "mean"))
    rows += _not_judged(columns, page.stress_remark)
    lead = (
        f"A surrogate trained on {page.training_states} strained cells of {formula}, judged on {count} strains that it "
        f"has not seen. Their volumes differ from the reference cell's by {_signed(volumes.min())} to "
        f"{_signed(volumes.max())} %."
    )
    body = _BODY.substitute(
        cards=_cards(evaluation),
        summary=table(columns, rows, numeric_from=2) + _remark(page.stress_remark),
        figures="\n".join(_figures(page)),
        failures=_failures(page.failures),
        data=table(("", ""), _data_rows(page), numeric_from=9),
        settings="\n".join(_settings(name, values) for name, values in page.settings.items()),
    )
    return frame(f"cellfields: {formula}", f"{formula}: deformation in, electronic fields out", lead, body)


def _remark(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


def _cards(evaluation: Evaluation) -> str:
    cards = []
    for name in _HEADLINE:
        engine = evaluation.engines.get("surrogate")
        if engine is None or name not in evaluation.spread or name not in engine.errors:
            continue
        quantity, spread = QUANTITIES[name], evaluation.spread[name].standard_deviation
        error = engine.summary(name)["mean"]
        against = f"spread {number(quantity.scale * spread)} {quantity.unit}"
        if "linear" in evaluation.engines and name in evaluation.engines["linear"].errors:
            linear = evaluation.engines["linear"].summary(name)["mean"]
            against += f" · linear regression {number(quantity.scale * linear)} {quantity.unit}"
        cards.append(
            f'<div class="card"><div class="what">{escape(quantity.label)}</div>'
            f'<div class="value">{number(quantity.scale * error)} <span>{escape(quantity.unit)}</span></div>'
            f'<div class="against">mean error; {escape(against)}</div></div>'
        )
    return "\n".join(cards)


def _figures(page: ReportInput) -> list[str]:
    evaluation, figures = page.evaluation, []
    specimen, predicted = page.specimen, page.predicted
    if specimen and predicted and any(specimen.knows(name) and predicted.knows(name) for name in FIELD_NAMES):
        d = specimen.deformation
        stretches = ", ".join(f"{x:g}" for x in d.stretches)
        angles = ", ".join(f"{x:g}°" for x in d.angles)
        figures.append(
            figure_box(
                slice_figure(specimen, predicted),
                "Fields on a lattice plane",
                f"The unseen strain with the median density error: λ = ({stretches}), θ = ({angles}), drawn in the "
                "deformed cell. White dots are atoms on the plane; mind the smaller scale of the difference.",
            )
        )
    if any(result.predicted for result in evaluation.engines.values()):
        figures.append(
            figure_box(
                parity_figure(evaluation),
                "Energies",
                "Predicted against true on the unseen strains; on the black line a prediction is exact.",
            )
        )
    judged = {name for result in evaluation.engines.values() for name in result.errors} & evaluation.spread.keys()
    if any(name.endswith(".nrmse") for name in judged):
        figures.append(
            figure_box(
                error_vs_strain_figure(evaluation),
                "Error of the fields",
                "Root-mean-square error of each unseen field over its own range (NRMSE), against volumetric strain. "
                "The mean of the training set is what a prediction costs that knows nothing of the strain.",
            )
        )
    if "position" in evaluation.spread:
        figures.append(
            figure_box(
                position_error_figure(evaluation),
                "Relaxed atoms",
                "Distance of predicted from true positions, beside the distance that the atoms move when the strained "
                "cell relaxes.",
            )
        )
    return figures


def _data_rows(page: ReportInput) -> list[tuple[str, str]]:
    crystal, evaluation = page.crystal, page.evaluation
    centre = "free to be broken" if crystal.inversion == "free" else "none"
    if crystal.inversion_centre is not None:
        centre = ", ".join(f"{x:.6g}" for x in crystal.inversion_centre)
    rows = [
        ("training strains", f"{page.training_states} of {page.asked_for[0]} asked for"),
        ("test strains", f"{len(evaluation.deformations)} of {page.asked_for[1]} asked for"),
        ("atoms in the cell", f"{crystal.n_atoms} ({crystal.n_translations} primitive cells)"),
        ("reference volume", f"{crystal.volume_ref:.3f} Bohr³"),
        ("internal coordinates", str(crystal.n_internal)),
        ("inversion centre", centre),
    ]
    if page.unknown:
        rows.append(("not known to the surrogate", ", ".join(page.unknown)))
    if page.slopes:
        rows.append(("the free energy's slopes (stress)", page.slopes))
    rows += [(what, duration(seconds)) for what, seconds in page.timings.items()]
    rows += [
        (f"one prediction, {label(name)}", duration(float(np.median(result.seconds))))
        for name, result in evaluation.engines.items()
    ]
    return rows


def duration(seconds: float) -> str:
    """A duration with three significant digits."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1 or unit == "µs":
            return f"{number(seconds * factor)} {unit}"
    raise AssertionError("unreachable")


def _failures(failures: Sequence[FailedSample]) -> str:
    if not failures:
        return "<p>None: every strain was solved.</p>"
    rows = [(", ".join(f"{x:g}" for x in f.deformation.as_array()), f.error, f.message) for f in failures]
    return "<p>These strains could not be solved and are left out.</p>" + table(("D", "error", "message"), rows, 9)


def _settings(name: str, values: Mapping[str, Any]) -> str:
    rows = [(key, "—" if value is None else str(value)) for key, value in values.items()]
    return f"<div><h3>[{escape(name)}]</h3>{table(('', ''), rows, 9)}</div>"


_BODY = Template("""<div class="cards">
$cards
</div>
<section>
<h2>Errors on unseen strains</h2>
$summary
<p class="note">Mean errors over the unseen strains, for the surrogate also the largest one (worst). Spread: standard
deviation of the quantity over these strains; for a field, the root mean square of the errors that the mean of the true
fields makes; for positions, the root mean square displacement. Range: largest minus smallest; for a field the largest
of those errors, for positions the largest displacement. The regressions predict the same reduced quantities as the
surrogate. Energies are per cell; 1 mHa = 27.2 meV.</p>
</section>
$figures
<section>
<h2>Strains left out</h2>
$failures
</section>
<section>
<h2>Data and timing</h2>
$data
</section>
<section>
<h2>Settings</h2>
<div class="columns">
$settings
</div>
</section>""")
