"""The verdict on an evaluation: each quantity against plain baselines, the domain, failed strains, and the stress.

The verdict is "bad" if one of the quantities in ``judging.HEADLINE`` is bad, or if the stress contradicts the energy.
It is "good" if all of these are good, nothing else is bad, and the engine leaves out no physics that the crystal is
likely to need. ``judging.py`` judges a single quantity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cellfields.evaluation.accuracy import QUANTITIES, Evaluation
from cellfields.evaluation.figures.style import label
from cellfields.evaluation.judging import HEADLINE, TOO_LARGE, Finding, Level, QuantityVerdict, judge, unchanging
from cellfields.evaluation.texts import listed, number, percent

FEW_TEST_STRAINS = 10
"""With fewer test strains the number of test strains is judged "caution"."""
MANY_FAILURES = 0.1
"""If a larger part of the strains could not be solved, the solves are judged "bad"."""
STRESS_TOPIC = "stress and energy"
LEFT_OUT_TOPIC = "physics left out"


@dataclass(frozen=True)
class Verdict:
    """The results of all checks of an evaluation.

    Attributes:
        quantities: one result for each quantity that varies and that the surrogate predicts.
        findings: results on the domain, failed strains, the number of test strains, the stress, and missing physics.
    """

    quantities: tuple[QuantityVerdict, ...]
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The overall level, by the rules in this module's docstring."""
        levels = {judged.level for judged in self.quantities if judged.quantity in HEADLINE}
        levels |= {finding.level for finding in self.findings if finding.topic in (STRESS_TOPIC, LEFT_OUT_TOPIC)}
        if "bad" in levels:
            return "bad"
        everything = {finding.level for finding in (*self.quantities, *self.findings)}
        return "caution" if "caution" in levels or "bad" in everything or not self.quantities else "good"

    @property
    def summary(self) -> list[str]:
        """Sentences that name the quantities on which the surrogate wins, draws and loses."""
        names = {q: [f.quantity for f in self.quantities if f.outcome == q] for q in ("better", "equal", "worse")}
        labels = {q: listed([_short(name) for name in quantities]) for q, quantities in names.items()}
        sentences = []
        if names["better"]:
            sentences.append(f"The surrogate is clearly better than every plain baseline in {labels['better']}.")
        if names["equal"]:
            sentences.append(
                f"There is no clear difference from the best plain baseline in {labels['equal']}: "
                "the baseline is simpler and does as well."
            )
        if names["worse"]:
            losers = dict.fromkeys(label(f.baseline or "") for f in self.quantities if f.outcome == "worse")
            sentences.append(
                f"A plain baseline is clearly better in {labels['worse']}: use {listed(list(losers))} there, or train "
                "on more strains."
            )
        useless = [f.quantity for f in self.quantities if f.error > TOO_LARGE * f.spread]
        if useless:
            words = listed([_short(name) for name in useless])
            sentences.append(f"Errors exceed {percent(TOO_LARGE)} of the spread in {words}: do not rely on it.")
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; errors in the units of the evaluation."""
        return {
            "level": self.level,
            "summary": self.summary,
            "quantities": {
                f.quantity: {
                    "level": f.level,
                    "outcome": f.outcome,
                    "error": f.error,
                    "best_baseline": f.baseline,
                    "baseline_error": f.baseline_error,
                    "spread": f.spread,
                    "sentence": f.sentence,
                }
                for f in self.quantities
            },
            "findings": [{"topic": f.topic, "level": f.level, "sentence": f.sentence} for f in self.findings],
        }


def verdict(
    evaluation: Evaluation,
    *,
    solved: int,
    asked_for: int,
    failures: int = 0,
    stress_check: Finding | None = None,
    left_out: Sequence[str] = (),
) -> Verdict:
    """Judge the engine "surrogate" of an evaluation.

    Args:
        evaluation: errors of the surrogate and of plain baselines.
        solved: number of training and test strains that have a state.
        asked_for: number of training and test strains that the study asked for.
        failures: number of strains that could not be solved.
        stress_check: result on whether the stress is the derivative of the energy; None where it was not checked.
        left_out: sentences about physics that the crystal is likely to need and the engine does not have
            (:func:`cellfields.dft.unmodelled.missing_physics`); each makes the verdict "caution" at best.
    """
    result = evaluation.engines.get("surrogate")
    constant = unchanging(evaluation)
    names = [
        name
        for name in evaluation.spread
        if result is not None and name in result.errors and name not in constant and not name.endswith(".nrmse")
    ]
    unchecked = Finding(
        STRESS_TOPIC,
        "not checked",
        "Whether the stress is the derivative of the energy at this cutoff was not checked.",
    )
    return Verdict(
        tuple(judge(evaluation, name) for name in names),
        (
            _domain(evaluation),
            _solved(solved, asked_for, failures),
            *_number_of_tests(evaluation),
            unchecked if stress_check is None else stress_check,
            *(Finding(LEFT_OUT_TOPIC, "caution", f"{sentence[0].upper()}{sentence[1:]}.") for sentence in left_out),
        ),
    )


def _short(quantity: str) -> str:
    return QUANTITIES[quantity].label.split(",")[0]


def _domain(evaluation: Evaluation) -> Finding:
    topic, count = "domain", len(evaluation.deformations)
    if evaluation.outside is None:
        return Finding(topic, "not checked", "Whether test strains lie among the training strains was not checked.")
    outside = int(evaluation.outside.sum())
    if not outside:
        return Finding(topic, "good", f"All {count} test strains lie among the strains that were learned from.")
    sentence = (
        f"{outside} of {count} test strains lie outside those learned from (listed and ringed in the report): "
        "predictions there are extrapolations."
    )
    errors = evaluation.engines["surrogate"].errors.get("free_energy") if "surrogate" in evaluation.engines else None
    if errors is not None and outside < count:
        inner, outer = (1e3 * float(errors[mask].mean()) for mask in (~evaluation.outside, evaluation.outside))
        sentence += f" The free energy errs by {number(outer)} mHa there, by {number(inner)} mHa inside."
    return Finding(topic, "caution", sentence)


def _solved(solved: int, asked_for: int, failures: int) -> Finding:
    missing = max(0, asked_for - solved - failures)
    if not failures and not missing:
        return Finding("solves", "good", "Every strain that was asked for has a state.")
    parts = [f"{failures} of {asked_for} strains could not be solved"] if failures else []
    parts += [f"{missing} of {asked_for} strains are not solved yet"] if missing else []
    level: Level = "bad" if failures > MANY_FAILURES * asked_for else "caution"
    return Finding("solves", level, f"{listed(parts)}; nothing is known of the errors there.")


def _number_of_tests(evaluation: Evaluation) -> list[Finding]:
    count = len(evaluation.deformations)
    if count >= FEW_TEST_STRAINS:
        return []
    part = percent(1 / np.sqrt(count))
    sentence = f"{count} test strains are few: a mean error is uncertain by about {part} of itself."
    return [Finding("test strains", "caution", sentence)]
