"""The embedded Kohn–Sham engine in plane waves (NumPy and SciPy only, never JAX).

May import the language of the package (crystal, deformation, fields, state, errors). Datasets, surrogates and files
do not belong here; pseudopotential file formats live in ``pseudopotential/``, energy terms in ``terms/``.
"""

from cellfields.planewave.engine import PlaneWaveEngine
from cellfields.planewave.settings import PlaneWaveSettings
from cellfields.planewave.start import PlaneWaveStart

__all__ = ["PlaneWaveEngine", "PlaneWaveSettings", "PlaneWaveStart"]
