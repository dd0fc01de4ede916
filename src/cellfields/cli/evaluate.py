"""``cellfields evaluate``: the trained surrogate against solves that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellfields.cli._arguments import ConfigArgument

if TYPE_CHECKING:
    from cellfields.dataset import DatasetStore
    from cellfields.engines.contract import Engine, PlaneWaveCode
    from cellfields.evaluation.accuracy import Evaluation
    from cellfields.pipeline.study import Study
    from cellfields.surrogate import Surrogate

BASELINES = ("quadratic", "linear", "mean")


def evaluate(config: ConfigArgument) -> None:
    """Judge the surrogate and write report.html.

    Example: cellfields evaluate magnesium.toml
    """
    from cellfields.cli.train import require_model
    from cellfields.pipeline.study import Study

    study = Study.load(config)
    store = study.open_store()
    evaluate_study(study, store, require_model(study, store))


def evaluate_study(study: Study, store: DatasetStore, surrogate: Surrogate) -> Evaluation:
    """Judge the surrogate and plain regressions on the unseen strains; write numbers and report, print a table."""
    import json
    from dataclasses import replace

    from cellfields.cli._console import note, note_unknown, print_table
    from cellfields.cli._output import write_file
    from cellfields.dft.unmodelled import missing_physics
    from cellfields.evaluation.baselines import BaselineEngine
    from cellfields.evaluation.evaluate import evaluate as judge
    from cellfields.evaluation.report import ReportInput, render_report
    from cellfields.evaluation.report_settings import pseudopotential_names
    from cellfields.evaluation.stress_agreement import StressAgreement
    from cellfields.evaluation.summary import headline
    from cellfields.mechanics.stress_consistency import dataset_stress_consistency
    from cellfields.pipeline.configuration import Configuration

    surrogate = replace(surrogate, outside="flag")
    configuration, crystal = study.configuration, study.crystal
    train_states, test_states = study.training_states(store), study.test_states(store)
    note(f"evaluating on {len(test_states)} unseen strains")
    note_unknown(surrogate)
    recipe = configuration.surrogate
    engines: dict[str, Engine] = {"surrogate": surrogate}
    for name in BASELINES:
        engines[name] = BaselineEngine.train(
            crystal, train_states, recipe, name=name, identity=study.identity, encoding=surrogate.encoding
        )
    agreement = StressAgreement.of(surrogate.metadata, dataset_stress_consistency(store))
    evaluation = agreement.judged(judge(engines, test_states))
    evaluation = replace(evaluation, outside=~surrogate.domain.contains(evaluation.deformations))
    specimen = test_states[evaluation.typical("surrogate")]
    timings = {"training": float(surrogate.metadata["training_seconds"])}
    walls = [s.provenance["wall_seconds"] for s in [*train_states, *test_states] if "wall_seconds" in s.provenance]
    if walls:
        timings["one first-principles solve"] = float(sorted(walls)[len(walls) // 2])
    pseudopotentials: dict[str, str] = {}
    left_out: tuple[str, ...] = ()  # imported labels: whoever made them may have had it
    if isinstance(configuration, Configuration):
        ions = study.engine.pseudopotentials if isinstance(study.engine, PlaneWaveCode) else {}
        settings = configuration.engine
        pseudopotentials = pseudopotential_names(ions, settings.pseudopotentials, settings.functional)
        left_out = missing_physics(crystal)
    page = ReportInput(
        crystal=crystal,
        evaluation=evaluation,
        specimen=specimen,
        predicted=surrogate.solve(specimen.deformation),
        settings=configuration.model_dump(exclude={"output"}, exclude_none=True),
        training_states=len(train_states),
        asked_for=(len(study.train), len(study.test)),
        timings=timings,
        failures=study.failures(store),
        unknown=surrogate.unknown,
        pseudopotentials=pseudopotentials,
        stress_check=agreement.finding,
        stress_remark=agreement.remark,
        slopes=agreement.slopes,
        left_out=left_out,
    )
    html = render_report(page)
    found = page.verdict
    numbers = evaluation.to_dict() | {
        "training_states": len(train_states),
        "failures": len(page.failures),
        "verdict": found.to_dict(),
        "stress_consistency": agreement.to_dict(),
    }
    write_file(configuration.evaluation_path, (json.dumps(numbers, indent=1, allow_nan=False) + "\n").encode())
    write_file(configuration.report_path, html.encode("utf-8"))
    title = f"errors on {len(test_states)} unseen strains, learned from {len(train_states)}"
    columns, *rows = headline(evaluation, agreement.remark)
    print_table(title, columns, rows)
    print(f"verdict: {found.level}")
    for sentence in [*found.summary, *(f.sentence for f in found.findings if f.level in ("caution", "bad"))]:
        print(f"  {sentence}")
    for values in evaluation.deformations[evaluation.outside]:
        print(f"outside: D = ({', '.join(f'{x:g}' for x in values)})")
    print(f"report: {configuration.report_path}")
    return evaluation
