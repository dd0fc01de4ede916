"""``cellfields label``: solve every strain of a study that has no state yet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cellfields.cli._arguments import ConfigArgument

if TYPE_CHECKING:
    from cellfields.cli._study import Study
    from cellfields.dataset import DatasetStore, Failure, LabelEvent

WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Solves at a time; default: output.workers.", show_default=False),
]


@dataclass(frozen=True)
class Labelled:
    """The store after labelling, and what went into it."""

    store: DatasetStore
    solved: int
    seconds: float
    failures: list[Failure]


def label(config: ConfigArgument, workers: WorkersOption = None) -> None:
    """Solve strains that have no state yet.

    Example: cellfields label magnesium.toml --workers 2
    """
    from cellfields.cli._console import print_table
    from cellfields.cli._study import Study

    study = Study.load(config)
    done = label_study(study, workers)
    rows = [
        (name, str(len(strains)), str(sum(done.store.has(d) for d in strains)))
        for name, strains in (("training", study.train), ("test", study.test))
    ]
    print_table(f"dataset {done.store.directory}", ("strains", "asked for", "solved"), rows)


def label_study(study: Study, workers: int | None) -> Labelled:
    """Label with a progress bar; failed samples are listed on stderr and left out.

    Raises:
        CellFieldsError: not one strain could be solved.
    """
    from cellfields.cli._console import clock, note, progress, warn
    from cellfields.dataset import label as label_store
    from cellfields.errors import CellFieldsError

    store = study.create_store()
    strains = [*study.train, *study.test]
    missing = len(store.missing(strains))
    if missing < len(strains):
        note(f"{len(strains) - missing} of {len(strains)} strains are solved already")
    started = time.perf_counter()
    solved = failed = 0
    if missing:
        with progress() as tasks:
            tasks.update("solving", 0, missing)

            def on_event(event: LabelEvent) -> None:
                nonlocal solved, failed
                if event.kind == "skipped":
                    return
                solved += event.kind == "solved"
                failed += event.kind == "failed"
                remark = f"last one {clock(event.seconds)}" + (f", {failed} failed" if failed else "")
                tasks.update("solving", solved + failed, missing, remark)

            workers = study.configuration.output.workers if workers is None else workers
            label_store(store, study.engine, strains, workers=workers, on_event=on_event)
    failures = study.failures(store)
    if failures:
        warn(f"{len(failures)} of {len(strains)} strains could not be solved and are left out:")
        for failure in failures:
            note(f"  D = {failure.deformation.as_array().tolist()}: {failure.error}: {failure.message}")
    if len(failures) == len(strains):
        raise CellFieldsError(f"not one of {len(strains)} strains could be solved; the first: {failures[0].message}")
    return Labelled(store, solved, time.perf_counter() - started, failures)
