"""The reproduction from labels to report, stage by stage; each stage takes up what is already there.

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
    """These stages, or all.

    Raises:
        InputError: one that there is not.
    """
    if unknown := [stage for stage in stages or () if stage not in STAGES]:
        raise InputError(f"stage {unknown[0]!r} is unknown; there are {', '.join(STAGES)}")
    return tuple(stages or STAGES)


def reproduce(
    bench: Workbench, stages: Collection[str] = STAGES, say: Callable[[str], None] = lambda sentence: None
) -> page.Results:
    """Do these stages, and write the report of them.

    Args:
        bench: plan, directory, and whether labels may be solved.
        stages: some of :data:`STAGES`; labels that are missing are solved only where they are a stage themselves, or
            belong to the stage (converged, smearing).
        say: called with a sentence now and then.

    Returns:
        What the stages found; the report holds it too, unless there is nothing but labels.

    Raises:
        InputError: an unknown stage; too few labels for the stages asked for.
    """
    stages = checked(stages)
    if LABELS in stages and bench.solve:
        bench.labels("dataset", bench.plan.engine, in_turn(bench.plan.train, bench.plan.test))
    wanted = [stage for stage in _STUDIES if stage in stages]
    results = page.Results()
    if not wanted:
        return results
    say(
        f"{len(bench.training)} of {len(bench.plan.train)} training strains and {len(bench.test)} of "
        f"{len(bench.plan.test)} test strains are solved"
    )
    for stage in wanted:
        name, study = _STUDIES[stage]
        found = study(bench)
        if found is None:
            say(f"{stage}: too few labels, left out")
        results = replace(results, **{name: found})
        page.write_tables(bench, results)  # they grow stage by stage
    page.write_page(bench, results)
    return results
