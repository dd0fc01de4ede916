"""Verdicts say who wins, on made-up errors whose outcome is plain."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields._typing import FloatArray
from cellfields.evaluation.accuracy import EngineErrors, Evaluation, Spread
from cellfields.evaluation.judging import Finding, compare, judge, unchanging
from cellfields.evaluation.verdict import STRESS_TOPIC, verdict

N = 16
SHAPE = 1 + 0.5 * np.sin(np.arange(N))  # errors of different sizes, mean near 1


def engine(**errors: FloatArray) -> EngineErrors:
    return EngineErrors(errors, {}, np.ones(N))


def evaluation(
    surrogate: float, quadratic: float, linear: float = 5e-3, spread: float = 1e-2, **more: object
) -> Evaluation:
    """Mean errors of about these sizes in F, Hartree."""
    engines = {
        "surrogate": engine(free_energy=surrogate * SHAPE),
        "linear": engine(free_energy=linear * SHAPE),
        "quadratic": engine(free_energy=quadratic * SHAPE[::-1]),
    }
    table: dict[str, object] = {
        "deformations": np.tile([1.0, 1, 1, 90, 90, 90], (N, 1)),
        "volumetric_strain": np.zeros(N),
        "truth": {},
        "displacement": np.zeros(N),
        "spread": {"free_energy": Spread(spread, 3 * spread)},
        "engines": engines,
    }
    return Evaluation(**(table | more))  # type: ignore[arg-type]


def test_the_best_baseline_is_the_one_with_the_smallest_mean_error() -> None:
    found = evaluation(1e-3, 2e-3)
    assert found.best_baseline("free_energy") == "quadratic"
    assert evaluation(1e-3, 9e-3).best_baseline("free_energy") == "linear"
    assert found.best_baseline("position") is None


@pytest.mark.parametrize(
    ("surrogate", "quadratic", "spread", "level", "outcome"),
    [
        (1e-3, 3e-3, 1e-2, "good", "better"),
        (3e-3, 6e-3, 1e-2, "caution", "better"),  # 30 % of the spread
        (6e-3, 5e-2, 1e-2, "bad", "worse"),  # linear regression is at 5e-3, and more than half of the spread
        (1e-3, 1.05e-3, 1e-2, "caution", "equal"),
        (1e-3, 4e-4, 1e-2, "bad", "worse"),
    ],
)
def test_levels(surrogate: float, quadratic: float, spread: float, level: str, outcome: str) -> None:
    found = judge(evaluation(surrogate, quadratic, spread=spread), "free_energy")
    assert (found.level, found.outcome) == (level, outcome)
    assert ("use it for this quantity" in found.sentence) == (outcome == "worse")


def test_noise_is_no_victory() -> None:
    ours, theirs = np.array([1.0, 9.0, 1.0, 1.0]), np.array([4.0, 4.0, 4.0, 4.0])
    assert compare(ours, theirs) == "equal"  # 25 % smaller on average, by strains that contradict each other
    assert compare(0.8 * theirs, theirs) == "better"
    assert compare(0.95 * theirs, theirs) == "equal"  # certain, but not worth a word
    assert compare(1.2 * theirs, theirs) == "worse"


def test_the_whole_says_where_to_use_the_baseline() -> None:
    found = verdict(evaluation(1e-3, 4e-4), solved=64, asked_for=64)
    assert found.level == "bad"
    assert any("clearly better in free energy F: use quadratic regression there" in text for text in found.summary)
    table = found.to_dict()
    assert table["quantities"]["free_energy"]["best_baseline"] == "quadratic"
    good = verdict(evaluation(1e-3, 4e-3), solved=64, asked_for=64)
    assert good.level == "good" and "clearly better than every plain baseline in free energy F" in good.summary[0]


def test_domain_failures_and_stress() -> None:
    outside = np.zeros(N, dtype=bool)
    outside[[2, 5]] = True
    found = verdict(evaluation(1e-3, 4e-3, outside=outside), solved=60, asked_for=64, failures=3)
    topics = {f.topic: f for f in found.findings}
    assert topics["domain"].level == "caution" and topics["domain"].sentence.startswith("2 of 16 test strains")
    assert "3 of 64 strains could not be solved and 1 of 64 strains are not solved yet" in topics["solves"].sentence
    assert topics[STRESS_TOPIC].level == "not checked" and found.level == "good"
    bad = Finding(STRESS_TOPIC, "bad", "they contradict each other")
    assert verdict(evaluation(1e-3, 4e-3), solved=64, asked_for=64, stress_check=bad).level == "bad"
    assert verdict(evaluation(1e-3, 4e-3), solved=50, asked_for=64, failures=14).level == "caution"
    assert {f.topic: f for f in verdict(evaluation(1e-3, 4e-3), solved=9, asked_for=9).findings}[
        "domain"
    ].level == "not checked"


def test_what_never_changes_has_no_verdict() -> None:
    still = evaluation(1e-3, 4e-3, spread=0.0)
    assert unchanging(still) == ("free_energy",)
    assert verdict(still, solved=64, asked_for=64).quantities == ()


def test_outside_survives_a_file() -> None:
    outside = np.arange(N) == 3
    found = evaluation(1e-3, 4e-3, outside=outside)
    again = Evaluation.from_dict(found.to_dict())
    assert again.outside is not None and (again.outside == outside).all()
    assert Evaluation.from_dict(evaluation(1e-3, 4e-3).to_dict()).outside is None


def test_physics_that_is_left_out_asks_for_caution_however_small_the_errors() -> None:
    found = verdict(evaluation(1e-3, 4e-3), solved=64, asked_for=64, left_out=("Ni may carry magnetic moments",))
    assert found.level == "caution"
    assert [f.sentence for f in found.findings if f.topic == "physics left out"] == ["Ni may carry magnetic moments."]
    assert verdict(evaluation(1e-3, 4e-3), solved=64, asked_for=64).level == "good"
