"""The embedded Kohn–Sham engine in plane waves (NumPy and SciPy only, never JAX).

Energy terms live in ``terms/``, the reduced Bloch basis in ``reduced/``.
"""

from cellfields.engines.planewave.continuation import PlaneWaveStart
from cellfields.engines.planewave.odd_modes import OddModes, odd_mode_check
from cellfields.engines.planewave.planewave_engine import PlaneWaveEngine

__all__ = ["OddModes", "PlaneWaveEngine", "PlaneWaveStart", "odd_mode_check"]
