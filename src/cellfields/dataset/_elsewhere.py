"""One solve in a process that somebody else's executor chose, on one BLAS thread.

A process that is not the campaign's own keeps the limit once it has it: several threads of one process may solve at a
time, and no two of them can put a limit on and off without disturbing each other. In the campaign's own process
(an executor of threads, processes forked from it) the campaign holds the limit, and lifts it at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

from cellfields.crystal.deformation import Deformation
from cellfields.dataset._attempt import Outcome, attempt
from cellfields.engines.contract import Engine

_limits = 0  # how many hold this process on one thread


@contextmanager
def one_thread_here() -> Iterator[None]:
    """One BLAS thread in this process until the end of the block."""
    global _limits
    with threadpool_limits(limits=1):
        _limits += 1
        try:
            yield
        finally:
            _limits -= 1


def attempt_elsewhere(engine: Engine, deformation: Deformation, start: Any | None) -> Outcome:
    """Solve one sample; the state comes back in the outcome, for the campaign to seal."""
    global _limits
    if _limits == 0:
        threadpool_limits(limits=1)
        _limits = 1
    return attempt(engine, deformation, start, None)
