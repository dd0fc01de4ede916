"""H(k): against an independent dense matrix; the block Davidson solver against LAPACK."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.linalg

from cellfields.crystal.deformation import Deformation
from cellfields.engines.planewave.bands import PlaneWaveBands, start_vectors
from cellfields.engines.planewave.eigensolver import davidson
from cellfields.engines.planewave.hamiltonian import BlochHamiltonian, KohnShamProblem
from tests.engines.planewave.problems import SI_SETTINGS, make_problem, silicide_problem, silicon, zinc_blende_problem


@pytest.fixture(scope="module", params=[silicide_problem, zinc_blende_problem])
def problem(request: pytest.FixtureRequest) -> KohnShamProblem:
    """Mg2Si: an atom on the inversion centre and a pair, two species. Zinc blende: no inversion centre."""
    made: KohnShamProblem = request.param()
    return made


@pytest.fixture(scope="module")
def potential(problem: KohnShamProblem) -> np.ndarray:
    """V_eff (D,) of the superposed ions."""
    return problem.potentials(problem.superposed_density()).effective


@pytest.fixture(scope="module")
def dense(problem: KohnShamProblem, potential: np.ndarray) -> list[np.ndarray]:
    """H(k) by applying it to the identity."""
    grid = problem.basis.to_real(potential).reshape(problem.basis.shape)
    return [block.apply(grid, np.eye(len(block.q), dtype=block.dtype)) for block in problem.blocks]


def random_start(block: BlochHamiltonian, count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(len(block.kinetic), count)) / (1 + block.kinetic[:, None])
    return vectors.astype(block.dtype)


def textbook(problem: KohnShamProblem, potential: np.ndarray, k: int) -> np.ndarray:
    """⟨G|H|G'⟩ written out, complex, atom by atom: no pairing by inversion, no FFT, Legendre instead of Y_lm."""
    geometry, basis = problem.geometry, problem.basis
    m = basis.wave_m[k]
    q = m @ basis.reciprocal + basis.k_cartesian[k]
    table = {tuple(g): v for g, v in zip(basis.density_m.tolist(), potential, strict=True)}
    matrix = np.array([[table[tuple(a - b)] for b in m] for a in m]).astype(complex)
    matrix += np.diag(0.5 * (q**2).sum(axis=1))
    length = np.linalg.norm(q, axis=1)
    cosine = (q @ q.T) / np.maximum(np.outer(length, length), 1e-30)
    for atom, symbol in enumerate(geometry.species):
        phase = np.exp(-1j * q @ (geometry.positions[atom] @ geometry.lattice))
        for channel in geometry.pseudopotentials[symbol].channels:
            radial = channel.radial(length) * length**channel.l
            legendre = np.polynomial.legendre.Legendre.basis(channel.l)(np.clip(cosine, -1, 1))
            angular = (2 * channel.l + 1) / (4 * np.pi) * legendre
            coupled = np.einsum("ip,ij,jq->pq", radial, channel.coupling, radial) * angular / geometry.volume
            matrix += coupled * np.outer(phase, phase.conj())
    return matrix


def test_hamiltonian_is_the_textbook_one(problem: KohnShamProblem, potential: np.ndarray, dense) -> None:
    """Equal element by element; real and symmetric where the origin is an inversion centre."""
    for k, matrix in enumerate(dense):
        expected = textbook(problem, potential, k)
        if problem.geometry.partners is not None:
            assert np.isrealobj(matrix)
            assert np.abs(expected.imag).max() < 1e-12
        assert np.abs(matrix - expected).max() < 1e-12
        assert np.abs(matrix - matrix.conj().T).max() < 1e-13


@pytest.mark.parametrize("bands", [1, 4, 9])
def test_davidson_against_lapack(problem: KohnShamProblem, dense, bands: int) -> None:
    for block, matrix in zip(problem.blocks, dense, strict=True):
        exact, vectors = scipy.linalg.eigh(matrix)
        start = random_start(block, bands + 2, 0)
        found = davidson(lambda x, h=matrix: h @ x, block.kinetic, start, bands, tolerance=1e-8, max_iterations=100)
        assert found.residuals.max() <= 1e-8
        # Eigenvalues are of second order in the residual: 1e-16/gap plus rounding.
        assert np.abs(found.values - exact[:bands]).max() < 1e-12
        assert np.abs(found.vectors.conj().T @ found.vectors - np.eye(bands)).max() < 1e-12
        residual = matrix @ found.vectors - found.vectors * found.values
        assert np.allclose(np.linalg.norm(residual, axis=0), found.residuals, atol=1e-12)
        # The spanned space, which does not care about signs and degeneracies.
        if exact[bands] - exact[bands - 1] > 1e-3:
            assert abs(np.linalg.norm(vectors[:, :bands].conj().T @ found.vectors) ** 2 - bands) < 1e-9


def test_only_needed_pairs_must_converge(problem: KohnShamProblem, dense) -> None:
    block, matrix = problem.blocks[0], dense[0]
    exact = scipy.linalg.eigvalsh(matrix)
    start = random_start(block, 10, 1)
    applied = {}
    for needed in (3, 8):
        applied[needed] = 0

        def apply(x: np.ndarray, needed: int = needed) -> np.ndarray:
            applied[needed] += x.shape[1]
            return matrix @ x

        found = davidson(apply, block.kinetic, start, 8, tolerance=1e-8, needed=needed, max_iterations=100)
        assert found.residuals[:needed].max() <= 1e-8
        assert np.abs(found.values[:needed] - exact[:needed]).max() < 1e-12
        assert (found.values >= exact[:8] - 1e-12).all()  # Rayleigh–Ritz: the others lie above
    assert applied[3] < 0.8 * applied[8]  # and that saves work


def test_warm_start_takes_no_expansion(problem: KohnShamProblem, dense) -> None:
    block, matrix = problem.blocks[0], dense[0]
    _, vectors = scipy.linalg.eigh(matrix, subset_by_index=(0, 4))
    found = davidson(lambda x: matrix @ x, block.kinetic, vectors, 5, tolerance=1e-8)
    assert found.iterations == 0


def test_unfinished_iteration_reports_its_residuals(problem: KohnShamProblem, dense) -> None:
    block, matrix = problem.blocks[0], dense[0]
    start = random_start(block, 5, 2)
    found = davidson(lambda x: matrix @ x, block.kinetic, start, 4, tolerance=1e-12, max_iterations=2)
    assert found.iterations == 2
    assert found.residuals.max() > 1e-12


def test_part_of_the_hamiltonian(problem: KohnShamProblem, potential: np.ndarray, dense) -> None:
    grid = problem.basis.to_real(potential).reshape(problem.basis.shape)
    for block, matrix in zip(problem.blocks, dense, strict=True):
        chosen = np.argsort(block.kinetic)[5:40:2]
        assert np.abs(block.among(grid, chosen) - matrix[np.ix_(chosen, chosen)]).max() < 1e-13


@pytest.mark.parametrize("bands", [4, 5])
def test_no_band_of_a_symmetric_crystal_is_missed(bands: int) -> None:
    """Ideal diamond at Γ: the slowest plane waves know only two of three degenerate bands, and Davidson no third."""
    crystal = silicon()
    ideal = make_problem(crystal, Deformation.identity(crystal).as_array(), np.zeros(3), SI_SETTINGS)
    grid = ideal.basis.to_real(ideal.potentials(ideal.superposed_density()).effective).reshape(ideal.basis.shape)
    for block in ideal.blocks:
        exact = scipy.linalg.eigvalsh(block.apply(grid, np.eye(len(block.q), dtype=block.dtype)))[:bands]
        start = start_vectors(block, grid, bands)
        found = davidson(partial(block.apply, grid), block.kinetic, start, bands, tolerance=1e-6, max_iterations=60)
        assert np.abs(found.values - exact).max() < 1e-8


def test_all_bands_of_a_tiny_basis() -> None:
    """Start vectors that fill the whole space: one Rayleigh–Ritz step is exact."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(7, 7))
    matrix = matrix + matrix.T
    full = davidson(lambda x: matrix @ x, np.ones(7), rng.normal(size=(7, 7)), 7, tolerance=1e-9)
    assert np.allclose(full.values, scipy.linalg.eigvalsh(matrix), atol=1e-12)


def test_band_solver_grows_without_losing_bands(problem: KohnShamProblem, potential: np.ndarray, dense) -> None:
    solver = PlaneWaveBands(problem, 3)
    on_grid = problem.basis.to_real(potential)
    for _ in range(5):  # each starts from the last; levels that lie close take some
        values, worst = solver.solve(on_grid, 1e-8)
    assert worst <= 1e-8
    solver.grow(7)
    for _ in range(5):
        more, worst = solver.solve(on_grid, 1e-8)
    assert worst <= 1e-8
    assert more.shape == (len(dense), 7)
    for row, matrix in zip(more, dense, strict=True):
        assert np.abs(row - scipy.linalg.eigvalsh(matrix)[:7]).max() < 1e-12
    assert np.abs(more[:, :3] - values).max() < 1e-12
