"""Anderson mixing of the density (D. G. Anderson, J. ACM 12, 547 (1965)), with the Coulomb metric.

    ρ_next = ρ + αf − Σ_j c_j (Δρ_j + αΔf_j),   f = ρ_out − ρ_in,   c minimises ‖f − Σ c_j Δf_j‖ ,  ‖f‖² = Σ |f(G)|²/G²

Δ are differences between consecutive steps. They describe the dielectric response, which depends little on k mesh and
basis, so they stay useful when either is refined.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import as_reals


class AndersonMixer:
    """Anderson mixer of a density, with the history of its steps."""

    def __init__(self, inverse_g2: FloatArray, *, fraction: float = 0.8, memory: int = 8) -> None:
        """A mixer without history.

        Args:
            inverse_g2: (D,) 1/G², with 0 at G = 0.
            fraction: α.
            memory: number of differences kept.
        """
        self._weight = np.sqrt(inverse_g2)
        self._fraction = fraction
        self._memory = memory
        self._last: tuple[Coefficients, Coefficients] | None = None
        self._d_inputs: list[Coefficients] = []
        self._d_residuals: list[Coefficients] = []

    def mix(self, density_in: Coefficients, density_out: Coefficients) -> Coefficients:
        """Next input density (D,) from one and its output density (D,); the coefficient of G = 0 does not change."""
        residual = density_out - density_in
        residual[0] = 0.0
        if self._last is not None:
            self._d_inputs = [*self._d_inputs, density_in - self._last[0]][-self._memory :]
            self._d_residuals = [*self._d_residuals, residual - self._last[1]][-self._memory :]
        self._last = (density_in, residual)
        step = self._fraction * residual
        if not self._d_inputs:
            return density_in + step
        d_input, d_residual = np.array(self._d_inputs), np.array(self._d_residuals)
        system, target = as_reals(d_residual * self._weight), as_reals(residual * self._weight)
        coefficients = np.linalg.lstsq(system.T, target, rcond=1e-10)[0]
        return np.asarray(density_in + step - coefficients @ (d_input + self._fraction * d_residual))

    def for_next_problem(self, inverse_g2: FloatArray) -> AndersonMixer:
        """A mixer with this one's history of differences, for other atom positions or another strain."""
        successor = AndersonMixer(inverse_g2, fraction=self._fraction, memory=self._memory)
        successor._d_inputs, successor._d_residuals = list(self._d_inputs), list(self._d_residuals)
        return successor

    def change_problem(self) -> None:
        """Keep the differences but not the last step, as the next residual belongs to another mesh or basis."""
        self._last = None
