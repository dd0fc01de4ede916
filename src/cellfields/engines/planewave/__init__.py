"""The embedded Kohn–Sham engine in plane waves (NumPy and SciPy only, never JAX).

May import the language of the package (crystal, deformation, fields, state, errors). Datasets, surrogates and files
do not belong here; pseudopotential file formats live in ``pseudopotential/``, energy terms in ``terms/``.
"""

from cellfields.engines.planewave.continuation import PlaneWaveStart
from cellfields.engines.planewave.odd_modes import OddModes, odd_mode_check
from cellfields.engines.planewave.planewave_engine import PlaneWaveEngine

__all__ = ["OddModes", "PlaneWaveEngine", "PlaneWaveStart", "odd_mode_check"]
