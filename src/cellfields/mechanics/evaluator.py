"""g(x) from any engine: each solve begins where the last one ended, and is counted.

Engines with ``solve_and_continue`` choose themselves what the next solve begins with; other first-principles engines
get the last density; all other engines begin each solve afresh.
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
    """An engine with memory of its last solves.

    Attributes:
        engine: the engine.
        evaluations: number of solves so far.
        start: what the next solve begins with; may be put back to an earlier one.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.evaluations = 0
        self.start: Any | None = None
        self._recent: deque[CellState] = deque(maxlen=_REMEMBERED)

    def solve(self, deformation: Deformation) -> CellState:
        """Relaxed state at D by a new solve, which begins from ``start`` and replaces it."""
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
        """The state at D: one of the last twelve solves where D is among them, else a new solve."""
        matches = (state for state in self._recent if state.deformation == deformation)
        return next(matches, None) or self.solve(deformation)

    def __call__(self, x: FloatArray) -> FloatArray:
        """g (6,), Hartree/Bohr³, at the strain components x (6,), by a new solve."""
        crystal = self.engine.crystal
        return conjugate_stress(self.solve(deformation_of(x, crystal)), crystal)

    def restricted(self, active: Sequence[int]) -> Callable[[FloatArray], FloatArray]:
        """Function z (m,) → g (m,) in the active components; the other components of x are zero."""
        return lambda z: self(embedded(z, active))[list(active)]
