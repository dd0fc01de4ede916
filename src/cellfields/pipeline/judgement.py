"""Evaluate: a model and the unseen strains → errors beside plain regressions, a verdict, a report.

    evaluation.json["depends_on"] = SHA-256 of everything that the evaluation was made of

Where the file says the hash of what there is, nothing is judged again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cellfields import __version__
from cellfields.dft.unmodelled import missing_physics
from cellfields.engines.contract import Engine, PlaneWaveCode
from cellfields.evaluation.accuracy import Evaluation
from cellfields.evaluation.baselines import BaselineEngine
from cellfields.evaluation.evaluate import evaluate
from cellfields.evaluation.report import ReportInput, render_report
from cellfields.evaluation.report_settings import pseudopotential_names
from cellfields.evaluation.stress_agreement import StressAgreement
from cellfields.mechanics.stress_consistency import dataset_stress_consistency
from cellfields.pipeline.configuration import Configuration
from cellfields.pipeline.samples import Samples
from cellfields.pipeline.study import Study
from cellfields.storage.atomic import write_durably
from cellfields.storage.json_tables import digest
from cellfields.surrogate import Surrogate

BASELINES = ("quadratic", "linear", "mean")


@dataclass(frozen=True)
class EvaluatedStudy:
    """What an evaluation came to.

    Attributes:
        evaluation: errors of the surrogate and of the baselines on the unseen strains.
        numbers: what ``evaluation.json`` holds.
    """

    evaluation: Evaluation
    numbers: Mapping[str, Any]

    @property
    def verdict(self) -> Mapping[str, Any]:
        """``level``, ``summary``, ``quantities`` and ``findings``, as JSON data."""
        verdict: Mapping[str, Any] = self.numbers["verdict"]
        return verdict

    @property
    def stress_remark(self) -> str:
        """Why the stress is not judged, or empty."""
        return str(self.numbers["stress_consistency"]["remark"])


def saved_evaluation(study: Study, depends_on: str) -> EvaluatedStudy | None:
    """The evaluation that is there already, if it was made of what the hash says and its report is there too."""
    path = study.configuration.evaluation_path
    if not (path.is_file() and study.configuration.report_path.is_file()):
        return None
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        if numbers.get("depends_on") != depends_on:
            return None
        return EvaluatedStudy(Evaluation.from_dict(numbers), numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # damaged, or of an older version
        return None


def evaluation_hash(study: Study, training_hash: str, test: Samples) -> str:
    """SHA-256 of everything that an evaluation depends on."""
    check = dataset_stress_consistency(test.store)
    failures = [failure.to_dict() for failure in study.failures(test.store)]
    settings = study.configuration.model_dump(mode="json", exclude={"output"})
    return digest(
        [
            __version__,
            training_hash,
            study.keys_of(test),
            None if check is None else check.to_dict(),
            failures,
            [len(study.train), len(study.test)],
            json.loads(json.dumps(settings, default=str)),
        ]
    )


def judge_study(
    study: Study, surrogate: Surrogate, training: Samples, test: Samples, depends_on: str
) -> EvaluatedStudy:
    """Judge the surrogate and plain regressions on the unseen strains; write the numbers and the report.

    Args:
        study: whose files are written.
        surrogate: trained on ``training``.
        training: solved strains that it was trained on, and that the regressions learn from.
        test: solved strains that are unseen.
        depends_on: as :func:`evaluation_hash` gives it.

    Raises:
        StoreError: a file cannot be written.
    """
    surrogate = replace(surrogate, outside="flag")
    configuration, crystal = study.configuration, study.crystal
    engines: dict[str, Engine] = {"surrogate": surrogate}
    for name in BASELINES:
        engines[name] = BaselineEngine.train(
            crystal,
            training.states,
            configuration.surrogate,
            name=name,
            identity=study.identity,
            encoding=surrogate.encoding,
        )
    agreement = StressAgreement.of(surrogate.metadata, dataset_stress_consistency(test.store))
    evaluation = agreement.judged(evaluate(engines, test.states))
    evaluation = replace(evaluation, outside=~surrogate.domain.contains(evaluation.deformations))
    page = _report_input(study, surrogate, training, test, evaluation, agreement)
    numbers = evaluation.to_dict() | {
        "training_states": len(training),
        "failures": len(page.failures),
        "verdict": page.verdict.to_dict(),
        "stress_consistency": agreement.to_dict(),
        "depends_on": depends_on,
    }
    write_durably(configuration.report_path.absolute(), render_report(page).encode("utf-8"))
    text = json.dumps(numbers, indent=1, allow_nan=False) + "\n"
    write_durably(configuration.evaluation_path.absolute(), text.encode())
    return EvaluatedStudy(evaluation, numbers)


def _report_input(
    study: Study,
    surrogate: Surrogate,
    training: Samples,
    test: Samples,
    evaluation: Evaluation,
    agreement: StressAgreement,
) -> ReportInput:
    configuration = study.configuration
    specimen = test.states[evaluation.typical("surrogate")]
    timings = {"training": float(surrogate.metadata["training_seconds"])}
    provenances = [state.provenance for state in [*training.states, *test.states]]
    walls = sorted(float(p["wall_seconds"]) for p in provenances if "wall_seconds" in p)
    if walls:
        timings["one first-principles solve"] = walls[len(walls) // 2]
    pseudopotentials: dict[str, str] = {}
    left_out: tuple[str, ...] = ()  # imported labels: whoever made them may have had it
    if isinstance(configuration, Configuration):
        ions = study.engine.pseudopotentials if isinstance(study.engine, PlaneWaveCode) else {}
        settings = configuration.engine
        pseudopotentials = pseudopotential_names(ions, settings.pseudopotentials, settings.functional)
        left_out = missing_physics(study.crystal)
    return ReportInput(
        crystal=study.crystal,
        evaluation=evaluation,
        specimen=specimen,
        predicted=surrogate.solve(specimen.deformation),
        settings=configuration.model_dump(exclude={"output"}, exclude_none=True),
        training_states=len(training),
        asked_for=(len(study.train), len(study.test)),
        timings=timings,
        failures=study.failures(test.store),
        unknown=surrogate.unknown,
        pseudopotentials=pseudopotentials,
        stress_check=agreement.finding,
        stress_remark=agreement.remark,
        slopes=agreement.slopes,
        left_out=left_out,
    )
