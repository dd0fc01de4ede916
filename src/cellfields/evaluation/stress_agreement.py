"""Decides whether a surrogate's stress may be judged by the stress of a study's states.

A surrogate's stress is the derivative of its energy. Where the stress σ of the states is not the derivative of their
energy, the difference of the two stresses shows an error of σ and not of the surrogate, and is left out of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cellfields.evaluation.accuracy import Evaluation
from cellfields.evaluation.judging import Finding
from cellfields.evaluation.verdict import STRESS_TOPIC
from cellfields.mechanics.stress_consistency import StressConsistency, tolerance_gpa

_SIGNIFICANT = 3.0  # standard errors


@dataclass(frozen=True)
class StressAgreement:
    """Estimates of σ − dF/dD of the states that a surrogate was trained on and is judged by.

    Attributes:
        check: result of one more solve at a nearby cutoff, kept beside the dataset
            (``mechanics.stress_consistency.dataset_stress_consistency``), or None.
        training: ``offset``, ``standard_error`` and ``spread`` in GPa, measured on the training states themselves (a
            surrogate's ``metadata["slope_offset_gpa"]``), or None.
        slopes: whether F was learned from the stress, and if not, why (``metadata["slopes"]``); empty for models whose
            metadata do not hold it.
    """

    check: StressConsistency | None
    training: Mapping[str, float] | None
    slopes: str

    @classmethod
    def of(cls, metadata: Mapping[str, Any], check: StressConsistency | None) -> StressAgreement:
        """Combine a surrogate's ``metadata`` with the check that is kept beside its dataset."""
        return cls(check, metadata.get("slope_offset_gpa"), str(metadata.get("slopes", "")))

    @property
    def offset_gpa(self) -> float | None:
        """σ − dF/dD in GPa where it exceeds its tolerance, by the training states else by the check; otherwise None."""
        spread = None if self.training is None else self.training["spread"]
        if self.training is not None:
            size = abs(self.training["offset"])
            if size > _SIGNIFICANT * self.training["standard_error"] and size > tolerance_gpa(spread):
                return self.training["offset"]
        if self.check is not None and self.check.is_consistent(spread) is False:
            return self.check.pulay_pressure_gpa
        return None

    @property
    def remark(self) -> str:
        """A sentence that says why the stress is not judged; empty where σ agrees with the energies."""
        if self.offset_gpa is None:
            return ""
        return (
            f"The stress of these states is not judged: it differs from the derivative of their energies by about "
            f"{self.offset_gpa:+.3g} GPa, which is what a cutoff does that is too low. The surrogate's stress is the "
            "derivative of its energy."
        )

    @property
    def finding(self) -> Finding | None:
        """Result for the verdict: "bad" where σ contradicts the energies, "good" where it agrees, None if unchecked."""
        if self.remark:
            return Finding(STRESS_TOPIC, "bad", self.remark)
        parts = []
        if self.training is not None:
            parts.append(f"{self.training['offset']:+.2g} GPa on the mean of the training strains")
        if self.check is not None and self.check.pulay_pressure_gpa is not None:
            parts.append(f"{self.check.pulay_pressure_gpa:+.2g} GPa by one more solve at another cutoff")
        if not parts:
            return None
        return Finding(
            STRESS_TOPIC,
            "good",
            f"The stress is the derivative of the energy within the tolerance: {', '.join(parts)}.",
        )

    def judged(self, evaluation: Evaluation) -> Evaluation:
        """A copy of the evaluation without errors of the stress; the same one where σ agrees with the energies."""
        if not self.remark:
            return evaluation
        spread = {name: value for name, value in evaluation.spread.items() if name != "stress_gpa"}
        engines = {
            engine: replace(result, errors={name: e for name, e in result.errors.items() if name != "stress_gpa"})
            for engine, result in evaluation.engines.items()
        }
        return replace(evaluation, spread=spread, engines=engines)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; ``judged`` is whether the stress is, ``training`` and ``check`` are in GPa."""
        spread = None if self.training is None else self.training["spread"]
        return {
            "judged": not self.remark,
            "remark": self.remark,
            "slopes": self.slopes,
            "training": None if self.training is None else dict(self.training),
            "check": None if self.check is None else self.check.to_dict(spread),
        }
