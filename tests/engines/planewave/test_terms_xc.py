"""LDA and PBE: published values, limits, derivatives of the functionals and of the term, with and without a core."""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.scf import GroundState
from cellfields.engines.planewave.terms import core_density, xc
from tests.engines.planewave.problems import STRAIN_PATTERNS, cored, four_point, strained


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


# -- PBE ------------------------------------------------------------------------------------------------------------


def pbe(density: float, square: float) -> tuple[float, float, float]:
    found = xc.perdew_burke_ernzerhof(np.array([density]), np.array([square]))
    return tuple(float(x[0]) for x in found)  # type: ignore[return-value]


def reduced_gradient(density: float, square: float) -> float:
    return float(np.sqrt(square) / (2 * (3 * np.pi**2 * density) ** (1 / 3) * density))


def square_for(density: float, s: float) -> float:
    return float((2 * s * (3 * np.pi**2 * density) ** (1 / 3) * density) ** 2)


@pytest.mark.parametrize("s", [0.0, 0.1, 1.0, 3.0, 30.0])
def test_pbe_derivatives(s: float) -> None:
    for rho in np.geomspace(1e-6, 10, 8):
        square = square_for(rho, s)
        _, by_density, by_square = pbe(rho, square)
        numeric = four_point(lambda t, r=rho, q=square: pbe(r * (1 + t), q)[0] / r, 1e-3)
        assert np.isclose(by_density, numeric, rtol=1e-8)
        if s:
            numeric = four_point(lambda t, r=rho, q=square: pbe(r, q * (1 + t))[0] / q, 1e-3)
            assert np.isclose(by_square, numeric, rtol=1e-7)


def test_pbe_without_gradient_is_the_lda() -> None:
    rho = np.geomspace(1e-9, 10, 12)
    energy, potential = xc.perdew_wang(rho)
    found = xc.perdew_burke_ernzerhof(rho, np.zeros_like(rho))
    assert np.allclose(found[0], rho * energy, rtol=1e-14)
    assert np.allclose(found[1], potential, rtol=1e-13)


def test_pbe_in_its_limits() -> None:
    """For s → ∞ correlation vanishes and exchange is 1.804 times the LDA's (the Lieb–Oxford bound in the form of PBE);
    for s → 0 and high density the gradient terms of exchange and correlation, μ s² and β t², cancel to 0.1 %.
    """
    for rho in (1e-3, 0.1, 1.0):
        exchange = -0.75 * (3 / np.pi) ** (1 / 3) * rho ** (4 / 3)
        assert np.isclose(pbe(rho, square_for(rho, 1e6))[0], 1.804 * exchange, rtol=1e-4)
    rho = 1e3
    slope = pbe(rho, 1e-12)[2]
    exchange = -0.75 * (3 / np.pi) ** (1 / 3) * rho ** (4 / 3)
    alone = exchange * 0.2195149727645171 / (2 * (3 * np.pi**2 * rho) ** (1 / 3) * rho) ** 2
    assert abs(slope) < 1e-3 * abs(alone)


def test_pbe_in_empty_regions_is_harmless() -> None:
    rho = np.array([0.0, -1e-9, 1e-300, 1e-20, 1e-14, 1e-9, 1e-9])
    square = np.array([0.0, 1e-16, 0.0, 1e-30, 1e-2, 0.0, 1e10])
    energy, potential, by_square = xc.perdew_burke_ernzerhof(rho, square)
    for found in (energy, potential, by_square):
        assert np.isfinite(found).all()
    assert np.abs(energy).max() < 1e-8 and np.abs(potential).max() < 1e-2
    assert (by_square[:5] == 0).all()


class Libxc:
    """Energy and derivatives from the shared library, where it is installed (ABINIT brings it)."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("xc")
        candidates = [name] if name else sorted(str(p) for p in Path("/usr/lib").glob("*/libxc.so.*"))
        if not candidates:
            pytest.skip("libxc is not installed")
        self._library = ctypes.CDLL(candidates[0])
        self._library.xc_func_alloc.restype = ctypes.c_void_p

    def __call__(self, number: int, rho: np.ndarray, square: np.ndarray | None = None) -> list[np.ndarray]:
        """ε, ∂e/∂n, and for a gradient-corrected functional ∂e/∂σ."""
        handle = ctypes.c_void_p(self._library.xc_func_alloc())
        assert self._library.xc_func_init(handle, ctypes.c_int(number), ctypes.c_int(1)) == 0
        inputs = [rho] if square is None else [rho, square]
        outputs = [np.zeros_like(rho) for _ in range(2 if square is None else 3)]
        run = self._library.xc_lda_exc_vxc if square is None else self._library.xc_gga_exc_vxc
        run(handle, ctypes.c_size_t(len(rho)), *(x.ctypes.data_as(ctypes.c_void_p) for x in [*inputs, *outputs]))
        self._library.xc_func_end(handle)
        self._library.xc_func_free(handle)
        return outputs


def test_against_libxc() -> None:
    """LDA_X + LDA_C_PW to rounding; PBE to the digits of β and of PW92's A, which libxc has more of (see pbe.py)."""
    libxc = Libxc()
    rho = np.repeat(np.geomspace(1e-5, 5, 9), 5)
    square = np.array([square_for(r, s) for r, s in zip(rho, np.tile([1e-3, 0.3, 1, 3, 20], 9), strict=True)])
    exchange, correlation = libxc(1, rho), libxc(12, rho)
    energy, potential = xc.perdew_wang(rho)
    assert np.allclose(energy, exchange[0] + correlation[0], rtol=1e-12)
    assert np.allclose(potential, exchange[1] + correlation[1], rtol=1e-12)
    exchange, correlation = libxc(101, rho, square), libxc(130, rho, square)
    found = xc.perdew_burke_ernzerhof(rho, square)
    assert np.allclose(found[0] / rho, exchange[0] + correlation[0], rtol=2e-5)
    assert np.allclose(found[1], exchange[1] + correlation[1], rtol=5e-5)
    # Where exchange and correlation cancel, the sum's relative error is larger: it is taken relative to exchange.
    assert np.abs((found[2] - exchange[2] - correlation[2]) / exchange[2]).max() < 5e-5


@pytest.mark.parametrize("functional", ["lda", "pbe"])
@pytest.mark.parametrize("with_core", [False, True], ids=["valence", "core"])
class TestTerm:
    """On the density of a real solution, Mg2Si, with model cores that have nothing to do with it."""

    @pytest.fixture
    def problem(self, functional: str, with_core: bool, silicide_ground: GroundState) -> KohnShamProblem:
        problem = replace(silicide_ground.problem, functional=functional)
        return cored(problem) if with_core else problem

    def energy(self, problem: KohnShamProblem, density: np.ndarray) -> float:
        return problem.potentials(density).xc_energy

    def test_potential_is_the_functional_derivative(
        self, problem: KohnShamProblem, silicide_ground: GroundState
    ) -> None:
        basis, density = problem.basis, silicide_ground.density
        rng = np.random.default_rng(3)
        change = rng.normal(size=len(density)) * np.exp(-0.5 * basis.density_g2) * 1e-3
        potential = problem.potentials(density).xc
        numeric = four_point(lambda t: self.energy(problem, density + t * change), 1e-3)
        assert abs(numeric - basis.volume * potential @ change) < 1e-11

    def test_strain_derivative(self, problem: KohnShamProblem, silicide_ground: GroundState) -> None:
        """At frozen index sets and Vρ(G); points of the grid near the end of a core come and go, which costs 1e-8."""
        analytic = xc.stress(problem.basis, silicide_ground.density, problem.functional, problem.core_density)
        if problem.core_density is not None:
            potential = xc.grid_potential(
                problem.basis, silicide_ground.density, problem.functional, problem.core_density
            )
            analytic = analytic + core_density.strain_derivative(problem.geometry, problem.basis, potential)

        def energy(eta: np.ndarray) -> float:
            other = replace(strained(problem, eta), functional=problem.functional)
            return self.energy(other, silicide_ground.density * (problem.basis.volume / other.basis.volume))

        assert np.abs(analytic - analytic.T).max() < 1e-10
        for pattern in STRAIN_PATTERNS:
            numeric = four_point(lambda t, p=pattern: energy(t * p))
            assert abs(numeric - (analytic * pattern).sum()) < 2e-8
