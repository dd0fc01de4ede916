"""Anderson mixing on a linear response, where its behaviour is known."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.engines.planewave.mixing import AndersonMixer

SIZE = 12


@pytest.fixture(scope="module")
def response() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ρ_out = ρ* + J (ρ_in − ρ*) with a response that makes plain iteration diverge; the mean never changes."""
    rng = np.random.default_rng(0)
    jacobian = np.zeros((SIZE, SIZE))
    jacobian[1:, 1:] = 0.3 * rng.normal(size=(SIZE - 1, SIZE - 1)) - 1.5 * np.eye(SIZE - 1)
    return jacobian, rng.normal(size=SIZE), np.concatenate([[0.0], 1 / np.arange(1.0, SIZE)])


def iterate(mixer: AndersonMixer, jacobian: np.ndarray, fixed: np.ndarray, steps: int) -> list[float]:
    density = fixed.copy()
    density[1:] += 1.0
    errors = []
    for _ in range(steps):
        errors.append(float(np.abs(density - fixed).max()))
        density = mixer.mix(density, fixed + jacobian @ (density - fixed))
    return errors


def test_solves_a_linear_problem_in_as_many_steps_as_unknowns(response) -> None:
    jacobian, fixed, inverse_g2 = response
    errors = iterate(AndersonMixer(inverse_g2, memory=SIZE), jacobian, fixed, SIZE + 4)
    assert errors[-1] < 1e-8
    # Without its history the iteration diverges: |1 − α(1 − J)| > 1 for some of the modes at any useful α.
    step = np.eye(SIZE - 1) - 0.8 * (np.eye(SIZE - 1) - jacobian[1:, 1:])
    assert np.abs(np.linalg.eigvals(step)).max() > 1.2


def test_short_memory_still_converges(response) -> None:
    jacobian, fixed, inverse_g2 = response
    assert iterate(AndersonMixer(inverse_g2, memory=4), jacobian, fixed, 60)[-1] < 1e-8


def test_first_step_is_damped_linear_mixing(response) -> None:
    _, _, inverse_g2 = response
    rng = np.random.default_rng(1)
    density_in, density_out = rng.normal(size=(2, SIZE))
    density_out[0] = density_in[0]
    mixed = AndersonMixer(inverse_g2, fraction=0.3).mix(density_in, density_out)
    assert np.allclose(mixed, density_in + 0.3 * (density_out - density_in), rtol=1e-14)


def test_the_electron_number_is_never_touched(response) -> None:
    _, _, inverse_g2 = response
    rng = np.random.default_rng(2)
    mixer = AndersonMixer(inverse_g2)
    density = rng.normal(size=SIZE)
    number = density[0]
    for _ in range(5):
        density = mixer.mix(density, density + rng.normal(size=SIZE))
        assert abs(density[0] - number) < 1e-14


def test_arguments_are_not_changed(response) -> None:
    _, _, inverse_g2 = response
    density_in, density_out = np.ones(SIZE), np.arange(SIZE, dtype=float)
    mixer = AndersonMixer(inverse_g2)
    mixer.mix(density_in, density_out)
    mixer.mix(density_in, density_out)
    assert np.array_equal(density_in, np.ones(SIZE))
    assert np.array_equal(density_out, np.arange(SIZE))
