"""``cellfields label --dry-run``: what would be solved, its expected time and size; no dataset is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cellfields.cli._console import clock, print_failures, print_table, size, warn

if TYPE_CHECKING:
    from cellfields.pipeline.study import Study


def forecast(study: Study, workers: int | None, *, retry_failed: bool, probe: bool, json: Path | None) -> None:
    """Print what a campaign would solve, or write it as JSON.

    Args:
        study: the study.
        workers: number of solves that run at the same time; None takes the study's.
        retry_failed: whether strains that failed with every remedy are solved again.
        probe: whether to solve two missing strains to measure their time, if no solved state gives it.
        json: file to write, or None to print tables.
    """
    from cellfields.cli._output import write_json
    from cellfields.cli.label import SHOWN
    from cellfields.dataset.forecast import Cost, Forecast

    store = study.find_store()
    plan = Forecast.of(store, study.strains, retry_failed=retry_failed)
    workers = study.configuration.output.workers if workers is None else workers
    cost = None if store is None else Cost.of_dataset(store)
    if cost is None and probe and plan.missing:
        cost = Cost.of_trial(study.engine, plan.missing)
    free = _free_bytes(study.configuration.dataset_directory)
    table = {
        "kind": "dry run",
        "dataset": str(study.configuration.dataset_directory),
        "strains": plan.strains,
        "solved": plan.solved,
        "quarantined": len(plan.quarantined),
        "to_solve": len(plan.missing),
        "workers": workers,
        "seconds_a_label": None if cost is None else cost.seconds,
        "seconds_a_label_range": None if cost is None else [cost.fastest, cost.slowest],
        "bytes_a_label": None if cost is None else cost.size,
        "estimate_based_on": None if cost is None else cost.based_on,
        "expected_seconds": None if cost is None else plan.seconds(cost, workers),
        "expected_bytes": None if cost is None else plan.size(cost),
        "free_bytes": free,
        "failures": [failure.to_dict() for failure in plan.quarantined],
    }
    if cost is not None and plan.size(cost) > free:
        warn(f"{size(plan.size(cost))} are expected and {size(free)} are free")
    if json is not None:
        write_json(json, table)
        return
    unknown = "unknown: no state says it yet (--probe solves two strains to learn it)"
    rows = [
        ("strains", str(plan.strains)),
        ("solved already", str(plan.solved)),
        ("failed earlier, left out", str(len(plan.quarantined))),
        ("to be solved", f"{len(plan.missing)}, {workers} at a time"),
        ("expected time", unknown if cost is None else clock(plan.seconds(cost, workers))),
        ("expected disk", unknown if cost is None else f"{size(plan.size(cost))}, free {size(free)}"),
    ]
    if cost is not None:
        times = f"{clock(cost.fastest)} to {clock(cost.slowest)}"
        rows.append(("one label", f"{times}, {size(cost.size)} ({cost.based_on})"))
    print_table(f"dry run, nothing is written: {table['dataset']}", ("", ""), rows)
    print_failures(plan.quarantined, most=SHOWN)


def _free_bytes(directory: Path) -> int:
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(existing).free
