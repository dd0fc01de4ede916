"""LDA of Perdew and Wang: published values and derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.planewave.scf import GroundState
from cellfields.planewave.terms import xc
from tests.planewave.problems import four_point


def density_at(rs: float) -> float:
    return 3 / (4 * np.pi * rs**3)


@pytest.mark.parametrize(("rs", "published"), [(1, -0.0598), (2, -0.0448), (5, -0.0282), (10, -0.0186)])
def test_correlation_energy_of_the_electron_gas(rs: float, published: float) -> None:
    """ε_c of Ceperley and Alder's electron gas (PRL 45, 566 (1980)), which PW92 fits; four printed digits."""
    energy, _ = xc.perdew_wang(np.array([density_at(rs)]))
    exchange = -0.4581652932831429 / rs  # −(3/4π)(9π/4)^{1/3}, Dirac
    assert abs(energy[0] - exchange - published) < 1e-4


def test_perdew_wang_against_another_program() -> None:
    """ρ = 77 a.u., total energy density of correlation −8.4714 and its derivative −0.1186 … −0.1204 for the two spins.

    XCFun's test of XC_PW92C (a = 39, b = 38, its own digits −8.4713855882783946, Daresbury −8.47142825874). The small
    polarisation ζ = 1/77 lowers |ε_c| by 3e-5 relative; A and f''(0) have more digits there: together below 2e-4.
    """
    density = np.array([77.0])
    energy, potential = xc.perdew_wang(density)
    exchange = -0.75 * (3 / np.pi) ** (1 / 3) * 77 ** (1 / 3)
    assert np.isclose(77 * (energy[0] - exchange), -8.47142825874, rtol=2e-4)
    assert np.isclose(potential[0] - 4 / 3 * exchange, 0.5 * (-0.118619938062 - 0.120418335387), rtol=2e-4)


def test_xc_potential_is_the_derivative_of_the_energy() -> None:
    for rho in np.geomspace(1e-6, 10, 15):
        numeric = four_point(
            lambda t, r=rho: float((r * (1 + t)) * xc.perdew_wang(np.array([r * (1 + t)]))[0][0]) / r, 1e-2
        )
        _, potential = xc.perdew_wang(np.array([rho]))
        assert np.isclose(potential[0], numeric, rtol=1e-8)


def test_xc_potential_is_the_functional_derivative(silicide_ground: GroundState) -> None:
    basis, density = silicide_ground.problem.basis, silicide_ground.density
    rng = np.random.default_rng(3)
    change = rng.normal(size=len(density)) * np.exp(-0.5 * basis.density_g2) * 1e-3
    _, potential = xc.energy_and_potential(basis, density)
    numeric = four_point(lambda t: xc.energy_and_potential(basis, density + t * change)[0], 1e-3)
    assert abs(numeric - basis.volume * potential @ change) < 1e-11


def test_empty_regions_are_harmless() -> None:
    energy, potential = xc.perdew_wang(np.array([0.0, -1e-9, 1e-20]))
    assert np.isfinite(energy).all() and np.isfinite(potential).all()
    assert np.abs(energy).max() < 1e-3
