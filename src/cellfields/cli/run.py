"""``cellfields run``: label, train, evaluate; a second run goes on where the first one stopped."""

from __future__ import annotations

from cellfields.cli._arguments import ConfigArgument
from cellfields.cli._stress_check import CheckOption
from cellfields.cli.label import RetryOption, WorkersOption


def run(
    config: ConfigArgument, workers: WorkersOption = None, retry_failed: RetryOption = False, check: CheckOption = True
) -> None:
    """Label, train, evaluate; resumes where it was.

    Example: cellfields run magnesium.toml
    """
    from cellfields.cli._console import note, print_failures
    from cellfields.cli.evaluate import evaluate_study
    from cellfields.cli.label import SHOWN, label_study
    from cellfields.cli.train import current_model, train_study
    from cellfields.pipeline.study import Study

    study = Study.load(config)
    labelled = label_study(study, workers, retry_failed=retry_failed, check=check)
    print_failures(labelled.failures, most=SHOWN)
    store = labelled.store
    surrogate = current_model(study, store)
    if surrogate is None:
        surrogate = train_study(study, store)
    else:
        note("the model is up to date")
    evaluate_study(study, store, surrogate)
