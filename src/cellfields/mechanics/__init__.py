"""Derived mechanics of any engine: stress, uniaxial tests, instability, elastic constants, a constitutive law.

Figures are drawn in ``evaluation``, and adapters of an engine to other programs are in ``export``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cellfields.mechanics.elasticity import ElasticConstants, elastic_constants, third_order_constants
from cellfields.mechanics.equilibrium import stress_free
from cellfields.mechanics.stability import Instability, find_instability, tangent_stiffness
from cellfields.mechanics.stress_consistency import StressConsistency, stress_consistency
from cellfields.mechanics.stress_measures import Stress, small_strain_stress
from cellfields.mechanics.uniaxial_path import UniaxialCurve, UniaxialPoint, UniaxialTable, uniaxial_test

__all__ = [
    "ConstitutiveLaw",
    "ElasticConstants",
    "Instability",
    "Stress",
    "StressConsistency",
    "UniaxialCurve",
    "UniaxialPoint",
    "UniaxialTable",
    "elastic_constants",
    "find_instability",
    "small_strain_stress",
    "stress_consistency",
    "stress_free",
    "tangent_stiffness",
    "third_order_constants",
    "uniaxial_test",
]

if TYPE_CHECKING:
    from cellfields.mechanics.constitutive import ConstitutiveLaw


def __getattr__(name: str) -> object:
    # First-principles curves need no JAX: it is loaded with the first constitutive law.
    if name == "ConstitutiveLaw":
        return import_module("cellfields.mechanics.constitutive").ConstitutiveLaw
    raise AttributeError(f"module 'cellfields.mechanics' has no attribute {name!r}")
