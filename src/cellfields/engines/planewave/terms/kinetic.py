"""Kinetic energy:  T = Σ_{nk} w f Σ_G t(E) |c_{nk}(G)|² ,   E = ½|k+G|².

Without smoothing t(E) = E on the sphere E < E_cut, and plane waves come and go at its surface as the cell deforms: F
jumps. With a smoothing width E_s the kinetic energy rises to infinity at the surface, so that they fade in and out:

    t(E) = E                                                       E ≤ E_cut − E_s
    t(E) = E / [x² (3 + x − 6x² + 3x³)] ,   x = (E_cut − E)/E_s    E_cut − E_s < E < E_cut

with two continuous derivatives where the two meet. This is ABINIT's ``ecutsm`` (Bernasconi et al., J. Phys. Chem.
Solids 56, 501 (1995) have the idea), so that both codes can be compared at equal widths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import squares

_NEAREST = 5e-3  # x of the outermost plane waves: t/E = 13,000 there, and what lies beyond has no weight


@dataclass(frozen=True)
class KineticEnergy:
    """t(E) of a plane wave with E = ½|k+G|².

    Attributes:
        cutoff: E_cut, Hartree.
        smoothing: E_s, Hartree; 0 leaves t(E) = E.
    """

    cutoff: float = np.inf
    smoothing: float = 0.0

    @property
    def largest(self) -> float:
        """Hartree; plane waves of this E and beyond are left out."""
        return self.cutoff - _NEAREST * self.smoothing

    def values(self, energies: FloatArray) -> FloatArray:
        """t(E), Hartree, for E (…) below :attr:`largest`."""
        return energies * self._factor(energies)[0]

    def slopes(self, energies: FloatArray) -> FloatArray:
        """dt/dE for E (…) below :attr:`largest`."""
        factor, slope = self._factor(energies)
        return factor + energies * slope

    def _factor(self, energies: FloatArray) -> tuple[FloatArray, FloatArray]:
        """t/E and its derivative with respect to E."""
        if self.smoothing == 0:
            return np.ones_like(energies), np.zeros_like(energies)
        x = np.minimum((self.cutoff - energies) / self.smoothing, 1.0)
        denominator = x**2 * (3 + x - 6 * x**2 + 3 * x**3)
        slope = x * (6 + 3 * x - 24 * x**2 + 15 * x**3)
        return 1 / denominator, slope / (self.smoothing * denominator**2)


def energy(kinetic: FloatArray, vectors: Coefficients, weights: FloatArray) -> float:
    """Contribution of one k point: t(E) (P,), coefficients (P, n), occupation weights (n,)."""
    return float(kinetic @ (squares(vectors) @ weights))


def stress(q: FloatArray, slopes: FloatArray, vectors: Coefficients, weights: FloatArray) -> FloatArray:
    """∂T/∂η (3, 3) of one k point:  −Σ w f |c|² t'(E) (k+G)(k+G), with q = k + G (P, 3) and t'(E) (P,)."""
    return np.asarray(-(q * (slopes * (squares(vectors) @ weights))[:, None]).T @ q)
