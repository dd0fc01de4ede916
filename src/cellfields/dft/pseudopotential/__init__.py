"""Norm-conserving separable pseudopotentials: radial functions in reciprocal space, and a module for each file format.

A pseudopotential describes one ion. Structure factors, cells and k points belong to the engines.
"""

from cellfields.dft.pseudopotential._base import Channel, Pseudopotential
from cellfields.dft.pseudopotential.core_charge import CoreCharge
from cellfields.dft.pseudopotential.gth import GTHPseudopotential
from cellfields.dft.pseudopotential.loading import load_pseudopotential, load_pseudopotentials
from cellfields.dft.pseudopotential.suggested_cutoff import suggested_cutoff
from cellfields.dft.pseudopotential.table import builtin_elements, builtin_pseudopotential

__all__ = [
    "Channel",
    "CoreCharge",
    "GTHPseudopotential",
    "Pseudopotential",
    "builtin_elements",
    "builtin_pseudopotential",
    "load_pseudopotential",
    "load_pseudopotentials",
    "suggested_cutoff",
]
