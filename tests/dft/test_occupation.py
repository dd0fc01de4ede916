"""Smearing functions and the Fermi energy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from cellfields.dft.occupation import COLD_KAPPA, SMEARINGS, ColdSmearing, occupy
from cellfields.errors import InputError
from tests.engines.planewave.problems import four_point

X = np.linspace(-5, 5, 41)


def delta(name: str, x: np.ndarray) -> np.ndarray:
    """The broadened δ functions, from their definitions."""
    if name == "cold":
        k = COLD_KAPPA
        return np.exp(-(x**2)) / np.sqrt(np.pi) * (1.5 - 1.5 * k * x - x**2 + k * x**3)
    if name == "gaussian":
        return np.exp(-(x**2)) / np.sqrt(np.pi)
    return 0.25 / np.cosh(x / 2) ** 2


@pytest.mark.parametrize("name", SMEARINGS)
def test_occupation_is_the_integral_of_delta(name: str) -> None:
    form = SMEARINGS[name]
    for x in X:
        slope = four_point(lambda t, x=x: float(form.occupation(np.array(x + t))))
        assert abs(slope - delta(name, x)) < 1e-10
    for x in (-1.3, 0.0, 0.7, 2.5):
        area, _ = quad(lambda t: float(delta(name, np.array(t))), -60, x, points=[-5, 0], epsabs=1e-12)
        assert abs(area - float(form.occupation(np.array(x)))) < 1e-9
    assert abs(float(form.occupation(np.array(50.0))) - 1) < 1e-15
    assert abs(float(form.occupation(np.array(-50.0)))) < 1e-15


@pytest.mark.parametrize("name", SMEARINGS)
def test_entropy_slope_is_minus_x_delta(name: str) -> None:
    """dS₁/dx = −x δ(x): what makes F = U − TS stationary in the occupations, and the sign of t in eq. 6 and 7."""
    form = SMEARINGS[name]
    for x in X:
        slope = four_point(lambda t, x=x: float(form.entropy(np.array(x + t))))
        assert abs(slope + x * delta(name, x)) < 1e-10
    for far in (-50.0, 50.0):
        assert abs(float(form.entropy(np.array(far)))) < 1e-15


def test_cold_smearing_is_the_papers() -> None:
    """Eq. 6 with t = +x and eq. 7 with t = −x (both count two spins), κ = −0.5634; x = β(E_F − E)."""
    kappa, form = -0.5634, SMEARINGS["cold"]
    t = X
    equation_6 = 2 / np.sqrt(np.pi) * (kappa * t**3 - t**2 - 1.5 * kappa * t + 1.5) * np.exp(-(t**2))
    slopes = [four_point(lambda h, x=x: 2 * float(form.occupation(np.array(x + h)))) for x in X]
    assert np.abs(np.array(slopes) - equation_6).max() < 1e-10
    t = -X
    equation_7 = -1 / np.sqrt(np.pi) * np.exp(-(t**2)) * (kappa * t**3 + t**2 - 0.5)
    assert np.abs(2 * form.entropy(X) - equation_7).max() < 1e-15
    # The stated t = β(E − E_F) in eq. 6 would be another function: the two signs are not interchangeable.
    assert np.abs(equation_6 - equation_6[::-1]).max() > 0.5


def test_cold_smearing_is_not_the_shifted_gaussian() -> None:
    """Marzari et al., PRL 82, 3296 (1999): δ(x) = e^{−(x − 1/√2)²}/√π (2 − √2 x), as in other codes."""
    shifted = np.exp(-((X - 1 / np.sqrt(2)) ** 2)) / np.sqrt(np.pi) * (2 - np.sqrt(2) * X)
    assert np.abs(delta("cold", X) - shifted).max() > 0.1
    # By design it exceeds 1, and with this κ it just never falls below 0.
    x = np.linspace(-6, 6, 2001)
    assert SMEARINGS["cold"].occupation(x).max() > 1.05
    assert SMEARINGS["cold"].occupation(x).min() > -1e-15
    assert ColdSmearing(kappa=-0.5).occupation(x).min() < -1e-6


def test_cold_smearing_has_no_quadratic_error() -> None:
    """∫ x² δ(x) dx = 0 is its point: the free energy depends on σ only in third order."""
    for power, moment in ((0, 1.0), (2, 0.0)):
        value, _ = quad(lambda x, p=power: x**p * float(delta("cold", np.array(x))), -12, 12, epsabs=1e-13)
        assert abs(value - moment) < 1e-12


@pytest.fixture(scope="module")
def bands() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    energies = np.sort(rng.normal(scale=0.2, size=(9, 6)), axis=1)
    weights = rng.uniform(0.5, 2, size=9)
    return energies, weights / weights.sum()


@pytest.mark.parametrize("name", SMEARINGS)
def test_occupations_hold_all_electrons(name: str, bands) -> None:
    energies, weights = bands
    result = occupy(energies, weights, 4.7, name, 0.02)
    assert abs(result.weights.sum() - 4.7) < 1e-12
    x = (result.fermi_energy - energies) / 0.02
    assert np.allclose(result.per_state, 2 * SMEARINGS[name].occupation(x), atol=1e-14)
    assert np.allclose(result.weights, weights[:, None] * result.per_state, atol=1e-15)
    assert abs(result.band_energy - (result.weights * energies).sum()) < 1e-14
    assert abs(result.entropic_energy + 0.02 * (weights[:, None] * 2 * SMEARINGS[name].entropy(x)).sum()) < 1e-14


@pytest.mark.parametrize("name", SMEARINGS)
def test_free_energy_of_fixed_bands_is_stationary(name: str, bands) -> None:
    """With E fixed: ∂(U − TS)/∂N = E_F, ∂(U − TS)/∂σ = −S, ∂(U − TS)/∂E = f."""
    energies, weights = bands

    def free(electrons: float = 4.7, width: float = 0.05, shift: float = 0.0) -> float:
        shifted = energies.copy()
        shifted[2, 3] += shift
        result = occupy(shifted, weights, electrons, name, width)
        return result.band_energy + result.entropic_energy

    result = occupy(energies, weights, 4.7, name, 0.05)
    assert abs(four_point(lambda t: free(electrons=4.7 + t)) - result.fermi_energy) < 1e-9
    assert abs(four_point(lambda t: free(width=0.05 + t), 1e-4) + result.entropies.sum()) < 1e-8
    assert abs(four_point(lambda t: free(shift=t)) - result.weights[2, 3]) < 1e-9


@pytest.mark.parametrize("name", SMEARINGS)
def test_rigid_shift_of_the_bands(name: str, bands) -> None:
    energies, weights = bands
    one, other = (occupy(energies + shift, weights, 4.7, name, 0.02) for shift in (0.0, 3.3))
    assert abs(other.fermi_energy - one.fermi_energy - 3.3) < 1e-12
    assert abs(other.entropic_energy - one.entropic_energy) < 1e-13


def test_insulators_fill_bands_and_put_the_fermi_energy_in_the_gap() -> None:
    energies = np.array([[-1.0, -0.2, 0.4], [-0.9, -0.1, 0.5]])
    result = occupy(energies, np.array([0.25, 0.75]), 4.0, "none", 0.01)
    assert np.array_equal(result.per_state, [[2, 2, 0], [2, 2, 0]])
    assert result.fermi_energy == pytest.approx(0.5 * (-0.1 + 0.4), abs=1e-15)
    assert result.entropic_energy == 0.0
    assert result.band_energy == pytest.approx(0.5 * (-1.2) + 1.5 * (-1.0), abs=1e-14)
    # All bands filled: nothing above is known, so the top of the bands.
    full = occupy(energies, np.array([0.25, 0.75]), 6.0, "none", 0.01)
    assert full.fermi_energy == 0.5


def test_too_few_bands_and_odd_electrons_are_refused() -> None:
    energies = np.zeros((1, 2))
    with pytest.raises(InputError, match=r"bands = 2 cannot hold 4 electrons"):
        occupy(energies, np.ones(1), 4.0, "cold", 0.01)
    with pytest.raises(InputError, match='smearing = "none" fills bands with pairs'):
        occupy(energies, np.ones(1), 3.0, "none", 0.01)
    with pytest.raises(InputError, match='smearing = "none" fills bands with pairs'):
        occupy(energies, np.ones(1), 6.0, "none", 0.01)
