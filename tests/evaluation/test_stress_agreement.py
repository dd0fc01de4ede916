"""A stress that contradicts the energies is no measure of a surrogate."""

from __future__ import annotations

import numpy as np

from cellfields.evaluation.accuracy import EngineErrors, Evaluation, Spread
from cellfields.evaluation.stress_agreement import StressAgreement
from cellfields.evaluation.summary import headline
from cellfields.mechanics import StressConsistency
from cellfields.units import GPA


def check(gpa: float) -> StressConsistency:
    return StressConsistency(gpa / GPA, 30.0, 28.6)


def training(offset: float, error: float, spread: float = 1.3) -> dict[str, object]:
    return {"slopes": "learned", "slope_offset_gpa": {"offset": offset, "standard_error": error, "spread": spread}}


def test_the_offset_is_that_of_the_states_or_of_the_check() -> None:
    assert StressAgreement.of(training(110.0, 2.0), check(125.0)).offset_gpa == 110.0
    assert StressAgreement.of({}, check(125.0)).offset_gpa is not None
    assert StressAgreement.of(training(0.2, 0.01), check(0.2)).offset_gpa is None
    assert StressAgreement.of(training(2.0, 1.0), None).offset_gpa is None  # may be an accident
    assert StressAgreement.of(training(2.0, 0.1), None).offset_gpa == 2.0
    assert StressAgreement.of({}, None).offset_gpa is None
    assert StressAgreement.of({}, StressConsistency(None, reason="imported")).offset_gpa is None
    # 0.5 GPa is much where the stress varies by 0.2.
    assert StressAgreement.of(training(0.0, 0.01, spread=0.2), check(0.5)).offset_gpa is not None


def evaluation() -> Evaluation:
    """Two strains, F and stress."""
    errors = {name: np.array([0.1, 0.2]) for name in ("free_energy", "stress_gpa")}
    found = EngineErrors(errors, {"free_energy": np.array([-1.0, -1.1])}, np.array([1e-3, 1e-3]))
    spread = {name: Spread(1.3, 2.0) for name in errors}
    strains = np.array([[1, 1, 1, 90, 90, 90], [1.01, 1, 1, 90, 90, 90]])
    truth = {"free_energy": np.array([-1.0, -1.1])}
    return Evaluation(strains, np.array([0, 0.01]), truth, np.zeros(2), spread, {"surrogate": found})


def test_it_is_not_judged_and_that_is_said() -> None:
    judged_all = evaluation()
    wrong = StressAgreement.of(training(110.0, 2.0), None)
    assert "+110 GPa" in wrong.remark
    judged = wrong.judged(judged_all)
    assert "stress_gpa" not in judged.spread
    assert all("stress_gpa" not in found.errors for found in judged.engines.values())
    assert wrong.to_dict()["judged"] is False
    rows = headline(judged, wrong.remark)
    assert rows[-1][:3] == ("stress", "GPa", "not judged") and len(rows[-1]) == len(rows[0])
    right = StressAgreement.of(training(0.1, 0.1), None)
    assert right.judged(judged_all) is judged_all and right.remark == ""
    assert headline(judged_all)[-1][:4] == ("stress", "GPa", "0.150", "0.200")  # in the summary, where it is judged
