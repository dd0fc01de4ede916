"""Non-local pseudopotential: real projectors against complex ones, derivatives for every angular momentum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import sph_harm_y

from cellfields.dft.pseudopotential.gth import GTHChannel, GTHPseudopotential
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.terms import nonlocal_
from cellfields.engines.planewave.terms._solid_harmonics import gradient_sum, solid_harmonics
from cellfields.errors import InputError
from tests.engines.planewave.problems import STRAIN_PATTERNS, four_point, moved, silicide_problem, strained


@pytest.fixture(scope="module")
def artificial() -> tuple[KohnShamProblem, tuple[np.ndarray, ...], np.ndarray]:
    """Mg2Si whose silicon has l = 0 … 3 with up to three projectors, with random orthonormal orbitals."""
    problem = silicide_problem()
    rng = np.random.default_rng(7)

    def channel(l: int, n: int) -> GTHChannel:
        h = rng.normal(size=(n, n))
        return GTHChannel(l, 0.5 + 0.1 * l, h + h.T)

    made = GTHPseudopotential("Si", 4, 0.44, (-7.3,), (channel(0, 3), channel(1, 2), channel(2, 2), channel(3, 1)))
    pair = GTHPseudopotential("Mg", 2, 0.65, (-2.8,), (channel(0, 1), channel(1, 3), channel(2, 1), channel(3, 2)))
    geometry = replace(problem.geometry, pseudopotentials={"Si": made, "Mg": pair})
    problem = KohnShamProblem(geometry, problem.basis, problem.electrons)
    orbitals = tuple(np.linalg.qr(rng.normal(size=(len(m), 3)))[0] for m in problem.basis.wave_m)
    return problem, orbitals, rng.uniform(0.2, 1.0, size=(len(orbitals), 3))


def _sum(problem: KohnShamProblem, orbitals: tuple[np.ndarray, ...], weights: np.ndarray) -> float:
    return sum(b.projectors.energy(x, w) for b, x, w in zip(problem.blocks, orbitals, weights, strict=True))


def test_nonlocal_derivatives_for_all_angular_momenta(artificial) -> None:
    problem, orbitals, weights = artificial
    arguments = list(zip(problem.basis.wave_m, problem.blocks, orbitals, weights, strict=True))
    stress = sum(nonlocal_.stress(problem.geometry, m, b.q, x, w) for m, b, x, w in arguments)
    forces = sum(nonlocal_.forces(problem.geometry, m, b.q, x, w) for m, b, x, w in arguments)
    scale = abs(_sum(problem, orbitals, weights))
    for pattern in STRAIN_PATTERNS:
        numeric = four_point(lambda t, p=pattern: _sum(strained(problem, t * p), orbitals, weights))
        assert abs(numeric - (stress * pattern).sum()) < 1e-8 * max(scale, 1)
    for axis in np.eye(3):
        numeric = four_point(lambda t, a=axis: _sum(moved(problem, 1, t * a), orbitals, weights))
        assert abs(numeric + 2 * forces[1] @ axis) < 1e-8 * max(scale, 1)


def test_real_projectors_equal_complex_ones_atom_by_atom(artificial) -> None:
    """The √2 cos, √2 sin projectors of a pair against e^{−i(k+G)·τ} of each atom, with SciPy's spherical harmonics."""
    problem, orbitals, _ = artificial
    geometry = problem.geometry
    tau = geometry.positions @ geometry.lattice
    for block, vectors in zip(problem.blocks, orbitals, strict=True):
        length = np.linalg.norm(block.q, axis=1)
        theta, phi = np.arccos(block.q[:, 2] / np.maximum(length, 1e-30)), np.arctan2(block.q[:, 1], block.q[:, 0])
        total = np.zeros(vectors.shape[1])
        for atom, symbol in enumerate(geometry.species):
            for channel in geometry.pseudopotentials[symbol].channels:
                radial = channel.radial(length) * length**channel.l / np.sqrt(geometry.volume)
                for m in range(-channel.l, channel.l + 1):
                    angular = sph_harm_y(channel.l, m, theta, phi) * np.exp(-1j * block.q @ tau[atom])
                    projections = (radial * angular.conj()) @ vectors
                    total += np.einsum("in,ij,jn->n", projections.conj(), channel.coupling, projections).real
        engine = [block.projectors.energy(vectors[:, [i]], np.ones(1)) for i in range(vectors.shape[1])]
        assert np.allclose(engine, total, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("l", range(4))
def test_solid_harmonics(l: int) -> None:
    """q^l Y_lm: the addition theorem Σ_m Y_lm(q) Y_lm(p) = (2l+1)/4π |q|^l |p|^l P_l(cos), and exact gradients."""
    rng = np.random.default_rng(l)
    q, p = rng.normal(size=(2, 20, 3))
    lengths = np.linalg.norm(q, axis=1) * np.linalg.norm(p, axis=1)
    cosine = np.einsum("ij,ij->i", q, p) / lengths
    legendre = np.polynomial.legendre.Legendre.basis(l)(cosine)
    product = (solid_harmonics(l, q) * solid_harmonics(l, p)).sum(axis=1)
    assert np.allclose(product, (2 * l + 1) / (4 * np.pi) * lengths**l * legendre, atol=1e-12)
    each = np.eye(2 * l + 1)
    gradient = np.stack([gradient_sum(l, q, np.tile(row, (20, 1))).T for row in each], axis=1)
    for axis in range(3):
        # Polynomials of degree ≤ 3: the four-point formula is exact but for rounding.
        shift = np.eye(3)[axis]
        numeric = [
            four_point(lambda t, i=i, m=m, s=shift: solid_harmonics(l, q[[i]] + t * s)[0, m], 0.1)
            for i in range(20)
            for m in range(2 * l + 1)
        ]
        assert np.allclose(gradient[:, :, axis].ravel(), numeric, atol=1e-11)


def test_higher_angular_momenta_are_refused() -> None:
    with pytest.raises(InputError, match="angular momentum 4"):
        solid_harmonics(4, np.ones((1, 3)))
