"""Norm-conserving separable pseudopotentials: their radial functions in reciprocal space, one file format a module.

May import the language of the package (errors, typing) and nothing else. Structure factors, cells and k points do not
belong here: a pseudopotential knows one ion.
"""

from cellfields.planewave.pseudopotential._base import Channel, Pseudopotential
from cellfields.planewave.pseudopotential.core_charge import CoreCharge
from cellfields.planewave.pseudopotential.gth import GTHPseudopotential
from cellfields.planewave.pseudopotential.loading import load_pseudopotential
from cellfields.planewave.pseudopotential.suggested_cutoff import suggested_cutoff
from cellfields.planewave.pseudopotential.table import builtin_elements, builtin_pseudopotential

__all__ = [
    "Channel",
    "CoreCharge",
    "GTHPseudopotential",
    "Pseudopotential",
    "builtin_elements",
    "builtin_pseudopotential",
    "load_pseudopotential",
    "suggested_cutoff",
]
