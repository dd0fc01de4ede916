"""``cellfields label``: solve every strain of a study that has no state yet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import ConfigArgument, JsonOption
from cellfields.cli._stress_check import CheckOption

if TYPE_CHECKING:
    from cellfields.dataset import DatasetStore, Failure, LabelEvent
    from cellfields.mechanics import StressConsistency
    from cellfields.pipeline.study import Study

WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Solves at a time; default: output.workers.", show_default=False),
]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Also try strains again that failed with every remedy.")
]

SHOWN = 20  # failures listed on the screen; JSON and `cellfields info` hold all


@dataclass(frozen=True)
class Labelled:
    """The store after labelling, and what went into it.

    Attributes:
        store: the dataset.
        solved: how many strains were solved.
        seconds: wall time.
        remedies: name → how many of them needed it.
        failures: what is without a state.
        consistency: of stress and energy at the reference cell.
    """

    store: DatasetStore
    solved: int
    seconds: float
    remedies: Mapping[str, int]
    failures: list[Failure]
    consistency: StressConsistency


def label(
    config: ConfigArgument,
    workers: WorkersOption = None,
    retry_failed: RetryOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be solved; write nothing.")] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="With --dry-run: solve two strains to learn how long it takes.")
    ] = False,
    neighbours: Annotated[
        bool, typer.Option("--neighbours", help="Start each SCF from the density of the nearest solved strain.")
    ] = False,
    check: CheckOption = True,
    json: JsonOption = None,
) -> None:
    """Solve strains that have no state yet.

    Strains that failed with every remedy are left out and listed, unless --retry-failed is given.

    Example: cellfields label magnesium.toml --workers 2
    """
    from cellfields.cli._console import print_failures
    from cellfields.cli._dry_run import forecast
    from cellfields.cli._output import check_target, write_json
    from cellfields.errors import InputError
    from cellfields.pipeline.study import Study

    check_target(json, "--json")
    if probe and not dry_run:
        raise InputError("--probe only goes with --dry-run")
    study = Study.load(config)
    if dry_run:
        forecast(study, workers, retry_failed=retry_failed, probe=probe, json=json)
        return
    done = label_study(study, workers, retry_failed=retry_failed, neighbours=neighbours, check=check)
    table = _summary(study, done)
    if json is not None:
        write_json(json, table)
    else:
        _print_summary(table)
        print_failures(done.failures, most=SHOWN)


def label_study(
    study: Study, workers: int | None, *, retry_failed: bool = False, neighbours: bool = False, check: bool = True
) -> Labelled:
    """Label with a progress bar; how many failed is said on stderr.

    With ``neighbours`` each SCF starts from the density of the nearest strain that is solved. With ``check`` the
    dataset's stress is compared with its energy first, once, at the reference cell.

    Raises:
        CellFieldsError: not one strain could be solved.
    """
    from cellfields.cli._console import clock, note, progress, rate, warn
    from cellfields.cli._stress_check import check_dataset, warn_of_cutoff
    from cellfields.dataset import NeighbourStarter
    from cellfields.dataset import label as label_store
    from cellfields.dataset.claim import claimed
    from cellfields.dataset.forecast import Forecast
    from cellfields.errors import CellFieldsError, InputError
    from cellfields.pipeline.configuration import ImportedConfiguration

    if not study.strains:
        raise InputError(f"this study has no strains yet: run `{study.source}` first")
    store = study.create_store()
    if not isinstance(study.configuration, ImportedConfiguration):
        warn_of_cutoff(study.configuration, study.engine)
    agreement = check_dataset(store, study.engine, wanted=check)
    plan = Forecast.of(store, study.strains, retry_failed=retry_failed)
    if plan.solved:
        note(f"{plan.solved} of {plan.strains} strains are solved already")
    if plan.quarantined:
        note(f"{len(plan.quarantined)} failed earlier and are left out; --retry-failed tries them again")
    started = time.perf_counter()
    solved = failed = 0
    remedies: Mapping[str, int] = {}
    if plan.missing:
        with claimed(store.directory), progress() as tasks:
            tasks.update("solving", 0, len(plan.missing))

            def on_event(event: LabelEvent) -> None:
                nonlocal solved, failed
                if event.kind == "skipped":
                    return
                solved += event.kind == "solved"
                failed += event.kind == "failed"
                pace = rate(solved + failed, time.perf_counter() - started)
                remark = f"{pace}, last one {clock(event.seconds)}, {failed} failed"
                tasks.update("solving", solved + failed, len(plan.missing), remark)

            workers = study.configuration.output.workers if workers is None else workers
            starter = NeighbourStarter(store, study.strains) if neighbours else None
            summary = label_store(
                store, study.engine, plan.missing, workers=workers, starter=starter, on_event=on_event
            )
            remedies = summary.remedies
    failures = study.failures(store)
    if len(failures) == plan.strains:
        raise CellFieldsError(f"not one of {plan.strains} strains could be solved; the first: {failures[0].reason}")
    if failures:
        warn(f"{len(failures)} of {plan.strains} strains could not be solved and are left out")
    return Labelled(store, solved, time.perf_counter() - started, remedies, failures, agreement)


def _summary(study: Study, done: Labelled) -> dict[str, Any]:
    def counts(strains: list[Any]) -> dict[str, int]:
        return {"strains": len(strains), "solved": sum(done.store.has(d) for d in strains)}

    return {
        "kind": "label",
        "dataset": str(done.store.directory),
        "training": counts(study.train),
        "test": counts(study.test),
        "solved_now": done.solved,
        "seconds": done.seconds,
        "labels_an_hour": 3600 * done.solved / done.seconds if done.solved else None,
        "remedies": dict(done.remedies),
        "failures": [failure.to_dict() for failure in done.failures],
        "stress_consistency": done.consistency.to_dict(),
    }


def _print_summary(table: Mapping[str, Any]) -> None:
    from cellfields.cli._console import clock, note, print_table, rate

    rows = [(name, str(table[name]["strains"]), str(table[name]["solved"])) for name in ("training", "test")]
    print_table(f"dataset {table['dataset']}", ("strains", "asked for", "solved"), rows)
    if table["solved_now"]:
        pace = rate(table["solved_now"], table["seconds"])
        note(f"{table['solved_now']} solved in {clock(table['seconds'])}, {pace}")
    for name, count in table["remedies"].items():
        note(f"{count} of them needed a remedy: {name}")
