"""Radial functions given as tables: their spherical Bessel transforms, interpolated in x = q².

f(q)/q^l = 4π ∫ r² [j_l(qr)/q^l] f(r) dr        is analytic in q², so is its spline; the slope (1/q) d/dq = 2 d/dx
of the transform is the exact derivative of the interpolant, which keeps energies and stresses consistent.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import spherical_jn

from cellfields._typing import FloatArray

_STEP = 0.02  # spacing in x = q², 1/Bohr²
_FIRST_REACH = 120.0  # x that a table holds at first; it doubles on demand


class SquareSpline:
    """A smooth function of q², splined on a uniform grid that grows with the largest q at which it is evaluated."""

    def __init__(self, function: Callable[[FloatArray], FloatArray]) -> None:
        """Prepare a spline.

        Args:
            function: q > 0 (n,) → values (n,); it is called for the table only.
        """
        self._function = function
        self._coefficients = np.empty((4, 0))

    def __call__(self, q: FloatArray) -> FloatArray:
        """Values at q (…), 1/Bohr."""
        cell, t = self._locate(q)
        c = self._coefficients
        return np.asarray(((c[0, cell] * t + c[1, cell]) * t + c[2, cell]) * t + c[3, cell])

    def slope(self, q: FloatArray) -> FloatArray:
        """Derivatives (1/q) d/dq = 2 d/dx at q (…), 1/Bohr."""
        cell, t = self._locate(q)
        c = self._coefficients
        return np.asarray(2 * ((3 * c[0, cell] * t + 2 * c[1, cell]) * t + c[2, cell]))

    def _locate(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        x = np.asarray(q, dtype=float) ** 2
        reach = float(x.max(initial=0.0))
        if reach >= _STEP * self._coefficients.shape[1]:
            self._build(max(_FIRST_REACH, 2 * reach))
        cell = (x / _STEP).astype(np.int64)
        return cell, x - _STEP * cell  # type: ignore[return-value]

    def _build(self, reach: float) -> None:
        x = _STEP * np.arange(int(reach / _STEP) + 2)
        q = np.sqrt(x)
        q[0] = 1e-6  # the limit: the function is even and smooth
        self._coefficients = np.ascontiguousarray(CubicSpline(x, self._function(q)).c)

    def __getstate__(self) -> dict[str, object]:
        return {"_function": self._function, "_coefficients": np.empty((4, 0))}


def gregory_weights(points: int) -> FloatArray:
    """Weights (n,) of ∫ f di ≈ Σ w_i f_i on a uniform index: the trapezoidal rule with five corrected ends.

    Exact for polynomials of degree 5. With dr/di it integrates over any smooth mesh.

    Raises:
        ValueError: fewer than ten points.
    """
    if points < 10:
        raise ValueError
    weights = np.ones(points)
    ends = np.array([475.0, 1902.0, 1104.0, 1586.0, 1413.0]) / 1440
    weights[:5] = ends
    weights[-5:] = ends[::-1]
    return weights


def bessel_transform(l: int, r: FloatArray, weighted: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """The spherical Bessel transform q ↦ 4π Σ_r j_l(qr)/q^l · weighted(r) of a radial function f.

    Args:
        l: angular momentum.
        r: mesh (n,), Bohr.
        weighted: r² f(r) dr (n,).
    """
    return _BesselTransform(l, r, weighted)


class _BesselTransform:
    """The transform as a callable that can be pickled."""

    def __init__(self, l: int, r: FloatArray, weighted: FloatArray) -> None:
        used = np.flatnonzero(weighted)
        last = int(used[-1]) + 1 if len(used) else 1
        self._l, self._r, self._weighted = l, r[:last], weighted[:last]

    def __call__(self, q: FloatArray) -> FloatArray:
        result = np.empty(len(q))
        for start in range(0, len(q), 512):
            part = q[start : start + 512, None]
            argument = part * self._r
            small = argument < 1e-2
            series = self._r**self._l / _double_factorial(2 * self._l + 1)
            series = series * (1 - argument**2 / (2 * (2 * self._l + 3)))
            exact = spherical_jn(self._l, np.where(small, 1.0, argument)) / part**self._l
            result[start : start + 512] = np.where(small, series, exact) @ self._weighted
        return 4 * np.pi * result


def _double_factorial(odd: int) -> float:
    half = (odd - 1) // 2
    return float(factorial(odd) / (2**half * factorial(half)))
