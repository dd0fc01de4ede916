"""What a recipe learns from: the states that an engine computed, and what they are along other axes of the crystal.

    {state}  →  {operation.state(crystal, state)}          four of each for the paper's magnesium (mmm), exact

The images of a strain have the distribution of strains themselves where that is as symmetric as the crystal, as the
paper's is: five hundred solves are two thousand labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cellfields.crystal import Crystal
from cellfields.equivalence import axis_operations
from cellfields.state import CellState
from cellfields.surrogate.recipe import Recipe


def images_of(
    crystal: Crystal, states: Sequence[CellState], recipe: Recipe, engine_table: Mapping[str, Any] | None
) -> tuple[list[CellState], int]:
    """All images of all states, those of one state together, and how many each has (1: symmetry is not used).

    A mesh that does not share an operation would give the image other numbers, so that operation is left out.
    """
    if not recipe.learns_from_images:
        return list(states), 1
    settings = (engine_table or {}).get("settings", {})
    mesh = settings.get("kmesh") if isinstance(settings, Mapping) else None
    operations = [op for op in axis_operations(crystal) if mesh is None or op.leaves(mesh)]
    return [operation.state(crystal, state) for state in states for operation in operations], len(operations)
