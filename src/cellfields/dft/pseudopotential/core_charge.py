"""Model core densities ρ_c(r): what the non-linear core correction adds to the valence density in E_xc.

    E_xc[ρ + Σ_a ρ_c(|r − τ_a|)]         S. G. Louie, S. Froyen, M. L. Cohen, Phys. Rev. B 26, 1738 (1982)

They end at a radius beyond which ABINIT has none either; a cubic spline carries them, and its slope is exact.
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
        radius: where it ends, Bohr.
        spline: ρ_c of r for 0 ≤ r ≤ radius.
    """

    radius: float
    spline: CubicSpline

    @classmethod
    def from_table(cls, r: FloatArray, values: FloatArray, radius: float) -> CoreCharge:
        """Through values (n,) at increasing r (n,), even at r = 0.

        Raises:
            ValueError: the radius is not inside the table.
        """
        if not (0 < radius <= r[-1]) or not (np.diff(r) > 0).all():
            raise ValueError
        kept = r > _LEAST
        inner = values[r <= _LEAST]
        first = inner[0] if len(inner) else values[0]
        nodes, table = np.concatenate([[0.0], r[kept]]), np.concatenate([[first], values[kept]])
        return cls(radius, CubicSpline(nodes, table, bc_type=("clamped", "not-a-knot")))

    @classmethod
    def teter(cls, magnitude: float, scale: float) -> CoreCharge:
        """ρ_c = magnitude · g(r/scale), which ends at 3 scale (ABINIT's formats 1 and 5: ``fchrg``, ``rchrg``).

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
        """ρ_c(r) for r ≤ radius."""
        return np.asarray(self.spline(r))

    def slope(self, r: FloatArray) -> FloatArray:
        """dρ_c/dr for r ≤ radius."""
        return np.asarray(self.spline(r, 1))
