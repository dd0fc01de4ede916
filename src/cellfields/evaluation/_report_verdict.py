"""The top of a report: the verdict in words and colours, and the headline quantities as cards.

Every colour comes with a word and a sign, so that the page can be read without seeing colours; text on coloured
backgrounds has a contrast above 4.5 : 1.
"""

from __future__ import annotations

from html import escape

from cellfields.evaluation.accuracy import QUANTITIES
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.judging import CLEAR, HEADLINE, LARGE, TOO_LARGE, Finding, QuantityVerdict
from cellfields.evaluation.texts import number, percent
from cellfields.evaluation.verdict import STRESS_TOPIC, Verdict

_SIGNS = {"good": "✓ good", "caution": "! caution", "bad": "✗ bad", "not checked": "? not checked"}
_HEADINGS = {
    "good": "Good: better than plain regressions, and accurate",
    "caution": "Use with care",
    "bad": "Do not rely on this surrogate as it is",
}


def badge(level: str) -> str:
    """HTML of a level ("good", "caution", …) as a coloured word with a sign."""
    return f'<span class="badge {level.replace(" ", "-")}">{_SIGNS[level]}</span>'


def verdict_section(verdict: Verdict) -> str:
    """HTML of the box with the verdict: headline, sentences, and one row for each quantity and each other finding."""
    sentences = "".join(f"<li>{escape(text)}</li>" for text in verdict.summary)
    sentences += "".join(
        f"<li>{escape(f.sentence)}</li>" for f in verdict.findings if f.level in ("caution", "bad", "not checked")
    )
    rows = "".join(_row(f) for f in (*verdict.quantities, *verdict.findings))
    thresholds = (
        f"Good: the mean error is at most {percent(LARGE)} of the spread and clearly below that of the best plain "
        "baseline (linear or quadratic regression, or the mean of the training set; the best one for each quantity). "
        f"Caution: no clear difference from that baseline, or more than {percent(LARGE)} of the spread. Bad: the "
        f"baseline is clearly better, or more than {percent(TOO_LARGE)} of the spread. A difference is clear if it "
        f"exceeds both {percent(CLEAR)} of the baseline's error and twice the standard error of the differences strain "
        "by strain."
    )
    return (
        f'<section class="verdict {verdict.level}"><h2>Verdict: {escape(_HEADINGS[verdict.level])}</h2>\n'
        f"<ul>{sentences}</ul>\n"
        '<details open><summary>Quantity by quantity</summary><div class="scroll">'
        f"<table><tbody>{rows}</tbody></table></div>"
        f'<p class="note">{escape(thresholds)}</p></details></section>'
    )


def _row(finding: Finding) -> str:
    cells = (escape(finding.topic), badge(finding.level), escape(finding.sentence))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def cards(verdict: Verdict) -> str:
    """HTML of a card for each headline quantity, and of one for the consistency of stress and energy."""
    made = [_card(f) for f in verdict.quantities if f.quantity in HEADLINE]
    for finding in verdict.findings:
        if finding.topic == STRESS_TOPIC:
            made.append(
                f'<div class="card {_css(finding.level)}"><div class="what">{escape(finding.topic)} '
                f"{badge(finding.level)}</div>"
                f'<div class="against">{escape(finding.sentence)}</div></div>'
            )
    return "\n".join(made)


def _card(judged: QuantityVerdict) -> str:
    quantity = QUANTITIES[judged.quantity]
    unit, scale = quantity.unit, quantity.scale
    against = f"mean error; spread {number(scale * judged.spread)} {unit}"
    if judged.baseline is not None and judged.baseline_error is not None:
        against += f" · best plain baseline: {label(judged.baseline)}, {number(scale * judged.baseline_error)} {unit}"
    return (
        f'<div class="card {_css(judged.level)}"><div class="what">{escape(quantity.label)} {badge(judged.level)}</div>'
        f'<div class="value">{number(scale * judged.error)} <span>{escape(unit)}</span></div>'
        f'<div class="against">{escape(against)}</div></div>'
    )


def _css(level: str) -> str:
    return level.replace(" ", "-")
