"""Solve one sample in a worker: a failure of the engine is returned in the outcome instead of being raised.

    the solve as asked → the solve without its start ("cold start") → the engine's own remedies, three at most

Only a failure to converge (or an error that says so by ``retry = True``) is worth a remedy; a defect is not. Runs in
whichever process or thread does the work, so its arguments and its result must pickle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from cellfields.crystal.deformation import Deformation
from cellfields.dataset._failure import FailedAttempt, Failure
from cellfields.engines.contract import Engine, RecoverableEngine, Remedy
from cellfields.errors import ConvergenceError
from cellfields.state import CellState
from cellfields.storage.atomic import StoreError

Starter = Callable[[Deformation], Any | None]

MOST_REMEDIES = 3


@dataclass(frozen=True)
class Outcome:
    """How a sample ended: sealed already, or a ``state`` still to be sealed, or a ``failure``; and by which remedy."""

    seconds: float
    state: CellState | None = None
    failure: Failure | None = None
    remedy: str | None = None


def attempt(
    engine: Engine, deformation: Deformation, start: Any | None, seal: Callable[[CellState], None] | None
) -> Outcome:
    """Solve one sample, with remedies where it does not converge; seal the state at once if ``seal`` is not None.

    The state's provenance is completed with ``wall_seconds`` and ``cpu_seconds`` of the solve that succeeded (of this
    thread; an engine that works elsewhere states its own) and with ``remedy``, where one was needed.

    Raises:
        Exception: one that :func:`ends_campaign`; solving on would be in vain.
    """
    begin = time.perf_counter()
    attempts: list[FailedAttempt] = []
    try:
        for remedy, way, its_start in _ways(engine, start):
            try:
                state = _solve(way, deformation, its_start, remedy)
            except Exception as error:
                attempts.append(FailedAttempt.from_error(remedy, error))
                if not (isinstance(error, ConvergenceError) or getattr(error, "retry", False)):
                    raise
                unsolved = error
            else:
                if seal is not None:
                    seal(state)
                return Outcome(time.perf_counter() - begin, state if seal is None else None, remedy=remedy)
        raise unsolved
    except (Exception, SystemExit) as error:  # one sample's failure, expected or a defect, must not end the campaign
        if ends_campaign(error):
            raise
        return Outcome(time.perf_counter() - begin, failure=Failure.from_error(deformation, error, tuple(attempts)))


def ends_campaign(error: BaseException) -> bool:
    """Whether no other sample would fare better: the dataset cannot be written, or the engine's error says so.

    An engine says so by an attribute ``ends_campaign = True`` (its program is missing, its scratch disk full).
    """
    return isinstance(error, StoreError) or getattr(error, "ends_campaign", False) is True


def _ways(engine: Engine, start: Any | None) -> Iterator[tuple[str | None, Engine, Any | None]]:
    """(name of the remedy, engine, start) in the order in which they are tried."""
    yield None, engine, start
    yield from islice(_remedies(engine, start), MOST_REMEDIES)


def _remedies(engine: Engine, start: Any | None) -> Iterator[tuple[str, Engine, None]]:
    if start is not None:
        yield "cold start", engine, None
    remedies: Sequence[Remedy] = engine.remedies() if isinstance(engine, RecoverableEngine) else ()
    for remedy in remedies:
        yield remedy.name, remedy.engine, None


def _solve(engine: Engine, deformation: Deformation, start: Any | None, remedy: str | None) -> CellState:
    wall, cpu = time.perf_counter(), time.thread_time()
    state = engine.solve(deformation, start=start)
    if state.deformation != deformation:
        raise RuntimeError(f"the engine returned the state of {state.deformation}, asked for {deformation}")
    spent = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.thread_time() - cpu}
    return replace(state, provenance=spent | dict(state.provenance) | ({} if remedy is None else {"remedy": remedy}))
