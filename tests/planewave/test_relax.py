"""The relaxation on surfaces with known minima."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cellfields.errors import RelaxationNotConverged
from cellfields.planewave.relax import relax

Surface = Callable[[np.ndarray], tuple[float, np.ndarray]]


def quadratic(hessian: np.ndarray, minimum: np.ndarray) -> Surface:
    def surface(y: np.ndarray) -> tuple[float, np.ndarray]:
        d = y - minimum
        return 0.5 * float(d @ hessian @ d) - 1.0, hessian @ d

    return surface


def soft() -> tuple[np.ndarray, np.ndarray]:
    """Curvatures of strained hcp Mg: 1e-3 beside 0.05 Ha/Bohr², in rotated directions."""
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return turn @ np.diag([1e-3, 0.03, 0.05]) @ turn.T, np.array([0.1, -0.15, 0.05])


def test_quadratic_with_a_soft_mode_takes_few_solves() -> None:
    hessian, minimum = soft()
    result = relax(quadratic(hessian, minimum), np.zeros(3), tolerance=1e-9, max_steps=40)
    assert np.abs(result.gradient).max() < 1e-9
    assert np.allclose(result.y, minimum, atol=1e-5)  # 1e-9 / 1e-3 along the soft mode
    assert len(result.history) <= 8  # one, three probes, and a few steps inside the trust radius
    assert np.allclose(result.hessian, hessian, atol=1e-6)


def test_known_curvature_saves_the_probes() -> None:
    hessian, minimum = soft()
    cold = relax(quadratic(hessian, minimum), np.zeros(3), tolerance=1e-9, max_steps=40)
    warm = relax(quadratic(hessian, minimum), np.zeros(3), tolerance=1e-9, max_steps=40, hessian=hessian)
    assert len(warm.history) <= len(cold.history) - 3
    assert np.allclose(warm.y, minimum, atol=1e-5)


def test_anharmonic_valley() -> None:
    """Rosenbrock's function in units of this problem: a bent valley that a fixed curvature does not describe."""

    def surface(y: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = 0.3 - y[0], y[1] - 2 * y[0] ** 2
        return 0.01 * (a**2 + 20 * b**2), 0.01 * np.array([-2 * a - 160 * y[0] * b, 40 * b])

    result = relax(surface, np.array([-0.4, 0.5]), tolerance=1e-8, max_steps=60)
    assert np.allclose(result.y, [0.3, 0.18], atol=1e-5)
    assert result.history[-1]["free_energy"] < 1e-12


def test_negative_curvature_leads_downhill() -> None:
    """A double well, started beside its saddle: 0.01 (y⁴/4 − y²/2) has its minima at ±1."""

    def surface(y: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.01 * float(y[0] ** 4 / 4 - y[0] ** 2 / 2), 0.01 * (y**3 - y)

    for start, minimum in ((0.05, 1.0), (-0.05, -1.0)):
        result = relax(surface, np.array([start]), tolerance=1e-8, max_steps=40)
        assert abs(result.y[0] - minimum) < 1e-5


def test_many_coordinates_without_probing() -> None:
    rng = np.random.default_rng(3)
    root = rng.normal(size=(9, 9))
    hessian = 0.01 * (root @ root.T / 9 + np.eye(9))
    minimum = 0.1 * rng.normal(size=9)
    result = relax(quadratic(hessian, minimum), np.zeros(9), tolerance=1e-8, max_steps=60)
    assert np.allclose(result.y, minimum, atol=1e-5)
    assert len(result.history) < 40


def test_nothing_to_relax() -> None:
    result = relax(lambda y: (-2.0, np.zeros(0)), np.zeros(0), tolerance=1e-7, max_steps=5)
    assert len(result.history) == 1
    assert result.history[0] == {"free_energy": -2.0, "gradient": 0.0}
    assert result.hessian is None


def test_a_converged_start_is_returned_at_once() -> None:
    hessian, minimum = soft()
    result = relax(quadratic(hessian, minimum), minimum, tolerance=1e-9, max_steps=1)
    assert np.array_equal(result.y, minimum)
    assert len(result.history) == 1


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_too_few_solves_are_a_typed_error_with_the_history(steps: int) -> None:
    hessian, minimum = soft()
    with pytest.raises(RelaxationNotConverged, match=rf"after {steps} solves, wanted 1\.0e-09") as caught:
        relax(quadratic(hessian, minimum), np.zeros(3), tolerance=1e-9, max_steps=steps)
    assert len(caught.value.history) == steps
    assert set(caught.value.history[0]) == {"free_energy", "gradient"}


def test_no_step_is_longer_than_the_trust_radius() -> None:
    """Half a Bohr: a far minimum is approached, not jumped at."""
    visited: list[float] = []

    def surface(y: np.ndarray) -> tuple[float, np.ndarray]:
        visited.append(float(y[0]))
        return 0.005 * float((y[0] - 3) ** 2), 0.01 * (y - 3)

    result = relax(surface, np.zeros(1), tolerance=1e-8, max_steps=40)
    assert abs(result.y[0] - 3) < 1e-5
    assert np.abs(np.diff(visited)).max() <= 0.5 + 1e-12
