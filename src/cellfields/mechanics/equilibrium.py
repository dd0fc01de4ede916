"""The stress-free cell of an engine: all stress components zero (the minimum of 𝓕 over D).

g(x) = 0  in the three elongations (right angles kept) or in all six components
"""

from __future__ import annotations

import numpy as np

from cellfields.deformation import Deformation
from cellfields.mechanics._coordinates import Components, active_components, coordinates_of, deformation_of, embedded
from cellfields.mechanics._evaluation import Evaluator
from cellfields.mechanics._minimise import minimise
from cellfields.mechanics.uniaxial import TOLERANCE
from cellfields.state import CellState, Engine


def stress_free(
    engine: Engine,
    *,
    components: Components = "all",
    begin: Deformation | None = None,
    tolerance: float = TOLERANCE,
    max_evaluations: int = 100,
) -> CellState:
    """Relax the cell.

    Args:
        engine: any.
        components: "axial" keeps right angles.
        begin: where to begin; the reference cell, unless given.
        tolerance: largest stress component at the end, Hartree/Bohr³.
        max_evaluations: solves before it is given up.

    Raises:
        InputError: components of another name, or an engine without stress.
        ConvergenceError: with the residual of each solve.
    """
    active = active_components(components)
    crystal = engine.crystal
    z = np.zeros(len(active)) if begin is None else coordinates_of(begin, crystal)[list(active)]
    evaluator = Evaluator(engine)
    minimum = minimise(
        evaluator.restricted(active),
        z,
        np.ones(len(active), dtype=bool),
        None,
        tolerance=tolerance,
        max_evaluations=max_evaluations,
    )
    return evaluator.recall(deformation_of(embedded(minimum.z, active), crystal))
