"""Energy of the ions' finite size: E_core = N V⁻¹ Σ_a α_a ,  α = lim_{q→0} v_loc(q) + 4πZ/q² (paper, Appendix A)."""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.engines.planewave.geometry import Geometry


def energy(geometry: Geometry, electrons: float) -> float:
    """E_core, Hartree per primitive cell."""
    average = sum(geometry.pseudopotentials[s].local_average() for s in geometry.species)
    return float(electrons * average / geometry.volume)


def stress(geometry: Geometry, electrons: float) -> FloatArray:
    """Strain derivative ∂E_core/∂η = −δ E_core (3, 3), Hartree."""
    return -np.eye(3) * energy(geometry, electrons)
