"""A pool of spawned worker processes that hold the engine and the dataset, and die with their parent.

The engine travels once to each worker, not with each sample. A worker lives exactly as long as the parent holds its
end of a pipe, the *lifeline*: the kernel closes it however the parent ends, so no worker outlives a ``kill -9``, and
closing it by hand ends the workers at once. Sealing is atomic, so a worker may be ended at any instant.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from threadpoolctl import threadpool_limits

from cellfields.crystal.deformation import Deformation
from cellfields.dataset._attempt import Outcome, attempt
from cellfields.dataset._failure import sentence_of
from cellfields.dataset.store import DatasetStore
from cellfields.engines.contract import Engine
from cellfields.errors import CellFieldsError
from cellfields.verbosity import show_log, shown_level

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class WorkerPool:
    """Spawned processes that hold the engine and the dataset, each on one BLAS thread.

    Raises:
        CellFieldsError: the processes cannot start, or cannot load the engine.
    """

    def __init__(self, payload: bytes, workers: int) -> None:
        context = multiprocessing.get_context("spawn")  # no locks or threads of the parent's, on every system
        self._reader, self._lifeline = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(workers, context, _start_worker, (payload, self._reader, shown_level()))
        try:
            with interrupts_held_back(), _one_thread_environment():
                probes = [self._executor.submit(_problem_of_worker) for _ in range(workers)]
            problems = [problem for problem in (probe.result() for probe in probes) if problem]
            if problems:
                raise CellFieldsError(f"worker processes cannot load the engine: {problems[0]}")
        except BaseException as error:
            self.close(end_workers=True)
            if isinstance(error, BrokenExecutor):
                raise CellFieldsError(
                    "worker processes die as they start; a script that labels with several workers must do so below "
                    'if __name__ == "__main__":'
                ) from error
            raise

    def submit(self, deformation: Deformation, start: Any | None) -> Future[Outcome]:
        """Queue one solve."""
        # The executor may start a process at any submission.
        with interrupts_held_back(), _one_thread_environment():
            return self._executor.submit(_solve, deformation, start)

    def close(self, *, end_workers: bool) -> None:
        """Wait for the processes to end; ``end_workers`` ends them where they are."""
        with interrupts_held_back():
            if end_workers:
                self._lifeline.close()
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._lifeline.close()
            self._reader.close()


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits until the end of the block.

    A KeyboardInterrupt inside ``concurrent.futures`` can leave one of its locks taken for ever, and a process that is
    started in the block is born with the signal blocked: it reaches the whole group, and the parent decides.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_thread_environment() -> Iterator[None]:
    """Processes started in the block load NumPy with one thread; the parent's environment is restored at its end."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# -- inside a worker process --------------------------------------------------------------------------------------

_loaded: tuple[DatasetStore, Engine] | None = None
_problem: str | None = None


def _start_worker(payload: bytes, lifeline: Connection, log_level: int | None) -> None:
    """Load the engine; ``log_level`` is that of the parent's log on stderr, which this process writes to as well."""
    global _loaded, _problem
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if log_level is not None:
        show_log(log_level, prefix=f"worker {os.getpid()}: ")
    threading.Thread(target=_live_until_closed, args=(lifeline,), daemon=True).start()
    try:
        _loaded = pickle.loads(payload)
        threadpool_limits(limits=1)  # the environment says so too; this also holds where a library ignores it
    except Exception as error:  # an initializer that raises breaks the pool and hides the reason
        _problem = sentence_of(error)


def _live_until_closed(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()  # nothing is ever sent: this ends when the parent closes its end, or dies
    os._exit(1)


def _problem_of_worker() -> str | None:
    return _problem


def _solve(deformation: Deformation, start: Any | None) -> Outcome:
    assert _loaded is not None
    store, engine = _loaded
    return attempt(engine, deformation, start, store.write)
