"""A reference crystal, the deformations of its cell, and the structure files that it comes from."""

from cellfields.crystal.crystal import SYMMETRY_TOLERANCE, Crystal, Inversion

__all__ = ["SYMMETRY_TOLERANCE", "Crystal", "Inversion"]
