"""Deformation in, electronic fields out: how the electronic structure of a crystal answers to strain.

The public names are resolved on first use, so that importing the package (and ``cellfields --help``) stays light and
engine workers never import JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

_PUBLIC = {
    "Crystal": "cellfields.crystal",
    "Deformation": "cellfields.deformation",
    "sample_deformations": "cellfields.deformation",
    "ElectronicFields": "cellfields.fields",
    "FourierBasis": "cellfields.fields",
    "CellState": "cellfields.state",
    "Engine": "cellfields.state",
    "FirstPrinciplesEngine": "cellfields.state",
    "PlaneWaveEngine": "cellfields.planewave",
    "PlaneWaveSettings": "cellfields.planewave",
    "Surrogate": "cellfields.surrogate",
    "DatasetStore": "cellfields.dataset",
    "CellFieldsError": "cellfields.errors",
    "InputError": "cellfields.errors",
    "ConvergenceError": "cellfields.errors",
}

__all__ = [
    "CellFieldsError",
    "CellState",
    "ConvergenceError",
    "Crystal",
    "DatasetStore",
    "Deformation",
    "ElectronicFields",
    "Engine",
    "FirstPrinciplesEngine",
    "FourierBasis",
    "InputError",
    "PlaneWaveEngine",
    "PlaneWaveSettings",
    "Surrogate",
    "__version__",
    "sample_deformations",
]

if TYPE_CHECKING:
    from cellfields.crystal import Crystal
    from cellfields.dataset import DatasetStore
    from cellfields.deformation import Deformation, sample_deformations
    from cellfields.errors import CellFieldsError, ConvergenceError, InputError
    from cellfields.fields import ElectronicFields, FourierBasis
    from cellfields.planewave import PlaneWaveEngine, PlaneWaveSettings
    from cellfields.state import CellState, Engine, FirstPrinciplesEngine
    from cellfields.surrogate import Surrogate


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cellfields' has no attribute {name!r}")
