"""Fields in Fourier space: transforms, Parseval, origins, truncation, integrals."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.state.fields import FIELD_NAMES, ElectronicFields, FourierBasis
from cellfields.state.quantities import quantity
from tests.toy import magnesium


def gallium_arsenide() -> Crystal:
    return Crystal.from_lengths_and_angles([7.5] * 3, [60] * 3, ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]])


CRYSTALS = {
    "Mg": magnesium,  # non-primitive, inversion away from the origin
    "GaAs": gallium_arsenide,  # no inversion: complex coefficients
    "Si cubic": lambda: Crystal.from_atoms(bulk("Si", cubic=True)),
}
GRID = (20, 24, 27)  # holds every m of the bases below; even and odd sizes, with room to spare
CUTOFF = 12.0  # Hartree


@pytest.fixture(params=CRYSTALS, ids=list(CRYSTALS))
def crystal(request: pytest.FixtureRequest) -> Crystal:
    return CRYSTALS[request.param]()


@pytest.fixture
def basis(crystal: Crystal) -> FourierBasis:
    return FourierBasis.for_crystal(crystal, CUTOFF)


def random_coefficients(basis: FourierBasis, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=basis.size)
    if basis.real:
        return values
    values = values + 1j * rng.normal(size=basis.size)
    values[0] = values[0].real  # the mean of a real field
    return values


def direct_sum(basis: FourierBasis, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    """f(x) = Σ_m over *both* signs, written out; f_{−m} = f_m*."""
    total = np.zeros(len(points))
    for m, c in zip(basis.indices, coefficients, strict=True):
        wave = np.exp(2j * np.pi * ((points - basis.origin) @ m))
        total += (c * wave).real if not m.any() else 2 * (c * wave).real
    return total


def grid_points(shape: tuple[int, int, int], origin: np.ndarray) -> np.ndarray:
    axes = [np.arange(n) / n for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3) + origin


# -- the index set ----------------------------------------------------------------------------------------------


def test_index_set_is_one_of_each_pair_inside_the_cutoff(crystal: Crystal, basis: FourierBasis) -> None:
    indices = {tuple(m) for m in basis.indices.tolist()}
    assert len(indices) == basis.size
    assert tuple(basis.indices[0]) == (0, 0, 0)
    assert not any(tuple(-x for x in m) in indices for m in indices if any(m))
    reciprocal = 2 * np.pi * np.linalg.inv(crystal.lattice_ref).T
    assert (0.5 * ((basis.indices @ reciprocal) ** 2).sum(axis=1)).max() <= CUTOFF
    # Brute force: all integer vectors in a generous box that the translations allow.
    box = grid_points((25, 25, 25), np.zeros(3)) * 25 - 12
    inside = 0.5 * ((box @ reciprocal) ** 2).sum(axis=1) <= CUTOFF
    allowed = np.all(np.abs(box @ crystal.translations.T - np.rint(box @ crystal.translations.T)) < 1e-9, axis=1)
    assert 2 * basis.size - 1 == (inside & allowed).sum()


def test_non_primitive_cell_keeps_the_primitive_vectors_only() -> None:
    crystal = magnesium()
    folded = FourierBasis.for_crystal(crystal, CUTOFF)
    plain = FourierBasis.for_crystal(
        Crystal(crystal.lattice_ref, crystal.species, crystal.positions_ref, symmetry=False), CUTOFF
    )
    assert ((folded.indices[:, 0] + folded.indices[:, 1]) % 2 == 0).all()  # translation (½, ½, 0)
    assert 0.45 < folded.size / plain.size < 0.55


def test_origin_and_reality(crystal: Crystal, basis: FourierBasis) -> None:
    assert basis.real is (crystal.inversion_centre is not None)
    expected = np.zeros(3) if crystal.inversion_centre is None else crystal.inversion_centre
    assert np.array_equal(basis.origin, expected)


def test_cutoff_must_be_positive() -> None:
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="field_cutoff"):
            FourierBasis.for_crystal(magnesium(), bad)


def test_same_as() -> None:
    mg = FourierBasis.for_crystal(magnesium(), CUTOFF)
    assert mg.same_as(FourierBasis.for_crystal(magnesium(), CUTOFF))
    assert not mg.same_as(FourierBasis.for_crystal(magnesium(), 0.9 * CUTOFF))
    assert not mg.same_as(FourierBasis(mg.indices, mg.origin + 0.01, mg.real))
    assert not mg.same_as(FourierBasis(mg.indices, mg.origin, False))


# -- transforms -------------------------------------------------------------------------------------------------


def test_grid_values_are_the_sum_of_waves(basis: FourierBasis) -> None:
    coefficients = random_coefficients(basis)
    origin = np.array([0.13, -0.4, 0.77])
    values = basis.to_grid(coefficients, GRID, origin)
    chosen = np.random.default_rng(1).choice(values.size, 60, replace=False)
    expected = direct_sum(basis, coefficients, grid_points(GRID, origin)[chosen])
    # Sums of some hundred terms of order one: 1e-12 is rounding.
    assert np.allclose(values.ravel()[chosen], expected, atol=1e-12 * basis.size)


@pytest.mark.parametrize("origin", [(0, 0, 0), (0.13, -0.4, 0.77)])
def test_grid_round_trip(basis: FourierBasis, origin: tuple[float, float, float]) -> None:
    coefficients = random_coefficients(basis)
    back = basis.from_grid(basis.to_grid(coefficients, GRID, origin), origin)
    assert back.dtype == (float if basis.real else complex)
    assert np.allclose(back, coefficients, atol=1e-13)


def test_shifting_the_origin_by_grid_steps_rolls_the_values(basis: FourierBasis) -> None:
    coefficients = random_coefficients(basis)
    step = np.array([3, -5, 7])
    shifted = basis.to_grid(coefficients, GRID, step / np.array(GRID))
    rolled = np.roll(basis.to_grid(coefficients, GRID), -step, axis=(0, 1, 2))
    assert np.allclose(shifted, rolled, atol=1e-11)


def test_fields_have_the_symmetry_of_the_crystal(crystal: Crystal, basis: FourierBasis) -> None:
    coefficients = random_coefficients(basis)
    points = np.random.default_rng(5).uniform(size=(40, 3))
    values = direct_sum(basis, coefficients, points)
    for shift in crystal.translations:
        assert np.allclose(direct_sum(basis, coefficients, points + shift), values, atol=1e-10)
    if crystal.inversion_centre is not None:
        mirrored = 2 * crystal.inversion_centre - points
        assert np.allclose(direct_sum(basis, coefficients, mirrored), values, atol=1e-10)


def test_vector_round_trip(basis: FourierBasis) -> None:
    coefficients = random_coefficients(basis)
    vector = basis.to_vector(coefficients)
    assert vector.dtype == float
    assert len(vector) == (basis.size if basis.real else 2 * basis.size - 1)
    assert np.allclose(basis.from_vector(vector), coefficients, atol=1e-15)
    many = np.stack([random_coefficients(basis, seed) for seed in range(3)])  # and for a stack of fields
    assert np.allclose(basis.from_vector(basis.to_vector(many)), many, atol=1e-15)


def test_parseval(basis: FourierBasis) -> None:
    """The Euclidean product of vectors is the mean of the product of the functions, on any grid that holds it."""
    f, g = random_coefficients(basis, 1), random_coefficients(basis, 2)
    product = basis.to_vector(f) @ basis.to_vector(g)
    # The product of two band-limited functions needs twice the bandwidth.
    shape = (40, 48, 54)
    mean = np.mean(basis.to_grid(f, shape) * basis.to_grid(g, shape))
    assert np.isclose(product, mean, rtol=1e-12, atol=1e-12 * basis.size)


def test_coarse_grids_filter_and_fine_grids_interpolate(basis: FourierBasis) -> None:
    coefficients = random_coefficients(basis)
    coarse = (5, 6, 7)
    kept = (2 * np.abs(basis.indices) < np.array(coarse)).all(axis=1)
    assert 1 < kept.sum() < basis.size
    filtered = np.where(kept, coefficients, 0)
    assert np.allclose(basis.to_grid(coefficients, coarse), basis.to_grid(filtered, coarse), atol=1e-12)
    assert np.allclose(basis.from_grid(basis.to_grid(coefficients, coarse)), filtered, atol=1e-13)
    # The mean over any grid, however coarse, is the m = 0 coefficient.
    for shape in ((1, 1, 1), (2, 3, 1), coarse, GRID):
        assert np.isclose(basis.to_grid(coefficients, shape).mean(), coefficients[0].real, atol=1e-12)


def test_bad_grid_shapes_are_refused(basis: FourierBasis) -> None:
    for shape in ((0, 4, 4), (4, 4), (4, 4, -1)):
        with pytest.raises(InputError, match="three positive integers"):
            basis.to_grid(random_coefficients(basis), shape)  # type: ignore[arg-type]


# -- ElectronicFields -------------------------------------------------------------------------------------------


def test_integrals_and_physical_values(crystal: Crystal, basis: FourierBasis) -> None:
    volume = 1.07 * crystal.volume_ref
    stored = {name: random_coefficients(basis, i) for i, name in enumerate(FIELD_NAMES)}
    fields = ElectronicFields(basis, stored, volume)
    for name in FIELD_NAMES:
        on_grid = fields.on_grid(name, GRID)
        assert on_grid.shape == GRID
        # ∫f = V × mean for every field; some are stored as V f̄, so it is their m = 0 coefficient.
        assert np.isclose(fields.integral(name), on_grid.mean() * volume, rtol=1e-11, atol=1e-11)
        assert np.array_equal(fields.vector(name), basis.to_vector(stored[name]))
    assert np.isclose(fields.integral("density"), stored["density"][0].real, rtol=1e-15)
    assert np.isclose(fields.integral("coulomb_potential"), stored["coulomb_potential"][0].real * volume, rtol=1e-15)
    assert [name for name in FIELD_NAMES if not quantity(name).times_volume] == ["coulomb_potential"]


def test_missing_fields_are_named() -> None:
    basis = FourierBasis.for_crystal(magnesium(), CUTOFF)
    fields = ElectronicFields(basis, {"density": random_coefficients(basis)}, 100.0)
    assert "density" in fields
    assert "entropy_density" not in fields
    with pytest.raises(InputError, match=r"'entropy_density' is not stored here; there are \['density'\]"):
        fields.integral("entropy_density")
