"""Runs the reproduction from labels to report in stages; each stage uses the results that already exist.

labels → accuracy → learning curve → cross-validation → ablation → uncertainty → energy routes → converged mesh →
smearing → report
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from cellfields.errors import InputError
from cellfields.reproductions.teh2021 import (
    ablation,
    accuracy,
    converged,
    cross_validation,
    learning_curve,
    page,
    routes,
    smearing,
    uncertainty,
)
from cellfields.reproductions.teh2021.protocol import in_turn
from cellfields.reproductions.teh2021.workbench import Workbench

LABELS = "labels"
_STUDIES: dict[str, tuple[str, Callable[[Workbench], Any]]] = {
    "accuracy": ("accuracy", accuracy.study),
    "learning-curve": ("learning", learning_curve.study),
    "cross-validation": ("validation", cross_validation.study),
    "ablation": ("ablation", ablation.study),
    "uncertainty": ("uncertainties", uncertainty.study),
    "routes": ("routes", routes.study),
    "converged": ("meshes", converged.study),
    "smearing": ("smearings", smearing.study),
}
STAGES = (LABELS, *_STUDIES)


def checked(stages: Collection[str] | None) -> tuple[str, ...]:
    """The names of these stages, or of all stages where there are none.

    Raises:
        InputError: a stage is unknown.
    """
    if unknown := [stage for stage in stages or () if stage not in STAGES]:
        raise InputError(f"stage {unknown[0]!r} is unknown; there are {', '.join(STAGES)}")
    return tuple(stages or STAGES)


def reproduce(
    bench: Workbench, stages: Collection[str] = STAGES, note: Callable[[str], None] = lambda sentence: None
) -> page.Results:
    """Run some stages, and write the report of their results.

    Args:
        bench: plan, directory, and whether labels may be solved.
        stages: some of :data:`STAGES`. The stage "labels" solves the labels of the plan; "converged" and "smearing"
            solve their own; all other stages use the labels that exist.
        note: called with sentences about the progress.

    Returns:
        The results of the stages. A report is written unless "labels" is the only stage.

    Raises:
        InputError: a stage is unknown, or there are too few labels for the stages.
    """
    stages = checked(stages)
    if LABELS in stages and bench.solve:
        bench.labels("dataset", bench.plan.engine, in_turn(bench.plan.train, bench.plan.test))
    wanted = [stage for stage in _STUDIES if stage in stages]
    results = page.Results()
    if not wanted:
        return results
    note(
        f"{len(bench.training)} of {len(bench.plan.train)} training strains and {len(bench.test)} of "
        f"{len(bench.plan.test)} test strains are solved"
    )
    for stage in wanted:
        name, study = _STUDIES[stage]
        result = study(bench)
        if result is None:
            note(f"{stage}: too few labels, left out")
        results = replace(results, **{name: result})
        page.write_tables(bench, results)  # after each stage, so that an interrupted run has its tables
    page.write_page(bench, results)
    return results
