"""``cellfields run``: labels, trains and evaluates; a second run continues where the first one stopped."""

from __future__ import annotations

from cellfields.cli._arguments import ConfigArgument, JsonOption
from cellfields.cli._stress_check import CheckOption
from cellfields.cli.label import RetryOption, WorkersOption


def run(
    config: ConfigArgument,
    workers: WorkersOption = None,
    retry_failed: RetryOption = False,
    check: CheckOption = True,
    json: JsonOption = None,
) -> None:
    """Label, train, evaluate; resumes where it was.

    Example: cellfields run magnesium.toml
    """
    from cellfields.cli._console import print_failures, reporting
    from cellfields.cli._output import check_target, write_json
    from cellfields.cli.evaluate import evaluation_table, print_evaluation
    from cellfields.cli.label import SHOWN
    from cellfields.cli.train import model_table
    from cellfields.pipeline.pipeline import Pipeline

    check_target(json, "--json")
    with reporting() as reporter:
        pipeline = Pipeline.load(config, reporter)
        labelled = pipeline.label(workers=workers, retry_failed=retry_failed, check=check)
        surrogate = pipeline.train()
        judged = pipeline.evaluate(surrogate)
    if json is not None:
        study = pipeline.study
        steps = {
            "label": labelled.to_dict(),
            "train": model_table(study, surrogate),
            "evaluate": evaluation_table(study, judged),
        }
        write_json(json, {"kind": "run"} | steps)
        return
    print_failures(labelled.failures, most=SHOWN)
    print_evaluation(pipeline.study, surrogate, judged)
