"""What an engine is: the map from a deformation to a state (paper, eq. 8, 10 and 11).

    Engine.solve : D → CellState(R̄ᵉ, ρ̄, φ̄, ū, s̄, F, …)

Density functional theory evaluates the map and the surrogate approximates it. Code downstream takes an engine by one
of the protocols below, and never asks which class stands behind it:

    Engine                    solve                                  whatever predicts a state
    ├─ LearnedEngine          domain, labelled_by                    a model of states that another engine computed
    ├─ IdentifiedEngine       identity                               its numbers can be stored and resumed
    │  └─ FirstPrinciplesEngine   evaluate                           atoms held in place
    │     └─ PlaneWaveCode    settings, pseudopotentials, reduced    one that PlaneWaveSettings describe
    ├─ VariableCutoffEngine   at_cutoff                              the same engine at another cutoff
    ├─ RecoverableEngine      remedies                               has another way where one does not converge
    └─ ContinuableEngine      solve_and_continue                     hands over more than a density
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.identity import EngineIdentity
from cellfields.state import CellState


@runtime_checkable
class Engine(Protocol):
    """Deformation → relaxed state: the map Φ (paper, eq. 10)."""

    @property
    def crystal(self) -> Crystal:
        """The reference crystal that deformations are relative to."""

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """Relaxed state of the deformed cell.

        Args:
            deformation: of the cell.
            start: what to begin with (a state, a density, an engine's own continuation); an engine that needs none
                takes no notice.
        """


@runtime_checkable
class IdentifiedEngine(Engine, Protocol):
    """An engine that can say what its numbers depend on, so that they can be stored and resumed."""

    @property
    def identity(self) -> EngineIdentity:
        """Everything besides the crystal and D that changes the numbers."""


@runtime_checkable
class FirstPrinciplesEngine(IdentifiedEngine, Protocol):
    """An engine that computes the state of any atoms, not only of the relaxed ones."""

    def evaluate(self, deformation: Deformation, internal: FloatArray, *, start: Any | None = None) -> CellState:
        """State of the deformed cell with the internal coordinates (n_int,), fractional, held fixed."""


@runtime_checkable
class PlaneWaveCode(FirstPrinciplesEngine, Protocol):
    """A first-principles engine that :class:`~cellfields.dft.settings.PlaneWaveSettings` describe."""

    @property
    def settings(self) -> PlaneWaveSettings:
        """Everything about the calculation that changes its numbers."""

    @property
    def pseudopotentials(self) -> Mapping[str, Any]:
        """Symbol → pseudopotential, or the file that the code reads."""

    @property
    def reduced(self) -> bool:
        """Whether a reduced Bloch basis stands in for plane waves."""


@runtime_checkable
class VariableCutoffEngine(Engine, Protocol):
    """An engine that can be had at another cutoff."""

    @property
    def settings(self) -> Any:
        """With ``cutoff``, Hartree."""

    def at_cutoff(self, cutoff: float) -> FirstPrinciplesEngine:
        """An engine with the same crystal, pseudopotentials and other settings, at another cutoff (Hartree)."""


@runtime_checkable
class ContinuableEngine(Engine, Protocol):
    """An engine that hands its next solve more than a density: orbitals, curvature."""

    def solve_and_continue(self, deformation: Deformation, *, start: Any | None = None) -> tuple[CellState, Any]:
        """Relaxed state of the deformed cell, and what a neighbouring solve may start from."""


@dataclass(frozen=True, eq=False)
class Remedy:
    """Another way to the same state, for when the first one does not converge.

    Attributes:
        name: what is done otherwise ("smaller mixing"); recorded in the provenance of the state that it led to.
        engine: solves the same problem, to the same accuracy, with more care.
    """

    name: str
    engine: Engine


@runtime_checkable
class RecoverableEngine(Engine, Protocol):
    """An engine that knows what to try where a solve does not converge."""

    def remedies(self) -> Sequence[Remedy]:
        """Other ways to the same state, the cheapest first."""


class Domain(Protocol):
    """Where a model was trained."""

    @property
    def lower(self) -> FloatArray:
        """(6,) smallest D."""

    @property
    def upper(self) -> FloatArray:
        """(6,) largest D."""

    def contains(self, deformation: FloatArray) -> Array:
        """(…) whether each D (…, 6) lies inside."""


@runtime_checkable
class LearnedEngine(Engine, Protocol):
    """A model of states that another engine computed."""

    @property
    def domain(self) -> Domain:
        """The strains that it was trained on."""

    @property
    def labelled_by(self) -> EngineIdentity | None:
        """Identity of the engine that computed the training states, or None where it was not told."""


def kmesh_of(engine: Engine) -> tuple[int, int, int] | None:
    """The k mesh on the crystal's own cell that an engine's numbers belong to, or None where it is not known."""
    if isinstance(engine, IdentifiedEngine):
        return engine.identity.kmesh
    if isinstance(engine, LearnedEngine) and engine.labelled_by is not None:
        return engine.labelled_by.kmesh
    return None
