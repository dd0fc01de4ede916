"""Routes from a state's fields and atoms to its free energy.

A route takes the plane-wave engine and a state of any engine. Energy terms themselves are in
``engines.planewave.terms``, errors over many strains and figures in ``evaluation``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_PUBLIC = {
    "ROUTES": "cellfields.energetics.routes",
    "RouteEnergy": "cellfields.energetics.trial",
    "TrialDensity": "cellfields.energetics.trial",
    "direct_energy": "cellfields.energetics.routes",
    "energy_routes": "cellfields.energetics.routes",
    "harris_foulkes_energy": "cellfields.energetics.routes",
    "orbital_energy": "cellfields.energetics.routes",
    "scf_energy": "cellfields.energetics.routes",
    "sum_energy": "cellfields.energetics.routes",
}

__all__ = [
    "ROUTES",
    "RouteEnergy",
    "TrialDensity",
    "direct_energy",
    "energy_routes",
    "harris_foulkes_energy",
    "orbital_energy",
    "scf_energy",
    "sum_energy",
]

if TYPE_CHECKING:
    from cellfields.energetics.routes import (
        ROUTES,
        direct_energy,
        energy_routes,
        harris_foulkes_energy,
        orbital_energy,
        scf_energy,
        sum_energy,
    )
    from cellfields.energetics.trial import RouteEnergy, TrialDensity


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cellfields.energetics' has no attribute {name!r}")
