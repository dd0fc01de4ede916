"""What an engine is: the map from a deformation to a state (paper, eq. 8, 10 and 11).

    Engine.solve : D → CellState(R̄ᵉ, ρ̄, φ̄, ū, s̄, F, …)

Density functional theory evaluates the map and the surrogate approximates it. Code downstream takes an engine by one
of the protocols below, and never asks which class stands behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.state import CellState


@runtime_checkable
class Engine(Protocol):
    """Deformation → relaxed state: the map Φ (paper, eq. 10)."""

    @property
    def crystal(self) -> Crystal:
        """The reference crystal that deformations are relative to."""

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """Relaxed state of the deformed cell."""


@runtime_checkable
class FirstPrinciplesEngine(Engine, Protocol):
    """… and what only DFT can do: atoms held where you put them."""

    def evaluate(self, deformation: Deformation, internal: FloatArray, *, start: Any | None = None) -> CellState:
        """State of the deformed cell with the internal coordinates held fixed."""


@dataclass(frozen=True, eq=False)
class Remedy:
    """Another way to the same state, for when the first one does not converge.

    An engine may offer some, cheapest first, by a method ``remedies() -> Sequence[Remedy]``.

    Attributes:
        name: what is done otherwise ("smaller mixing"); recorded in the provenance of the state that it led to.
        engine: solves the same problem, to the same accuracy, with more care.
    """

    name: str
    engine: Engine
