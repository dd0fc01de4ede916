"""The top of a report: what it comes to in words and colours, and the numbers that matter as cards.

Colours come with words and signs, so that nothing is told by colour alone; text on them has a contrast above 4.5 : 1.
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
    """A level as a coloured word."""
    return f'<span class="badge {level.replace(" ", "-")}">{_SIGNS[level]}</span>'


def verdict_section(found: Verdict) -> str:
    """The box with the verdict: a headline, sentences, then one row for each quantity and each other finding."""
    sentences = "".join(f"<li>{escape(text)}</li>" for text in found.summary)
    sentences += "".join(
        f"<li>{escape(f.sentence)}</li>" for f in found.findings if f.level in ("caution", "bad", "not checked")
    )
    rows = "".join(_row(f) for f in (*found.quantities, *found.findings))
    thresholds = (
        f"Good: the mean error is at most {percent(LARGE)} of the spread and clearly below that of the best plain "
        "baseline (linear or quadratic regression, or the mean of the training set; the best one for each quantity). "
        f"Caution: no clear difference from that baseline, or more than {percent(LARGE)} of the spread. Bad: the "
        f"baseline is clearly better, or more than {percent(TOO_LARGE)} of the spread. A difference is clear if it "
        f"exceeds both {percent(CLEAR)} of the baseline's error and twice the standard error of the differences strain "
        "by strain."
    )
    return (
        f'<section class="verdict {found.level}"><h2>Verdict: {escape(_HEADINGS[found.level])}</h2>\n'
        f"<ul>{sentences}</ul>\n"
        '<details open><summary>Quantity by quantity</summary><div class="scroll">'
        f"<table><tbody>{rows}</tbody></table></div>"
        f'<p class="note">{escape(thresholds)}</p></details></section>'
    )


def _row(found: Finding) -> str:
    return f"<tr><td>{escape(found.topic)}</td><td>{badge(found.level)}</td><td>{escape(found.sentence)}</td></tr>"


def cards(found: Verdict) -> str:
    """A card for each of the numbers that matter, and one for the consistency of stress and energy."""
    made = [_card(f) for f in found.quantities if f.quantity in HEADLINE]
    for finding in found.findings:
        if finding.topic == STRESS_TOPIC:
            made.append(
                f'<div class="card {_css(finding.level)}"><div class="what">{escape(finding.topic)} '
                f"{badge(finding.level)}</div>"
                f'<div class="against">{escape(finding.sentence)}</div></div>'
            )
    return "\n".join(made)


def _card(found: QuantityVerdict) -> str:
    quantity = QUANTITIES[found.quantity]
    unit, scale = quantity.unit, quantity.scale
    against = f"mean error; spread {number(scale * found.spread)} {unit}"
    if found.baseline is not None and found.baseline_error is not None:
        against += f" · best plain baseline: {label(found.baseline)}, {number(scale * found.baseline_error)} {unit}"
    return (
        f'<div class="card {_css(found.level)}"><div class="what">{escape(quantity.label)} {badge(found.level)}</div>'
        f'<div class="value">{number(scale * found.error)} <span>{escape(unit)}</span></div>'
        f'<div class="against">{escape(against)}</div></div>'
    )


def _css(level: str) -> str:
    return level.replace(" ", "-")
