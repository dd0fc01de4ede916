"""Run the solves of a campaign in this process, in a pool of its own, or in an executor of the user's.

Each of the three is a generator of (deformation, outcome) in order of completion, every state sealed before it is
yielded. Closing the generator early stops the work: pending solves are cancelled, own workers ended.

A worker of the own pool seals its states itself, the moment they are solved: killing the parent then loses the solves
in flight and nothing that was finished. An executor of the user's may work where the dataset's directory does not
exist, so its workers return their states and the parent seals.
"""

from __future__ import annotations

import contextlib
import pickle
from collections import Counter, deque
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from queue import SimpleQueue
from typing import Any, Literal

from threadpoolctl import threadpool_limits

from cellfields.crystal.deformation import Deformation
from cellfields.dataset._attempt import Outcome, Starter, attempt, ends_campaign
from cellfields.dataset._elsewhere import attempt_elsewhere, one_thread_here
from cellfields.dataset._failure import Failure, sentence_of
from cellfields.dataset._pool import WorkerPool, interrupts_held_back
from cellfields.dataset.store import DatasetStore
from cellfields.engines.contract import Engine
from cellfields.errors import CellFieldsError, InputError

Outcomes = Generator[tuple[Deformation, Outcome], None, None]

_FOREIGN_WINDOW = 512  # submissions held by a foreign executor at a time: enough to fill a cluster's queue
_MOST_LOSSES = 3
# Exceptions of executors, by name: none of these libraries is imported here.
_LOST = {"WorkerLost", "ManagerLost"}  # Parsl's: a worker, or all of a node, was killed
_LOST_OFTEN = {"KilledWorker"}  # Dask's, after it has tried on four workers by itself
_BROKEN = {"BrokenExecutor", "CancelledError", "BadStateException"}  # the last is Parsl's: no block can start
_LOST_MESSAGE = (
    "its worker was lost time and again (killed by the operating or batch system; out of memory or walltime?)"
)


def in_this_process(
    store: DatasetStore, engine: Engine, pending: Sequence[Deformation], starter: Starter | None
) -> Outcomes:
    """Solve the samples one after the other in this process, on one BLAS thread like any worker."""
    with threadpool_limits(limits=1):
        for deformation in pending:
            yield deformation, attempt(engine, deformation, _start(starter, deformation), store.write)


def in_own_pool(
    store: DatasetStore, engine: Engine, pending: Sequence[Deformation], starter: Starter | None, workers: int
) -> Outcomes:
    """Solve the samples in a pool of spawned processes that is rebuilt when the operating system kills one of them.

    Which of the solves in flight killed the worker is not known, so each is tried again *alone*; the one that breaks
    the pool a second time has proved it, and is the one that fails.

    Raises:
        InputError: the engine cannot be pickled.
        CellFieldsError: worker processes cannot even start.
    """
    try:
        payload = pickle.dumps((store, engine))
    except Exception as error:  # whatever the engine's members raise when they are pickled
        raise InputError(f"engine {type(engine).__name__} cannot be sent to worker processes: {error}") from error
    queue = deque(pending)
    while queue:
        suspects = deque((yield from _until_broken(store, payload, workers, queue, starter)))
        while suspects:
            for culprit in (yield from _until_broken(store, payload, 1, suspects, starter)):
                yield culprit, Outcome(0.0, failure=_died(culprit))


def in_executor(
    store: DatasetStore, engine: Engine, pending: Sequence[Deformation], starter: Starter | None, executor: Executor
) -> Outcomes:
    """Solve through any ``concurrent.futures.Executor``, which stays open; closing this keeps what it had finished.

    A sample that comes back without an outcome (its worker was killed, its node's walltime was over, …) is handed out
    again; one that loses its worker three times is taken for the culprit and fails.

    Raises:
        CellFieldsError: the executor broke down, or cannot run this engine at all.
    """
    queue = deque(pending)
    running: dict[Future[Outcome], Deformation] = {}
    finished: SimpleQueue[Future[Outcome]] = SimpleQueue()
    losses: Counter[Deformation] = Counter()
    try:
        with one_thread_here():
            while queue or running:
                while queue and len(running) < _FOREIGN_WINDOW:
                    deformation = queue.popleft()
                    start = _start(starter, deformation)
                    try:
                        future = executor.submit(attempt_elsewhere, engine, deformation, start)
                    except Exception as error:
                        raise _broken_down(error) from error
                    running[future] = deformation
                    future.add_done_callback(finished.put)
                future = finished.get()
                deformation = running.pop(future)
                try:
                    outcome = _sealed(store, future.result())
                except Exception as error:
                    if ends_campaign(error):
                        raise
                    losses[deformation] += 1
                    verdict = _verdict(error, losses[deformation])
                    if verdict == "broken":
                        raise _broken_down(error) from error
                    if verdict == "again":
                        queue.append(deformation)
                        continue
                    outcome = Outcome(0.0, failure=Failure(deformation, "WorkerDied", f"{_LOST_MESSAGE}: {error}"))
                yield deformation, outcome
    finally:
        for future in running:
            with contextlib.suppress(NotImplementedError):  # Parsl's cannot
                future.cancel()
        for future in running:
            if future.done() and not future.cancelled() and future.exception() is None:
                with contextlib.suppress(CellFieldsError):
                    _sealed(store, future.result())


def _until_broken(
    store: DatasetStore, payload: bytes, workers: int, queue: deque[Deformation], starter: Starter | None
) -> Generator[tuple[Deformation, Outcome], None, list[Deformation]]:
    """Work the queue off in a fresh pool until it is empty or the pool breaks.

    Returns:
        The samples in flight when it broke, without those that were sealed before.
    """
    window = workers if workers == 1 else workers + 1  # one more than can run, so that no worker waits for the parent
    casualties = []
    running: dict[Future[Outcome], Deformation] = {}
    finished: SimpleQueue[Future[Outcome]] = SimpleQueue()  # can be waited for, and interrupted, without any lock
    pool = WorkerPool(payload, workers)
    broken, complete = False, False
    try:
        while running or (queue and not broken):
            while queue and not broken and len(running) < window:
                start = _start(starter, queue[0])
                with interrupts_held_back():
                    try:
                        future = pool.submit(queue[0], start)
                    except BrokenExecutor:
                        broken = True
                    else:
                        running[future] = queue.popleft()
                        future.add_done_callback(finished.put)
            if not running:
                break
            future = finished.get()
            deformation = running.pop(future)
            try:
                outcome = _outcome(future, deformation)
            except BrokenExecutor:
                broken = True
                if not store.has(deformation):
                    casualties.append(deformation)
                    continue
                outcome = Outcome(0.0)
            yield deformation, outcome
        complete = not broken
    finally:
        pool.close(end_workers=not complete)
    return casualties


def _start(starter: Starter | None, deformation: Deformation) -> Any | None:
    return None if starter is None else starter(deformation)


def _verdict(error: Exception, losses: int) -> Literal["broken", "again", "failed"]:
    """Whether a sample that came back without an outcome ends the campaign, is tried again, or has failed."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _BROKEN or (losses == _MOST_LOSSES and not kinds & (_LOST | _LOST_OFTEN)):
        return "broken"
    return "failed" if kinds & _LOST_OFTEN or losses == _MOST_LOSSES else "again"


def _broken_down(error: Exception) -> CellFieldsError:
    reason = sentence_of(error)
    return CellFieldsError(f"the executor broke down ({reason}); what was finished is kept, run again to go on")


def _outcome(future: Future[Outcome], deformation: Deformation) -> Outcome:
    """Result of a finished future of the own pool.

    Raises:
        BrokenExecutor: the pool broke. Other errors that end the campaign are raised as well.
    """
    try:
        return future.result()
    except Exception as error:  # on the way between the processes
        if isinstance(error, BrokenExecutor) or ends_campaign(error):
            raise
        return Outcome(0.0, failure=Failure.from_error(deformation, error))


def _sealed(store: DatasetStore, outcome: Outcome) -> Outcome:
    if outcome.state is None:
        return outcome
    try:
        store.write(outcome.state)
    except Exception as error:  # as in a worker that seals itself: the sample's failure, not the campaign's
        if ends_campaign(error):
            raise
        return Outcome(outcome.seconds, failure=Failure.from_error(outcome.state.deformation, error))
    return Outcome(outcome.seconds, remedy=outcome.remedy)


def _died(deformation: Deformation) -> Failure:
    message = (
        "the worker process died twice while it solved this sample, the second time with nothing else running "
        "(killed by the operating system; out of memory?)"
    )
    return Failure(deformation, "WorkerDied", message)
