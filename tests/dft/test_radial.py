"""Quadrature on radial meshes and the splines that carry transforms."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.dft.pseudopotential.radial import SquareSpline, bessel_transform, gregory_weights


@pytest.mark.parametrize("points", [10, 11, 40])
@pytest.mark.parametrize("degree", range(6))
def test_gregory_weights_are_exact_for_polynomials(points: int, degree: int) -> None:
    x = np.arange(points, dtype=float)
    exact = (points - 1) ** (degree + 1) / (degree + 1)
    assert np.isclose(gregory_weights(points) @ x**degree, exact, rtol=1e-12)


def test_gregory_weights_need_both_ends() -> None:
    with pytest.raises(ValueError):
        gregory_weights(9)


@pytest.mark.parametrize("l", range(4))
def test_transform_of_a_gaussian(l: int) -> None:
    """4π ∫ r^{l+2} j_l(qr) e^{−r²/2} dr = 4π √(π/2) q^l e^{−q²/2}, divided by q^l."""
    r = 0.01 * np.arange(1201)
    weighted = r ** (l + 2) * np.exp(-(r**2) / 2) * gregory_weights(len(r)) * 0.01
    spline = SquareSpline(bessel_transform(l, r, weighted))
    q = np.array([0.0, 0.03, 0.7, 2.0, 5.0, 12.0])  # the last is beyond the first table
    exact = 4 * np.pi * np.sqrt(np.pi / 2) * np.exp(-(q**2) / 2)
    assert np.allclose(spline(q), exact, atol=2e-8)
    assert np.allclose(spline.slope(q), -exact, atol=1e-5)
