"""An evaluation as one self-contained HTML page: the numbers that matter, figures inside, settings, what failed.

Nothing is loaded from elsewhere, nothing runs; every text that comes from a user or a file is escaped.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from string import Template
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from cellfields import __version__
from cellfields.crystal import Crystal
from cellfields.deformation import Deformation
from cellfields.evaluation.evaluate import QUANTITIES, Evaluation
from cellfields.evaluation.figures import error_vs_strain_figure, parity_figure, position_error_figure, slice_figure
from cellfields.evaluation.figures._style import label, png_data_uri
from cellfields.state import CellState

_PIXELS_PER_INCH = 80
_HEADLINE = ("free_energy", "density.relative_l2", "position")


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


def headline(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The numbers that matter: a row of column names, then one row a quantity."""
    return summary(evaluation, [name for name in _HEADLINE if name in evaluation.spread], ("linear",))


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
    table = summary(evaluation, evaluation.spread, ("quadratic", "linear", "mean"))
    lead = (
        f"A surrogate trained on {page.training_states} strained cells of {formula}, judged on {count} strains that it "
        f"has not seen. Their volumes differ from the reference cell's by {_signed(volumes.min())} to "
        f"{_signed(volumes.max())} %."
    )
    return _PAGE.substitute(
        title=escape(f"cellfields: {formula}"),
        heading=escape(f"{formula}: deformation in, electronic fields out"),
        lead=escape(lead),
        cards=_cards(evaluation),
        summary=_table(table[0], table[1:], numeric_from=2),
        figures="\n".join(_figures(page)),
        failures=_failures(page.failures),
        data=_table(("", ""), _data_rows(page), numeric_from=9),
        settings="\n".join(_settings(name, table) for name, table in page.settings.items()),
        footer=escape(
            f"cellfields {__version__}, Python {platform.python_version()}, NumPy {np.__version__}, "
            f"{platform.system()} {platform.machine()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        ),
    )


def _cards(evaluation: Evaluation) -> str:
    cards = []
    for name in _HEADLINE:
        if name not in evaluation.spread or "surrogate" not in evaluation.engines:
            continue
        quantity, spread = QUANTITIES[name], evaluation.spread[name].standard_deviation
        error = evaluation.engines["surrogate"].summary(name)["mean"]
        against = f"spread {number(quantity.scale * spread)} {quantity.unit}"
        if "linear" in evaluation.engines:
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
    if page.specimen is not None and page.predicted is not None and page.specimen.fields is not None:
        d = page.specimen.deformation
        stretches = ", ".join(f"{x:g}" for x in d.stretches)
        angles = ", ".join(f"{x:g}°" for x in d.angles)
        figures.append(
            _figure(
                slice_figure(page.specimen, page.predicted),
                "Fields on a lattice plane",
                f"The unseen strain with the median density error: λ = ({stretches}), θ = ({angles}), drawn in the "
                "deformed cell. White dots are atoms on the plane; mind the smaller scale of the difference.",
            )
        )
    figures.append(
        _figure(
            parity_figure(evaluation),
            "Energies",
            "Predicted against true on the unseen strains; on the black line a prediction is exact.",
        )
    )
    if any(name.endswith(".nrmse") for name in evaluation.spread):
        figures.append(
            _figure(
                error_vs_strain_figure(evaluation),
                "Error of the fields",
                "Root-mean-square error of each unseen field over its own range (NRMSE), against volumetric strain. "
                "The mean of the training set is what a prediction costs that knows nothing of the strain.",
            )
        )
    if "position" in evaluation.spread:
        figures.append(
            _figure(
                position_error_figure(evaluation),
                "Relaxed atoms",
                "Distance of predicted from true positions, beside the distance that the atoms move when the strained "
                "cell relaxes.",
            )
        )
    return figures


def _figure(figure: Figure, title: str, caption: str) -> str:
    width = round(_PIXELS_PER_INCH * figure.get_figwidth())  # the same size of letters in all of them
    return (
        f"<figure><h2>{escape(title)}</h2>"
        f'<img src="{png_data_uri(figure)}" alt="{escape(title)}" style="width:{width}px">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data_rows(page: ReportInput) -> list[tuple[str, str]]:
    crystal, evaluation = page.crystal, page.evaluation
    centre = "none" if crystal.inversion_centre is None else ", ".join(f"{x:.6g}" for x in crystal.inversion_centre)
    rows = [
        ("training strains", f"{page.training_states} of {page.asked_for[0]} asked for"),
        ("test strains", f"{len(evaluation.deformations)} of {page.asked_for[1]} asked for"),
        ("atoms in the cell", f"{crystal.n_atoms} ({crystal.n_translations} primitive cells)"),
        ("reference volume", f"{crystal.volume_ref:.3f} Bohr³"),
        ("internal coordinates", str(crystal.n_internal)),
        ("inversion centre", centre),
    ]
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
    return "<p>These strains could not be solved and are left out.</p>" + _table(("D", "error", "message"), rows, 9)


def _settings(name: str, table: Mapping[str, Any]) -> str:
    rows = [(key, "—" if value is None else str(value)) for key, value in table.items()]
    return f"<div><h3>[{escape(name)}]</h3>{_table(('', ''), rows, 9)}</div>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric_from: int) -> str:
    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i >= numeric_from else ''}>{escape(text)}</{tag}>" for i, text in enumerate(texts)
        )

    head = f"<thead><tr>{cells('th', columns)}</tr></thead>" if any(columns) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; margin: 0;
       color: #1d2329; background: #f6f7f9; }
main { max-width: 1060px; margin: 0 auto; padding: 2.2rem 1.2rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
h3 { font-size: .95rem; margin: .2rem 0; font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
section, figure { background: #fff; border: 1px solid #e3e6ea; border-radius: 8px; padding: 1.1rem 1.3rem;
                  margin: 1.1rem 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figcaption, .note { color: #5a646e; font-size: .9rem; margin-top: .6rem; }
.lead { color: #3a434c; max-width: 46rem; margin: 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 1rem; margin: 1.3rem 0 0; }
.card { background: #fff; border: 1px solid #e3e6ea; border-top: 3px solid #0072b2; border-radius: 8px;
        padding: .9rem 1.1rem; }
.card .what { font-weight: 600; }
.card .value { font-size: 1.9rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.card .value span { font-size: 1rem; color: #5a646e; }
.card .against { color: #5a646e; font-size: .88rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { text-align: left; padding: .32rem .7rem .32rem 0; border-bottom: 1px solid #eceef1; vertical-align: top; }
th { color: #5a646e; font-weight: 600; border-bottom-color: #cfd5db; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n, td:first-child { white-space: nowrap; }
th.n { max-width: 7.5rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 1.6rem; }
.columns > div { min-width: 0; }
footer { color: #7b858f; font-size: .82rem; margin-top: 1.5rem; }
</style>
</head>
<body>
<main>
<h1>$heading</h1>
<p class="lead">$lead</p>
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
</section>
<footer>$footer</footer>
</main>
</body>
</html>
""")
