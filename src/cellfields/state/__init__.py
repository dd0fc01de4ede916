"""What is known of one deformed cell: numbers, atoms and fields, and the images of it under symmetry."""

from cellfields.state.cell_state import UNITS, CellState

__all__ = ["UNITS", "CellState"]
