"""Model core densities: Teter's function against its definition, tables against the function they came from."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.dft.pseudopotential import CoreCharge
from tests.engines.planewave.problems import four_point


def test_teters_function() -> None:
    """[sin 2πx / (2πx (1 − 4x²)(1 − x²))]² away from the zeros of its denominator, and its limits there.

    At x = ½ and 1 the limits are 4/9 and 1/36.
    """
    core = CoreCharge.teter(0.7, 1.3)
    assert core.radius == pytest.approx(3.9)
    x = np.array([0.1, 0.3, 0.47, 0.7, 1.2, 1.77, 2.6])
    expected = (np.sin(2 * np.pi * x) / (2 * np.pi * x * (1 - 4 * x**2) * (1 - x**2))) ** 2
    assert np.allclose(core(1.3 * x), 0.7 * expected, atol=1e-11)
    assert np.allclose(core(1.3 * np.array([0, 0.5, 1, 3])), 0.7 * np.array([1, 4 / 9, 1 / 36, 0]), atol=1e-11)


def test_slope_is_the_derivative() -> None:
    core = CoreCharge.teter(0.7, 1.3)
    for r in (0.2, 0.9, 1.7, 3.3):
        numeric = four_point(lambda t, r=r: float(core(np.array(r + t))), 1e-4)
        assert abs(float(core.slope(np.array(r))) - numeric) < 1e-9
    assert core.slope(np.array(0.0)) == 0


def test_a_table_is_interpolated() -> None:
    """exp(−r²) on a logarithmic mesh that begins at 1e-5, as UPF files have."""
    r = 1e-5 * np.exp(0.025 * np.arange(530))
    core = CoreCharge.from_table(r, np.exp(-(r**2)), 3.0)
    at = np.linspace(0, 3, 77)
    assert np.allclose(core(at), np.exp(-(at**2)), atol=1e-7)
    assert np.allclose(core.slope(at), -2 * at * np.exp(-(at**2)), atol=1e-5)


@pytest.mark.parametrize(("r", "radius"), [([0, 1, 2], 3), ([0, 1, 2], 0), ([0, 2, 1], 1)])
def test_bad_tables_are_refused(r: list[float], radius: float) -> None:
    with pytest.raises(ValueError):
        CoreCharge.from_table(np.array(r, dtype=float), np.ones(3), radius)
