"""``cellfields evaluate``: errors of the surrogate on unseen strains, and a report that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import ConfigArgument, JsonOption

if TYPE_CHECKING:
    from cellfields.pipeline.judgement import EvaluatedStudy
    from cellfields.pipeline.study import Study
    from cellfields.surrogate import Surrogate


def evaluate(
    config: ConfigArgument,
    again: Annotated[bool, typer.Option("--again", help="Judge even where the evaluation is up to date.")] = False,
    json: JsonOption = None,
) -> None:
    """Judge the surrogate and write report.html.

    Example: cellfields evaluate magnesium.toml
    """
    from cellfields.cli._console import reporting
    from cellfields.cli._output import check_target, write_json
    from cellfields.pipeline.pipeline import Pipeline

    check_target(json, "--json")
    with reporting() as reporter:
        pipeline = Pipeline.load(config, reporter)
        surrogate = pipeline.model()
        judged = pipeline.evaluate(surrogate, again=again)
    if json is not None:
        write_json(json, evaluation_table(pipeline.study, judged))
    else:
        print_evaluation(pipeline.study, surrogate, judged)


def evaluation_table(study: Study, judged: EvaluatedStudy) -> dict[str, Any]:
    """JSON data about an evaluation: its files, the numbers of strains, and the verdict."""
    configuration, evaluation = study.configuration, judged.evaluation
    return {
        "kind": "evaluate",
        "evaluation": str(configuration.evaluation_path),
        "report": str(configuration.report_path),
        "training_states": judged.numbers["training_states"],
        "test_states": len(evaluation.deformations),
        "outside_domain": 0 if evaluation.outside is None else int(evaluation.outside.sum()),
        "units": judged.numbers["units"],
        "verdict": dict(judged.verdict),
    }


def print_evaluation(study: Study, surrogate: Surrogate, judged: EvaluatedStudy) -> None:
    """Print the table of errors, the verdict and the strains outside the domain on stdout."""
    from cellfields.cli._console import note_unknown, print_table
    from cellfields.evaluation.summary import headline

    note_unknown(surrogate)
    evaluation, verdict = judged.evaluation, judged.verdict
    title = f"errors on {len(evaluation.deformations)} unseen strains, learned from {judged.numbers['training_states']}"
    columns, *rows = headline(evaluation, judged.stress_remark)
    print_table(title, columns, rows)
    print(f"verdict: {verdict['level']}")
    troubling = [f["sentence"] for f in verdict["findings"] if f["level"] in ("caution", "bad")]
    for sentence in [*verdict["summary"], *troubling]:
        print(f"  {sentence}")
    if evaluation.outside is not None:
        for values in evaluation.deformations[evaluation.outside]:
            print(f"outside: D = ({', '.join(f'{x:g}' for x in values)})")
    print(f"report: {study.configuration.report_path}")
