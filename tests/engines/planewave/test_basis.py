"""Plane-wave index sets and the transforms between coefficients and the FFT grid; densities of orbitals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cellfields.dft.pseudopotential import builtin_pseudopotential
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.density import weighted_density
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.errors import InputError
from tests.engines.planewave.problems import MG_INTERNAL, MG_SETTINGS, STRAIN, make_problem
from tests.toy import magnesium

CUTOFF = 3.0
BOX = np.array(list(itertools.product(range(-12, 13), repeat=3)))


@pytest.fixture(scope="module")
def basis() -> PlaneWaveBasis:
    return make_problem(magnesium(), STRAIN, MG_INTERNAL, MG_SETTINGS.model_copy(update={"cutoff": CUTOFF})).basis


def orbitals_of(basis: PlaneWaveBasis, count: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    return tuple(np.linalg.qr(rng.normal(size=(len(m), count)))[0] for m in basis.wave_m)


def even_function(basis: PlaneWaveBasis) -> np.ndarray:
    """Random coefficients with f(−G) = f(G)."""
    row = {tuple(m): i for i, m in enumerate(basis.density_m.tolist())}
    values = np.random.default_rng(6).normal(size=len(basis.density_m))
    mirror = [row[tuple(-m)] for m in basis.density_m]
    return 0.5 * (values + values[mirror])


def dictionary(m: np.ndarray, values: np.ndarray) -> dict[tuple[int, ...], float]:
    return dict(zip(map(tuple, m.tolist()), values.tolist(), strict=True))


def test_index_sets_are_the_spheres(basis: PlaneWaveBasis) -> None:
    """½|k+G|² < E_cut at each k, ½|G|² < 4 E_cut for the density: brute force over a box that contains them."""
    g = BOX @ basis.reciprocal
    assert {tuple(m) for m in basis.density_m.tolist()} == {
        tuple(m) for m in BOX[0.5 * (g**2).sum(1) < 4 * CUTOFF].tolist()
    }
    assert tuple(basis.density_m[0]) == (0, 0, 0)
    assert np.allclose(basis.density_g, basis.density_m @ basis.reciprocal)
    for m, k, point in zip(basis.wave_m, basis.k_cartesian, basis.k_points, strict=True):
        assert np.allclose(k, point @ basis.reciprocal)
        expected = BOX[0.5 * ((g + k) ** 2).sum(1) < CUTOFF]
        assert {tuple(x) for x in m.tolist()} == {tuple(x) for x in expected.tolist()}
        assert len(m) == len(expected)
    assert len({len(m) for m in basis.wave_m}) > 1  # the spheres differ: the test sees the k dependence


def test_union_contains_every_sphere_and_is_even() -> None:
    settings = MG_SETTINGS.model_copy(update={"cutoff": CUTOFF, "plane_waves": "union"})
    union = make_problem(magnesium(), STRAIN, MG_INTERNAL, settings).basis
    first = {tuple(x) for x in union.wave_m[0].tolist()}
    assert all(m is union.wave_m[0] for m in union.wave_m)
    assert {tuple(-x for x in m) for m in first} == first
    g = BOX @ union.reciprocal
    needed = np.zeros(len(BOX), dtype=bool)
    for k in union.k_cartesian:
        for sign in (1, -1):
            needed |= 0.5 * ((g + sign * k) ** 2).sum(1) < CUTOFF
    assert first == {tuple(x) for x in BOX[needed].tolist()}


def test_grid_holds_the_density_without_aliasing(basis: PlaneWaveBasis) -> None:
    assert (2 * np.abs(basis.density_m).max(axis=0) < np.array(basis.shape)).all()
    assert basis.grid_size == np.prod(basis.shape)


def test_given_grid_is_used_or_refused(basis: PlaneWaveBasis) -> None:
    least = 2 * np.abs(basis.density_m).max(axis=0) + 1
    for grid, fits in ((least + 1, True), (least - [0, 2, 0], False)):
        settings = MG_SETTINGS.model_copy(update={"cutoff": CUTOFF, "fft_grid": tuple(map(int, grid))})
        if fits:
            made = make_problem(magnesium(), STRAIN, MG_INTERNAL, settings).basis
            assert made.shape == tuple(grid) and np.array_equal(made.density_m, basis.density_m)
        else:
            with pytest.raises(InputError, match=rf"needs at least \({', '.join(map(str, least))}\)"):
                make_problem(magnesium(), STRAIN, MG_INTERNAL, settings)


def test_even_functions_round_trip_and_are_sums_of_waves(basis: PlaneWaveBasis) -> None:
    f = even_function(basis)
    values = basis.to_real(f)
    assert np.allclose(basis.to_fourier(values), f, atol=1e-13)
    x = np.array(list(itertools.product(*map(range, basis.shape)))) / np.array(basis.shape)
    chosen = np.random.default_rng(1).choice(len(x), 40, replace=False)
    expected = np.cos(2 * np.pi * x[chosen] @ basis.density_m.T) @ f
    assert np.allclose(values[chosen], expected, atol=1e-11)
    assert np.allclose(values[basis.inversion_index], values, atol=1e-11)


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_multiplication_is_the_convolution(basis: PlaneWaveBasis, bands: int) -> None:
    """⟨G|V|u⟩ = Σ V(G − G') u(G'), two orbitals an FFT, an odd one left over; exact, not up to aliasing."""
    potential = even_function(basis)
    table = dictionary(basis.density_m, potential)
    for k, m in enumerate(basis.wave_m):
        vectors = np.random.default_rng(k).normal(size=(len(m), bands))
        matrix = np.array([[table[tuple(row - column)] for column in m] for row in m])
        grid = basis.to_real(potential).reshape(basis.shape)
        product = basis.multiply(grid, basis.wave_index[k], vectors)
        assert np.allclose(product, matrix @ vectors, atol=1e-11)


def test_density_of_orbitals_is_the_convolution(basis: PlaneWaveBasis) -> None:
    """V⁻¹ Σ w |u|², made even, with weights of both signs, at once and summed k by k."""
    orbitals = orbitals_of(basis, 3)
    weights = np.random.default_rng(8).uniform(-0.3, 1.0, size=(len(orbitals), 3))
    assert (weights < 0).any()
    density = dictionary(basis.density_m, weighted_density(basis, orbitals, weights))
    expected = dict.fromkeys(density, 0.0)
    for m, vectors, weight in zip(basis.wave_m, orbitals, weights, strict=True):
        overlap = (vectors * weight) @ vectors.T / basis.volume
        for i, j in itertools.product(range(len(m)), repeat=2):
            key = tuple((m[i] - m[j]).tolist())
            expected[key] += 0.5 * overlap[i, j]
            expected[tuple(-x for x in key)] += 0.5 * overlap[i, j]
    assert max(abs(expected[key] - density[key]) for key in density) < 1e-14


def test_density_integrates_to_the_weights(basis: PlaneWaveBasis) -> None:
    orbitals = orbitals_of(basis, 4)
    weights = np.random.default_rng(9).uniform(0, 1, size=(len(orbitals), 4))
    density = weighted_density(basis, orbitals, weights)
    assert np.isclose(density[0] * basis.volume, weights.sum(), rtol=1e-14)
    assert np.isclose(basis.to_real(density).mean() * basis.volume, weights.sum(), rtol=1e-12)
    assert basis.to_real(density).min() > -1e-12  # a sum of squares


def test_cached_indices_follow_a_replaced_lattice(basis: PlaneWaveBasis) -> None:
    """What the frozen-index strains of these tests rely on."""
    stretched = replace(basis, reciprocal=0.5 * basis.reciprocal, density_g=0.5 * basis.density_g)
    assert np.allclose(stretched.density_g2, 0.25 * basis.density_g2)
    assert np.array_equal(stretched.density_index, basis.density_index)


def test_geometry_pairs_atoms_by_inversion() -> None:
    crystal = magnesium()
    pseudopotentials = {"Mg": builtin_pseudopotential("Mg")}
    geometry = Geometry.of_crystal(crystal, crystal.lattice_ref, crystal.positions(MG_INTERNAL), pseudopotentials)
    assert geometry.partners.tolist() == [1, 0]
    assert [(site.kind, site.atoms) for site in geometry.sites] == [("pair", (0, 1))]
    assert geometry.electrons == 4
    assert np.isclose(geometry.volume, crystal.volume_ref / 2, rtol=1e-13)
    assert np.allclose(geometry.lattice @ geometry.reciprocal.T, 2 * np.pi * np.eye(3), atol=1e-13)
    mesh = KMesh.folded((1, 1, 1), crystal.primitive)
    assert PlaneWaveBasis.build(geometry, mesh, CUTOFF).volume == geometry.volume
