"""Label a list of deformations: solve those that the dataset does not hold yet, and lose nothing on the way.

    missing = {D : no intact sealed file of D};   for each, in any order, anywhere:  seal(engine.solve(D))

To resume, repeat the call. The order in which solves end changes only the order of the events.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from cellfields.crystal.deformation import Deformation
from cellfields.dataset._attempt import Outcome, Starter
from cellfields.dataset._failure import Failure
from cellfields.dataset._workers import Outcomes, in_executor, in_own_pool, in_this_process
from cellfields.dataset.store import DatasetStore
from cellfields.engines.contract import Engine
from cellfields.errors import InputError


@dataclass(frozen=True)
class LabelEvent:
    """The event that one sample was skipped, was solved, or failed.

    Attributes:
        kind: "skipped" (there already, or failed earlier and not to be tried again), "solved" (its state is sealed
            and survives a crash from now on) or "failed" (recorded with its reason).
        deformation: D.
        seconds: wall time of the solve.
        done, total: samples settled so far, this one included, and in all.
        failure: the reason, of a failed one; of a skipped one, why it failed earlier.
        remedy: what a solved one needed besides the solve as asked for.
    """

    kind: Literal["skipped", "solved", "failed"]
    deformation: Deformation
    seconds: float
    done: int
    total: int
    failure: Failure | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class LabelSummary:
    """What a call of :func:`label` did.

    Attributes:
        total: different deformations asked for.
        solved, skipped, failed: how each was settled; together less than ``total`` only after an interruption.
        seconds: wall time of the call.
        failures: the records of the failed ones.
        quarantined: the records of those among the skipped that failed earlier and were not tried again.
        remedies: name → how many of the solved ones needed it.
    """

    total: int
    solved: int
    skipped: int
    failed: int
    seconds: float
    failures: tuple[Failure, ...] = ()
    quarantined: tuple[Failure, ...] = ()
    remedies: Mapping[str, int] = field(default_factory=dict)


class LabelInterrupted(KeyboardInterrupt):
    """Ctrl-C during a campaign: workers are ended, everything finished is sealed.

    Attributes:
        summary: what was done until then.
    """

    def __init__(self, summary: LabelSummary) -> None:
        super().__init__(f"interrupted after {summary.solved} solves; run the same command again to go on")
        self.summary = summary


def label(
    store: DatasetStore,
    engine: Engine,
    deformations: Iterable[Deformation],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    starter: Starter | None = None,
    on_event: Callable[[LabelEvent], None] | None = None,
    retry_failed: bool = True,
) -> LabelSummary:
    """Fill the dataset with the states of these deformations.

    A sample that does not converge is tried again without its start and with the remedies that the engine offers
    (``remedies()``), three at most. One that fails all the same is recorded with its reason and the others go on; a
    later success removes the record. A worker process that the operating system kills costs that sample a second
    attempt, alone, and then a record; in an executor, where losing a worker is nothing unusual, two more attempts.

    Args:
        store: where the states go.
        engine: must have the dataset's crystal and settings; picklable where other processes work.
        deformations: what is to be in the dataset; each is solved once, however often it is listed.
        workers: processes of a pool of its own (spawned, one BLAS thread each); 1 solves in this process.
        executor: any ``concurrent.futures.Executor`` instead of that pool; ``workers`` is then ignored.
        starter: what a solve may begin from, asked in this process just before the solve is handed out, or None.
        on_event: called in this process for every sample.
        retry_failed: try again what failed in an earlier campaign; otherwise it stays in quarantine, listed.

    Raises:
        SettingsMismatchError: the engine is not the one that the dataset was made with.
        InputError: ``workers`` below 1, or an engine that does not pickle.
        StoreError: the dataset cannot be written (disk full, read-only): nothing more is solved. So it is with an
            engine's error that has ``ends_campaign = True``.
        CellFieldsError: worker processes cannot start; the given executor broke down, or cannot run the engine.
        LabelInterrupted: Ctrl-C.
    """
    if workers < 1:
        raise InputError(f"workers = {workers} must be at least 1")
    store.require_engine(engine)
    unique = {store.key(deformation): deformation for deformation in deformations}
    total, begin = len(unique), time.perf_counter()
    pending: list[Deformation] = []
    failures: list[Failure] = []
    quarantined: list[Failure] = []
    remedies: Counter[str] = Counter()
    solved = skipped = 0

    def summary() -> LabelSummary:
        seconds = time.perf_counter() - begin
        counts = (total, solved, skipped, len(failures), seconds)
        return LabelSummary(*counts, tuple(failures), tuple(quarantined), dict(remedies))

    def tell(kind: Literal["skipped", "solved", "failed"], deformation: Deformation, outcome: Outcome) -> None:
        if on_event is not None:
            done = solved + skipped + len(failures)
            about = (outcome.seconds, done, total, outcome.failure, outcome.remedy)
            on_event(LabelEvent(kind, deformation, *about))

    try:
        for deformation in unique.values():
            earlier = None
            if not store.has(deformation) and (retry_failed or (earlier := store.failure(deformation)) is None):
                pending.append(deformation)
                continue
            if earlier is not None:
                quarantined.append(earlier)
            skipped += 1
            tell("skipped", deformation, Outcome(0.0, failure=earlier))
        if pending:
            store.require_writable()
        with closing(_outcomes(store, engine, pending, workers, executor, starter)) as outcomes:
            for deformation, outcome in outcomes:
                if outcome.failure is not None:
                    store.record_failure(deformation, outcome.failure)
                    failures.append(outcome.failure)
                    tell("failed", deformation, outcome)
                    continue
                solved += 1
                remedies.update([outcome.remedy] if outcome.remedy is not None else [])
                tell("solved", deformation, outcome)
    except KeyboardInterrupt:
        raise LabelInterrupted(summary()) from None
    return summary()


def _outcomes(
    store: DatasetStore,
    engine: Engine,
    pending: list[Deformation],
    workers: int,
    executor: Executor | None,
    starter: Starter | None,
) -> Outcomes:
    if executor is not None:
        return in_executor(store, engine, pending, starter, executor)
    workers = min(workers, len(pending))
    if workers <= 1:
        return in_this_process(store, engine, pending, starter)
    return in_own_pool(store, engine, pending, starter, workers)
