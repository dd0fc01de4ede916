"""Exchange and correlation: one file for each functional, and ``term`` for what they have in common.

A functional maps n and |∇n|² on grid points to energy densities and their derivatives; ``term`` makes energy, potential
and stress of them. Ions enter through their core density alone.
"""

from cellfields.engines.planewave.terms.xc.lda import perdew_wang
from cellfields.engines.planewave.terms.xc.pbe import perdew_burke_ernzerhof
from cellfields.engines.planewave.terms.xc.term import energy_and_potential, grid_potential, stress

__all__ = ["energy_and_potential", "grid_potential", "perdew_burke_ernzerhof", "perdew_wang", "stress"]
