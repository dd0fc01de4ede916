"""g(x) from any engine: each solve begins where the last one ended, and is counted.

Engines that can hand over more than a density (``solve_and_continue``) do so; other first-principles engines get the
last density; the rest need nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import ContinuableEngine, Engine, FirstPrinciplesEngine
from cellfields.mechanics.coordinates import conjugate_stress, deformation_of, embedded
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart

_REMEMBERED = 12  # more than the probes of one measured stiffness


class Evaluator:
    """An engine, with memory of its last solve.

    Attributes:
        engine: the engine.
        evaluations: how many states it has been asked for.
        start: what the next solve begins with; may be put back to an earlier one.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.evaluations = 0
        self.start: Any | None = None
        self._recent: deque[CellState] = deque(maxlen=_REMEMBERED)

    def solve(self, deformation: Deformation) -> CellState:
        """Relaxed state at D."""
        self.evaluations += 1
        if isinstance(self.engine, ContinuableEngine):
            state, self.start = self.engine.solve_and_continue(deformation, start=self.start)
        else:
            state = self.engine.solve(deformation, start=self.start)
            if isinstance(self.engine, FirstPrinciplesEngine) and state.knows("density"):
                self.start = DensityStart.of(state)
        self._recent.append(state)
        return state

    def recall(self, deformation: Deformation) -> CellState:
        """The state at D, from memory where it was among the last few."""
        known = (state for state in self._recent if state.deformation == deformation)
        return next(known, None) or self.solve(deformation)

    def __call__(self, x: FloatArray) -> FloatArray:
        """g (6,) at x (6,)."""
        crystal = self.engine.crystal
        return conjugate_stress(self.solve(deformation_of(x, crystal)), crystal)

    def restricted(self, active: Sequence[int]) -> Callable[[FloatArray], FloatArray]:
        """z → g in the active components; the others of x are zero."""
        return lambda z: self(embedded(z, active))[list(active)]
