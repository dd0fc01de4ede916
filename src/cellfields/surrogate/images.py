"""What a recipe learns from: the states that an engine computed, and their images under the crystal's symmetry.

    {state}  →  {operation.state(crystal, state)}          four of each for the paper's magnesium (mmm), exact

The images of a strain have the distribution of strains themselves where that is as symmetric as the crystal, as the
paper's is: five hundred solves are two thousand labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.identity import EngineIdentity
from cellfields.state import CellState
from cellfields.state.axis_operations import AxisOperation, axis_operations
from cellfields.surrogate.recipe import Recipe

_SAME = 1e-8  # stretches, degrees


def images_of(
    crystal: Crystal, states: Sequence[CellState], recipe: Recipe, identity: EngineIdentity | None
) -> tuple[list[CellState], int]:
    """All images of all states, those of one state together, and their number for each (1: symmetry is not used).

    An operation is left out where the mesh does not share it (the engine would compute other numbers for the image),
    where the plane waves of the fields do not share it, and where it would exchange a component of D that is constant
    in all strains with one that varies. Where ``identity`` does not tell the mesh, only operations that leave every
    axis at its place are used.
    """
    if not recipe.learns_from_images:
        return list(states), 1
    mesh = None if identity is None else identity.kmesh
    unchanged, *others = axis_operations(crystal)
    if crystal.inversion_centre is None and any(s.fields is not None and not s.knows("internal") for s in states):
        others = []  # the image of a field depends on the positions of the atoms
    strains = [state.deformation for state in states]
    bases = {id(state.fields.basis): state.fields.basis for state in states if state.fields is not None}
    operations = [unchanged] + [
        op for op in others if op.leaves(mesh) and _holds(crystal, op, strains) and all(map(op.closes, bases.values()))
    ]
    return [operation.state(crystal, state) for state in states for operation in operations], len(operations)


def _holds(crystal: Crystal, operation: AxisOperation, strains: Sequence[Deformation]) -> bool:
    """Whether each component of D that is constant over the strains has that value in all images too."""
    deformations = np.array([strain.as_array() for strain in strains])
    is_held = np.ptp(deformations, axis=0) == 0
    if len(deformations) < 2 or not is_held.any():  # one strain does not tell which are constant
        return True
    images = np.array([operation.deformation(crystal, strain).as_array() for strain in strains])
    return bool(np.abs(images - deformations)[:, is_held].max() < _SAME)
