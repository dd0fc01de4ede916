"""One solve as a worker sees it: deformation in, an outcome out, never an exception of the engine's.

Runs in whichever process or thread does the work, so what it takes and gives must pickle.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cellfields.dataset._atomic import StoreError
from cellfields.dataset._failure import Failure
from cellfields.deformation import Deformation
from cellfields.state import CellState, Engine

Starter = Callable[[Deformation], Any | None]


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended: sealed already, or a ``state`` still to be sealed, or a ``failure``."""

    seconds: float
    state: CellState | None = None
    failure: Failure | None = None


def attempt(
    engine: Engine, deformation: Deformation, start: Any | None, seal: Callable[[CellState], None] | None
) -> Outcome:
    """Solve one sample and, where the dataset can be written from here, seal the state at once.

    The state's provenance is completed with ``wall_seconds`` and, where this process works for the campaign alone
    (``seal`` given), ``cpu_seconds``.

    Raises:
        StoreError: the state was computed and cannot be stored; solving on would waste every further result.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        state = engine.solve(deformation, start=start)
        if state.deformation != deformation:
            raise RuntimeError(f"the engine returned the state of {state.deformation}, asked for {deformation}")
        spent = {"wall_seconds": time.perf_counter() - wall}
        if seal is not None:
            spent["cpu_seconds"] = time.process_time() - cpu
        state = replace(state, provenance={**spent, **state.provenance})
        if seal is not None:
            seal(state)
    except StoreError:
        raise
    except Exception as error:  # one sample's failure, expected or a defect, must not end the campaign
        return Outcome(time.perf_counter() - wall, failure=Failure.from_error(deformation, error))
    return Outcome(time.perf_counter() - wall, state=state if seal is None else None)
