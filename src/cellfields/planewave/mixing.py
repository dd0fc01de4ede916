"""Anderson mixing of the density (D. G. Anderson, J. ACM 12, 547 (1965)), with the Coulomb metric.

ρ_next = ρ + αf − Σ_j c_j (Δρ_j + αΔf_j),   f = ρ_out − ρ_in,   c minimises ‖f − Σ c_j Δf_j‖ ,  ‖f‖² = Σ |f(G)|²/G²
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray


class AndersonMixer:
    """Keeps the history of one self-consistency cycle."""

    def __init__(self, inverse_g2: FloatArray, *, fraction: float = 0.8, memory: int = 8) -> None:
        """``inverse_g2`` (D,) with 0 at G = 0; ``fraction`` is α; ``memory`` the number of earlier steps used."""
        self._weight = np.sqrt(inverse_g2)
        self._fraction = fraction
        self._memory = memory
        self._inputs: list[FloatArray] = []
        self._residuals: list[FloatArray] = []

    def mix(self, density_in: FloatArray, density_out: FloatArray) -> FloatArray:
        """Next input density (D,); the electron number (G = 0) is never touched."""
        residual = density_out - density_in
        residual[0] = 0.0
        self._inputs = [*self._inputs, density_in][-self._memory :]
        self._residuals = [*self._residuals, residual][-self._memory :]
        step = self._fraction * residual
        if len(self._inputs) == 1:
            return density_in + step
        d_input = np.array([density_in - x for x in self._inputs[:-1]])
        d_residual = np.array([residual - f for f in self._residuals[:-1]])
        coefficients = np.linalg.lstsq((d_residual * self._weight).T, residual * self._weight, rcond=1e-10)[0]
        return np.asarray(density_in + step - coefficients @ (d_input + self._fraction * d_residual))
