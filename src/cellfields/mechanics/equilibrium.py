"""The stress-free cell of an engine: all stress components zero (the minimum of 𝓕 over D).

g(y) = 0  in the strains y that keep the crystal's symmetry: with right angles kept, or in all six components
"""

from __future__ import annotations

import warnings

import numpy as np

from cellfields._typing import FloatArray
from cellfields.deformation import Deformation
from cellfields.errors import ConvergenceError, LeftDomainError, PhysicsWarning
from cellfields.mechanics._coordinates import Components
from cellfields.mechanics._evaluation import Evaluator
from cellfields.mechanics._minimise import minimise
from cellfields.mechanics._symmetric_cell import SymmetricCell
from cellfields.mechanics.uniaxial import TOLERANCE
from cellfields.state import CellState, Engine
from cellfields.units import GPA

_NOISE = 20.0  # times the tolerance: what a stress that symmetry forbids may be
NAMES = ("λa", "λb", "λc", "θa", "θb", "θc")


def stress_free(
    engine: Engine,
    *,
    components: Components = "all",
    begin: Deformation | None = None,
    tolerance: float = TOLERANCE,
    max_evaluations: int = 100,
    outside: str = "raise",
) -> CellState:
    """Relax the cell.

    The search keeps the symmetry that the crystal, its k mesh and ``begin`` share: a cubic crystal on a cubic mesh
    stays cubic to the last digit. A stress that this symmetry forbids is left, and warned of where it is no noise.

    Args:
        engine: any.
        components: "axial" keeps right angles.
        begin: where to begin; the reference cell, unless given.
        tolerance: largest stress component at the end, Hartree/Bohr³.
        max_evaluations: solves before it is given up.
        outside: "raise" refuses a result outside the strains that a model was trained on, "flag" returns it with
            ``provenance["in_domain"]`` False. No difference for first principles.

    Raises:
        InputError: components of another name, or an engine without stress.
        LeftDomainError: the search ended, or got lost, outside the strains that a model was trained on.
        ConvergenceError: with D and the residual of each solve.
    """
    cell = SymmetricCell.of(engine, components, begin)
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
        history = [
            dict(zip(NAMES, state.deformation.as_array().tolist(), strict=True)) | step
            for state, step in zip(visited, error.history, strict=False)
        ]
        if outside == "raise" and visited and visited[-1].provenance.get("in_domain") is False:
            raise LeftDomainError(_departure(engine, visited[-1].deformation, str(error)), history) from error
        raise ConvergenceError(_partial(str(error), history), history) from error
    state = evaluator.recall(cell.deformation(minimum.z))
    forbidden = cell.forbidden(state) if components == "all" else 0.0
    if forbidden > _NOISE * tolerance:
        warnings.warn(
            f"the cell is relaxed with its symmetry kept, but {forbidden * GPA:.3g} GPa of stress is left that this "
            "symmetry forbids: the energy does not have the crystal's symmetry (of first principles: is the k mesh "
            "dense enough? of a model: has it learned from symmetry images?)",
            PhysicsWarning,
            stacklevel=2,
        )
    if outside == "raise" and state.provenance.get("in_domain") is False:
        last = [dict(zip(NAMES, s.deformation.as_array().tolist(), strict=True)) for s in visited]
        raise LeftDomainError(_departure(engine, state.deformation, "its stress is zero there"), last)
    return state


def _departure(engine: Engine, deformation: Deformation, end: str) -> str:
    """A sentence that names the components of D which have left the training strains."""
    domain, values = getattr(engine, "domain", None), deformation.as_array()
    told = []
    if domain is not None:
        told = [
            f"{name} = {x:.6g} (trained on {low:g} … {high:g})"
            for name, x, low, high in zip(NAMES, values, domain.lower, domain.upper, strict=True)
            if not low <= x <= high
        ]
    where = ", ".join(told) or "all six components together are farther out than any training strain"
    return (
        f"the search for the stress-free cell left the strains that the model was trained on: {where}; {end}. "
        "An extrapolation is no result: train on strains around the stress-free cell"
    )


def _partial(reason: str, history: list[dict[str, float]]) -> str:
    if not history:
        return reason
    best = min(history, key=lambda step: step["residual"])
    where = ", ".join(f"{best[name]:.6g}" for name in NAMES)
    return (
        f"{reason}. The nearest was D = ({where}) with a largest stress of {best['residual']:.1e} Ha/Bohr³: go on from "
        "there, or ask for a larger tolerance"
    )
