"""Deformation in, electronic fields out: how the electronic structure of a crystal answers to strain.

The public names are resolved on first use, so that importing the package (and ``cellfields --help``) stays light and
engine workers never import JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

_PUBLIC = {
    "AbinitEngine": "cellfields.engines.abinit",
    "AbinitOptions": "cellfields.engines.abinit",
    "Crystal": "cellfields.crystal",
    "Deformation": "cellfields.crystal.deformation",
    "sample_deformations": "cellfields.crystal.deformation",
    "ElectronicFields": "cellfields.state.fields",
    "FourierBasis": "cellfields.state.fields",
    "CellState": "cellfields.state",
    "Engine": "cellfields.engines.contract",
    "FirstPrinciplesEngine": "cellfields.engines.contract",
    "PlaneWaveEngine": "cellfields.engines.planewave",
    "PlaneWaveSettings": "cellfields.dft.settings",
    "Surrogate": "cellfields.surrogate",
    "DatasetStore": "cellfields.dataset",
    "DensityStart": "cellfields.state.density_start",
    "energy_routes": "cellfields.energetics",
    "ConstitutiveLaw": "cellfields.mechanics",
    "elastic_constants": "cellfields.mechanics",
    "uniaxial_test": "cellfields.mechanics",
    "CellFieldsCalculator": "cellfields.export",
    "CellFieldsError": "cellfields.errors",
    "InputError": "cellfields.errors",
    "ConvergenceError": "cellfields.errors",
}

__all__ = [
    "AbinitEngine",
    "AbinitOptions",
    "CellFieldsCalculator",
    "CellFieldsError",
    "CellState",
    "ConstitutiveLaw",
    "ConvergenceError",
    "Crystal",
    "DatasetStore",
    "Deformation",
    "DensityStart",
    "ElectronicFields",
    "Engine",
    "FirstPrinciplesEngine",
    "FourierBasis",
    "InputError",
    "PlaneWaveEngine",
    "PlaneWaveSettings",
    "Surrogate",
    "__version__",
    "elastic_constants",
    "energy_routes",
    "sample_deformations",
    "uniaxial_test",
]

if TYPE_CHECKING:
    from cellfields.crystal import Crystal
    from cellfields.crystal.deformation import Deformation, sample_deformations
    from cellfields.dataset import DatasetStore
    from cellfields.dft.settings import PlaneWaveSettings
    from cellfields.energetics import energy_routes
    from cellfields.engines.abinit import AbinitEngine, AbinitOptions
    from cellfields.engines.contract import Engine, FirstPrinciplesEngine
    from cellfields.engines.planewave import PlaneWaveEngine
    from cellfields.errors import CellFieldsError, ConvergenceError, InputError
    from cellfields.export import CellFieldsCalculator
    from cellfields.mechanics import ConstitutiveLaw, elastic_constants, uniaxial_test
    from cellfields.state import CellState
    from cellfields.state.density_start import DensityStart
    from cellfields.state.fields import ElectronicFields, FourierBasis
    from cellfields.surrogate import Surrogate


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'cellfields' has no attribute {name!r}")
