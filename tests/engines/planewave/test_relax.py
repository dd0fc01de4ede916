"""The relaxation on surfaces with known minima."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cellfields.engines.planewave.relax import next_trust, promised_decrease, relax
from cellfields.errors import RelaxationNotConverged

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


def test_the_promise_is_that_of_the_model_which_proposed_the_step() -> None:
    """k = 0.075 from −0.14 with a guess of 5e-3: promised −2.47e-3, arrived −2.8e-4, and the radius does not grow."""
    k, y, guess, step = 0.075, -0.14, np.array([[5e-3]]), np.array([0.25])
    promised = promised_decrease(guess, np.array([k * y]), step)
    arrived = 0.5 * k * ((y + step[0]) ** 2 - y**2)
    assert promised == pytest.approx(-2.469e-3, abs=1e-6)
    assert arrived == pytest.approx(-2.8e-4, abs=2e-5)
    assert next_trust(0.25, 0.25, promised, arrived) == 0.125
    assert next_trust(0.25, 0.25, promised, 0.6 * promised) == 0.5
    assert next_trust(0.25, 0.25, promised, 0.4 * promised) == 0.25
    assert next_trust(0.25, 0.1, promised, promised) == 0.25  # the radius was not in the way
    assert next_trust(0.25, 0.1, -1e-9, 1e-9) == 0.25  # noise


def test_a_model_that_promised_too_much_is_trusted_less() -> None:
    """The first step is as long as the radius and brings a tenth of the promise; the second must be a shorter one."""
    hessian, minimum = np.diag([0.075, 1e-3]), np.array([0.0, 2.0])
    visited: list[np.ndarray] = []

    def surface(y: np.ndarray) -> tuple[float, np.ndarray]:
        visited.append(y)
        return quadratic(hessian, minimum)(y)

    result = relax(surface, np.array([-0.14, 0.0]), tolerance=1e-8, max_steps=40, hessian=5e-3 * np.eye(2))
    lengths = np.linalg.norm(np.diff(visited, axis=0), axis=1)
    assert lengths[0] == pytest.approx(0.25)
    assert lengths[1] <= 0.125 + 1e-12
    assert np.allclose(result.y, minimum, atol=2e-5)


def test_random_surfaces_take_few_solves() -> None:
    """Quadratic and quartic ones of 1 to 9 coordinates, with and without a guess; mean and worst number of solves."""
    rng = np.random.default_rng(0)
    counts = []
    for case in range(120):
        n = int(rng.integers(1, 10))
        turn, _ = np.linalg.qr(rng.normal(size=(n, n)))
        hessian = turn @ np.diag(10 ** rng.uniform(-3, -0.7, n)) @ turn.T
        minimum, quartic = 0.2 * rng.normal(size=n), 0.02 * (case % 2) * np.abs(rng.normal(size=n))

        def surface(
            y: np.ndarray, h: np.ndarray = hessian, m: np.ndarray = minimum, q: np.ndarray = quartic
        ) -> tuple[float, np.ndarray]:
            d = y - m
            return 0.5 * float(d @ h @ d) + float(q @ d**4) / 4, h @ d + q * d**3

        guess = 0.05 * np.eye(n) if case % 3 == 0 else None
        result = relax(surface, np.zeros(n), tolerance=1e-7, max_steps=60, hessian=guess)
        assert np.abs(hessian @ (result.y - minimum) + quartic * (result.y - minimum) ** 3).max() < 1e-7
        counts.append(len(result.history))
    assert np.mean(counts) < 17
    assert max(counts) <= 45


def test_a_molecule_keeps_the_axis_that_symmetry_gives_it() -> None:
    """A bond along z, F = ½ k (|d| − d₀)² − c z²/d²: a step across it also makes it longer, and must not tilt it."""
    k, d0, c = 1.0, 1.45, 1e-4

    def surface(y: np.ndarray) -> tuple[float, np.ndarray]:
        bond = np.array([0.0, 0.0, 1.6]) + 2 * y
        d = float(np.linalg.norm(bond))
        turned = bond[2] ** 2 / d**2
        slope = k * (d - d0) * bond / d + c * (2 * bond[2] * np.eye(3)[2] / d**2 - 2 * bond[2] ** 2 * bond / d**4)
        return 0.5 * k * (d - d0) ** 2 + c * turned, 2 * slope

    result = relax(surface, np.zeros(3), tolerance=1e-7, max_steps=40)
    assert np.abs(result.y[:2]).max() < 1e-9
    assert 1.6 + 2 * result.y[2] == pytest.approx(d0, abs=1e-6)
    assert len(result.history) <= 10
