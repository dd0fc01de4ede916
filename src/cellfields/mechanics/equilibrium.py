"""The stress-free cell of an engine: all stress components zero (the minimum of 𝓕 over D).

g(y) = 0  in the strains y that keep the crystal's symmetry: with right angles kept, or in all six components
"""

from __future__ import annotations

import warnings

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import Engine
from cellfields.errors import ConvergenceError, LeftDomainError, OutsideDomainError, PhysicsWarning
from cellfields.mechanics._minimise import minimise
from cellfields.mechanics._symmetric_cell import SymmetricCell, lost_to_the_mesh
from cellfields.mechanics.coordinates import Components
from cellfields.mechanics.departure import check_outside, components_of, departure, is_outside, written
from cellfields.mechanics.evaluator import Evaluator
from cellfields.mechanics.uniaxial_path import TOLERANCE
from cellfields.state import CellState
from cellfields.units import GPA

_NOISE = 20.0  # times the tolerance: largest stress forbidden by symmetry that counts as noise
_SEARCH = "the stress-free cell"


def stress_free(
    engine: Engine,
    *,
    components: Components = "all",
    begin: Deformation | None = None,
    tolerance: float = TOLERANCE,
    max_evaluations: int = 100,
    outside: str = "raise",
) -> CellState:
    """Relax the cell until all its free stress components are zero.

    The search keeps the symmetry that the crystal, its k mesh and ``begin`` share: a cubic crystal on a cubic mesh
    stays cubic to the last digit. A stress that this symmetry forbids is not relaxed; where it is
    larger than noise, a :class:`PhysicsWarning` tells its size.

    Args:
        engine: any engine with stress.
        components: "axial" keeps right angles, "all" frees all six components.
        begin: D where the search begins; None is the reference cell.
        tolerance: largest stress component at the end, Hartree/Bohr³.
        max_evaluations: number of solves after which the search is given up.
        outside: "raise" refuses a result outside the strains that a model was trained on, "flag" returns it with
            ``provenance["in_domain"]`` False. Both are alike for first principles.

    Raises:
        InputError: components or outside is not one of its values, or the engine has no stress.
        LeftDomainError: the search ended, or got lost, outside the strains that a model was trained on.
        ConvergenceError: the search did not converge; it holds D and the residual of each solve.
    """
    check_outside(outside)
    cell = SymmetricCell.of(engine, components, begin)
    if lost_to_the_mesh(engine):
        warnings.warn(
            "the k mesh does not have the crystal's symmetry: neither has the stress-free cell that is found with it",
            PhysicsWarning,
            stacklevel=2,
        )
    evaluator = Evaluator(engine)
    visited: list[CellState] = []

    def gradient(y: FloatArray) -> FloatArray:
        visited.append(evaluator.solve(cell.deformation(y)))
        return cell.gradient(visited[-1])

    count = len(cell.patterns)
    try:
        minimum = minimise(
            gradient,
            np.zeros(count),
            np.ones(count, dtype=bool),
            None,
            tolerance=tolerance,
            max_evaluations=max_evaluations,
        )
    except ConvergenceError as error:
        history = [components_of(state) | step for state, step in zip(visited, error.history, strict=False)]
        refused = isinstance(error.__cause__, OutsideDomainError)  # by a model that refuses to extrapolate
        if visited and (refused or (outside == "raise" and is_outside(visited[-1]))):
            message = departure(_SEARCH, engine, visited, visited[-1].deformation, str(error))
            raise LeftDomainError(message, history) from error
        raise ConvergenceError(_partial(str(error), visited, history), history) from error
    state = evaluator.recall(cell.deformation(minimum.z))
    if outside == "raise" and is_outside(state):
        message = departure(_SEARCH, engine, visited, state.deformation, "its stress is zero there")
        raise LeftDomainError(message, [components_of(step) for step in visited])
    forbidden = cell.forbidden(state) if components == "all" else 0.0
    if forbidden > _NOISE * tolerance:
        warnings.warn(
            f"the cell is relaxed with its symmetry kept, but {forbidden * GPA:.3g} GPa of stress is left that this "
            "symmetry forbids: the energy does not have the crystal's symmetry (of first principles: is the k mesh "
            "dense enough? of a model: has it learned from symmetry images?)",
            PhysicsWarning,
            stacklevel=2,
        )
    return state


def _partial(reason: str, visited: list[CellState], history: list[dict[str, float]]) -> str:
    """The reason of the failure, followed by the state with the smallest stress, as text."""
    if not history:
        return reason
    best = min(range(len(history)), key=lambda step: history[step]["residual"])
    where, residual = written(visited[best].deformation), history[best]["residual"]
    return f"{reason}. The nearest was D = ({where}) with a largest stress of {residual:.1e} Ha/Bohr³: go on from there"
