"""Label: strains of a study → sealed states."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellfields.dataset import DatasetStore, Failure, LabelEvent, NeighbourStarter, label
from cellfields.dataset.claim import claimed
from cellfields.dataset.forecast import Forecast
from cellfields.errors import CellFieldsError, InputError
from cellfields.mechanics.stress_consistency import StressConsistency
from cellfields.pipeline.progress import Reporter
from cellfields.pipeline.stress_check import check_dataset, warn_of_cutoff
from cellfields.pipeline.study import Study


@dataclass(frozen=True)
class LabelledStudy:
    """The dataset of a study after labelling, and what went into it.

    Attributes:
        store: the dataset.
        training, test: how many strains were asked for, and how many of them are solved.
        solved_now: how many strains were solved by this call.
        seconds: wall time of this call's solves.
        remedies: name → how many of them needed it.
        failures: the study's strains without a state.
        consistency: of stress and energy at the reference cell.
    """

    store: DatasetStore
    training: tuple[int, int]
    test: tuple[int, int]
    solved_now: int
    seconds: float
    remedies: Mapping[str, int]
    failures: list[Failure]
    consistency: StressConsistency

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; times in seconds, stress in the units that ``stress_consistency`` names."""
        counts = {
            name: {"strains": asked, "solved": solved}
            for name, (asked, solved) in (("training", self.training), ("test", self.test))
        }
        return {
            "kind": "label",
            "dataset": str(self.store.directory),
            **counts,
            "solved_now": self.solved_now,
            "seconds": self.seconds,
            "labels_an_hour": 3600 * self.solved_now / self.seconds if self.solved_now else None,
            "remedies": dict(self.remedies),
            "failures": [failure.to_dict() for failure in self.failures],
            "stress_consistency": self.consistency.to_dict(),
        }


def label_study(
    study: Study,
    reporter: Reporter,
    *,
    workers: int | None = None,
    retry_failed: bool = False,
    neighbours: bool = False,
    check: bool = True,
) -> LabelledStudy:
    """Solve every strain of a study that has no state yet.

    Args:
        study: with first-principles settings.
        reporter: is told of progress and of failures.
        workers: solves at a time, None for the study's own number.
        retry_failed: also try strains again that failed with every remedy.
        neighbours: start each SCF from the density of the nearest strain that is solved.
        check: compare the dataset's stress with its energy first, once, at the reference cell.

    Raises:
        InputError: the study has no strains, or its states are imported.
        SettingsMismatchError: the dataset was made with other settings.
        CellFieldsError: not one strain could be solved.
    """
    if not study.strains:
        raise InputError(f"this study has no strains yet: run `{study.source}` first")
    store = study.create_store()
    if study.first_principles is not None:
        warn_of_cutoff(study.first_principles)
    consistency = check_dataset(store, study.first_principles, wanted=check)
    if consistency.pulay_pressure is None:
        reporter.note(consistency.sentence())
    consistency.warn(None)
    plan = Forecast.of(store, study.strains, retry_failed=retry_failed)
    if plan.solved:
        reporter.note(f"{plan.solved} of {plan.strains} strains are solved already")
    if plan.quarantined:
        reporter.note(f"{len(plan.quarantined)} failed earlier and are left out; --retry-failed tries them again")
    started = time.perf_counter()
    solved, remedies = 0, {}
    if plan.missing:
        counter = _Counter(reporter, len(plan.missing))
        with claimed(store.directory):
            summary = label(
                store,
                study.engine,
                plan.missing,
                workers=study.configuration.output.workers if workers is None else workers,
                starter=NeighbourStarter(store, study.strains) if neighbours else None,
                on_event=counter,
            )
        solved, remedies = counter.solved, dict(summary.remedies)
    seconds = time.perf_counter() - started
    failures = study.failures(store)
    if len(failures) == plan.strains:
        raise CellFieldsError(f"not one of {plan.strains} strains could be solved; the first: {failures[0].reason}")
    if failures:
        reporter.warn(f"{len(failures)} of {plan.strains} strains could not be solved and are left out")
    training, test = ((len(strains), sum(map(store.has, strains))) for strains in (study.train, study.test))
    return LabelledStudy(store, training, test, solved, seconds, remedies, failures, consistency)


class _Counter:
    """Counts the events of a campaign and reports the pace."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self._reporter, self._total = reporter, total
        self._started = time.perf_counter()
        self.solved = self.failed = 0
        reporter.update("solving", 0, total)

    def __call__(self, event: LabelEvent) -> None:
        if event.kind == "skipped":
            return
        self.solved += event.kind == "solved"
        self.failed += event.kind == "failed"
        done = self.solved + self.failed
        an_hour = 3600 * done / max(time.perf_counter() - self._started, 1e-9)
        pace = f"{an_hour:,.0f}" if an_hour >= 10 else f"{an_hour:.1f}"
        remark = f"{pace} an hour, last one {event.seconds:.3g} s, {self.failed} failed"
        self._reporter.update("solving", done, self._total, remark)
