"""An evaluation as one self-contained HTML page: verdict, headline errors, figures, failed strains and settings.

The page loads nothing and contains no scripts; every text that comes from a user or a file is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from string import Template
from typing import Any, Protocol

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import SYMBOLS, Deformation
from cellfields.evaluation._report_figures import figures
from cellfields.evaluation._report_verdict import cards, verdict_section
from cellfields.evaluation.accuracy import QUANTITIES, Evaluation
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.html_page import page as frame
from cellfields.evaluation.html_page import table
from cellfields.evaluation.judging import HEADLINE, Finding, unchanging
from cellfields.evaluation.report_settings import settings_tables
from cellfields.evaluation.summary import not_judged, summary
from cellfields.evaluation.texts import cell_contents, formula, listed, number
from cellfields.evaluation.verdict import STRESS_TOPIC, Verdict, verdict
from cellfields.state import CellState
from cellfields.state.quantities import FIELDS


class FailedSample(Protocol):
    """The attributes of a failed strain that the report shows."""

    @property
    def deformation(self) -> Deformation:
        """The deformation that could not be solved."""

    @property
    def error(self) -> str:
        """Name of the kind of error."""

    @property
    def message(self) -> str:
        """The error's message."""


@dataclass(frozen=True)
class ReportInput:
    """Everything that a report is made from.

    Attributes:
        crystal: the reference crystal.
        evaluation: errors on the unseen strains.
        specimen: true state (with fields) of the strain whose fields are drawn, or None to draw no fields.
        predicted: the surrogate's state of the same strain.
        settings: table → key → value, as in the study file; files are ``Path`` objects.
        training_states: number of states that the surrogate was trained on.
        asked_for: numbers of training and test strains that the study asked for.
        timings: name of a step → seconds.
        failures: strains that could not be solved.
        unknown: names of the quantities that neither the training states nor the surrogate know.
        pseudopotentials: symbol → description of its pseudopotential.
        stress_check: result on whether the stress is the derivative of the energy, or None where it was not checked.
        stress_remark: why the stress is not judged (:class:`StressAgreement`), or empty.
        slopes: whether F was learned from the stress too (the surrogate's ``metadata["slopes"]``), or empty.
        left_out: sentences about physics that the engine does not have
            (:func:`cellfields.dft.unmodelled.missing_physics`).
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
    pseudopotentials: Mapping[str, str] = field(default_factory=dict)
    stress_check: Finding | None = None
    stress_remark: str = ""
    slopes: str = ""
    left_out: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict on the evaluation."""
        check = self.stress_check
        if check is None and self.stress_remark:
            check = Finding(STRESS_TOPIC, "bad", self.stress_remark)
        return verdict(
            self.evaluation,
            solved=self.training_states + len(self.evaluation.deformations),
            asked_for=sum(self.asked_for),
            failures=len(self.failures),
            stress_check=check,
            left_out=self.left_out,
        )


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def render_report(page: ReportInput) -> str:
    """HTML of the whole page."""
    evaluation, crystal, page_verdict = page.evaluation, page.crystal, page.verdict
    name, contents = formula(crystal.species)[0], cell_contents(crystal.species)
    volumes = 100 * evaluation.volumetric_strain
    constant = unchanging(evaluation)
    columns, *rows = summary(
        evaluation, [q for q in evaluation.spread if q not in constant], ("quadratic", "linear", "mean")
    )
    rows += not_judged(columns, page.stress_remark)
    lead = (
        f"{name}, {contents} in the cell. A surrogate trained on {page.training_states} strained cells, judged on "
        f"{len(evaluation.deformations)} strains that it has not seen. Their volumes differ from the reference cell's "
        f"by {_signed(volumes.min())} to {_signed(volumes.max())} %."
    )
    body = _BODY.substitute(
        verdict=verdict_section(page_verdict),
        cards=cards(page_verdict),
        summary=table(columns, rows, numeric_from=2) + _left_out(page, constant),
        figures="\n".join(figures(evaluation, page.specimen, page.predicted)),
        outside=_outside(evaluation),
        failures=_failures(page.failures),
        data=table(("", ""), _data_rows(page), numeric_from=9),
        settings="\n".join(settings_tables(page.settings, page.pseudopotentials)),
    )
    return frame(f"cellfields: {name}", f"{name}: deformation in, electronic fields out", lead, body)


def _left_out(page: ReportInput, constant: Sequence[str]) -> str:
    """A sentence about the quantities that the table leaves out because they are the same in all test strains."""
    names = [QUANTITIES[name].label for name in constant]
    if page.specimen is not None and page.specimen.fields is not None:
        fields = page.specimen.fields
        constant_fields = [n for n in FIELDS if n in fields and not fields.varies(n)]
        names += [QUANTITIES[f"{n}.relative_l2"].label.split(",")[0] for n in constant_fields]
    if not names:
        return ""
    return f'<p class="note">Left out, because they are the same in all test strains: {escape(listed(names))}.</p>'


def _outside(evaluation: Evaluation) -> str:
    """HTML of the test strains outside the training domain, with the surrogate's errors there."""
    if evaluation.outside is None:
        return "<p>Not checked.</p>"
    if not evaluation.outside.any():
        return "<p>None: all test strains lie among those that were learned from.</p>"
    errors = evaluation.engines["surrogate"].errors if "surrogate" in evaluation.engines else {}
    names = [name for name in HEADLINE if name in errors]
    columns = (f"D = ({', '.join(SYMBOLS)})", *(f"{QUANTITIES[n].label}, {QUANTITIES[n].unit}" for n in names))
    rows = [
        (_strain(evaluation.deformations[i]), *(number(QUANTITIES[n].scale * errors[n][i]) for n in names))
        for i in np.flatnonzero(evaluation.outside)
    ]
    sentence = "Predictions for these strains are extrapolations; errors of the surrogate on them:"
    return f"<p>{sentence}</p>{table(columns, rows, 1)}"


def _strain(values: Iterable[float]) -> str:
    return ", ".join(f"{x:g}" for x in values)


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
    rows = [(_strain(f.deformation.as_array()), f.error, f.message) for f in failures]
    return "<p>These strains could not be solved and are left out.</p>" + table(("D", "error", "message"), rows, 9)


_BODY = Template("""$verdict
<div class="cards">
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
<h2>Test strains outside those learned from</h2>
$outside
</section>
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
