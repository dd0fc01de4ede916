"""Model core densities ρ_c(r), which the non-linear core correction adds to the valence density in E_xc.

    E_xc[ρ + Σ_a ρ_c(|r − τ_a|)]         S. G. Louie, S. Froyen, M. L. Cohen, Phys. Rev. B 26, 1738 (1982)

They are zero beyond a radius, the same as in ABINIT. They are cubic splines, whose derivatives are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from cellfields._typing import FloatArray

_TETER_POINTS = 2501
_LEAST = 1e-2  # Bohr: tabulated points closer to the nucleus would only bring the noise of their last digits


@dataclass(frozen=True, eq=False)
class CoreCharge:
    """A spherical density, electrons/Bohr³.

    Attributes:
        radius: beyond which it is zero, Bohr.
        spline: ρ_c(r) for 0 ≤ r ≤ radius.
    """

    radius: float
    spline: CubicSpline

    @classmethod
    def from_table(cls, r: FloatArray, values: FloatArray, radius: float) -> CoreCharge:
        """A core density from a table, made even at r = 0.

        Args:
            r: mesh (n,), rising, Bohr.
            values: ρ_c (n,), electrons/Bohr³.
            radius: beyond which it is zero, Bohr.

        Raises:
            ValueError: the radius is outside the table, or the mesh does not rise.
        """
        if not (0 < radius <= r[-1]) or not (np.diff(r) > 0).all():
            raise ValueError
        outer = r > _LEAST
        inner = values[r <= _LEAST]
        first = inner[0] if len(inner) else values[0]
        nodes, table = np.concatenate([[0.0], r[outer]]), np.concatenate([[first], values[outer]])
        return cls(radius, CubicSpline(nodes, table, bc_type=("clamped", "not-a-knot")))

    @classmethod
    def teter(cls, magnitude: float, scale: float) -> CoreCharge:
        """Teter's ρ_c = magnitude · g(r/scale), zero beyond 3 scale (ABINIT's formats 1 and 5: ``fchrg``, ``rchrg``).

            g(x) = [sin 2πx / (2πx (1 − 4x²)(1 − x²))]²

        In partial fractions the root of g is a sum of five sinc functions, without the zeros of the denominator.
        """
        x = np.linspace(0, 3, _TETER_POINTS)
        root = (
            np.sinc(2 * x)
            + 2 / 3 * (np.sinc(2 * x - 1) + np.sinc(2 * x + 1))
            + 1 / 6 * (np.sinc(2 * x - 2) + np.sinc(2 * x + 2))
        )
        return cls(3 * scale, CubicSpline(scale * x, magnitude * root**2, bc_type="clamped"))

    def __call__(self, r: FloatArray) -> FloatArray:
        """Core density ρ_c(r) at r ≤ radius (…), electrons/Bohr³."""
        return np.asarray(self.spline(r))

    def slope(self, r: FloatArray) -> FloatArray:
        """Derivative dρ_c/dr at r ≤ radius (…), electrons/Bohr⁴."""
        return np.asarray(self.spline(r, 1))
