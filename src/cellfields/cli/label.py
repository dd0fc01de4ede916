"""``cellfields label``: solve every strain of a study that has no state yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cellfields.cli._arguments import ConfigArgument, JsonOption
from cellfields.cli._stress_check import CheckOption

WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Solves at a time; default: output.workers.", show_default=False),
]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Also try strains again that failed with every remedy.")
]

SHOWN = 20  # failures listed on the screen; JSON and `cellfields info` hold all


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
    from cellfields.cli._console import print_failures, reporting
    from cellfields.cli._dry_run import forecast
    from cellfields.cli._output import check_target, write_json
    from cellfields.errors import InputError
    from cellfields.pipeline.pipeline import Pipeline
    from cellfields.pipeline.study import Study

    check_target(json, "--json")
    if probe and not dry_run:
        raise InputError("--probe only goes with --dry-run")
    study = Study.load(config)
    if dry_run:
        forecast(study, workers, retry_failed=retry_failed, probe=probe, json=json)
        return
    with reporting() as reporter:
        labelled = Pipeline(study, reporter).label(
            workers=workers, retry_failed=retry_failed, neighbours=neighbours, check=check
        )
    table = labelled.to_dict()
    if json is not None:
        write_json(json, table)
    else:
        print_summary(table)
        print_failures(labelled.failures, most=SHOWN)


def print_summary(table: Mapping[str, Any]) -> None:
    """Print how many strains are solved, and how fast; ``table`` is that of :meth:`LabelledStudy.to_dict`."""
    from cellfields.cli._console import clock, note, print_table, rate

    rows = [(name, str(table[name]["strains"]), str(table[name]["solved"])) for name in ("training", "test")]
    print_table(f"dataset {table['dataset']}", ("strains", "asked for", "solved"), rows)
    if table["solved_now"]:
        pace = rate(table["solved_now"], table["seconds"])
        note(f"{table['solved_now']} solved in {clock(table['seconds'])}, {pace}")
    for name, count in table["remedies"].items():
        note(f"{count} of them needed a remedy: {name}")
