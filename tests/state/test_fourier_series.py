"""Short Fourier series on a grid: the same as the sum written out, and as the FFT of long ones."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.state.fourier_series import Series
from tests.toy import magnesium

CARBIDE = Crystal(4.12 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Si", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
CRYSTALS = {"centred, real": magnesium(), "primitive, complex": CARBIDE}
RNG = np.random.default_rng(0)


def coefficients(basis: FourierBasis) -> np.ndarray:
    values = RNG.normal(size=basis.size)
    if basis.real:
        return values
    imaginary = 1j * RNG.normal(size=basis.size)
    imaginary[0] = 0
    return values + imaginary


def written_out(basis: FourierBasis, values: np.ndarray, shape: tuple[int, int, int], origin: np.ndarray) -> np.ndarray:
    axes = [np.arange(n) / n + o for n, o in zip(shape, origin, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) - basis.origin
    keep = (2 * np.abs(basis.indices) < shape).all(axis=1)
    phase = np.exp(2j * np.pi * (points @ basis.indices[keep].T))
    weights = np.where((basis.indices[keep] == 0).all(axis=1), 1, 2)
    return (phase @ (weights * values[keep])).real


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize(
    "shape", [(12, 20, 18), (11, 20, 18), (12, 21, 18), (5, 6, 7), (6, 6, 6), (4, 3, 9), (1, 1, 1)]
)
@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.3)])
def test_both_ways_are_the_sum(name: str, shape: tuple[int, int, int], origin: tuple[float, float, float]) -> None:
    basis = FourierBasis.for_crystal(CRYSTALS[name], 4.0)
    values, place = coefficients(basis), np.array(origin)
    expected = written_out(basis, values, shape, place)
    offset = place - basis.origin
    np.testing.assert_allclose(Series.of(basis.indices, shape, offset)(values), expected, atol=1e-12)
    np.testing.assert_allclose(basis._by_fft(values, np.array(shape), offset), expected, atol=1e-12)
    np.testing.assert_allclose(basis.to_grid(values, shape, origin), expected, atol=1e-12)


def test_half_of_a_centred_cell_is_copied() -> None:
    basis = FourierBasis.for_crystal(magnesium(), 4.0)
    offset = -basis.origin
    assert len(Series.of(basis.indices, (12, 20, 18), offset).first) == 2
    assert len(Series.of(basis.indices, (11, 20, 18), offset).first) == 1  # half a cell is no number of points
    grid = Series.of(basis.indices, (12, 20, 18), offset)(coefficients(basis))
    np.testing.assert_array_equal(np.roll(grid, (6, 10), axis=(0, 1)), grid)


def test_series_that_end_early_are_the_same_functions() -> None:
    basis = FourierBasis.for_crystal(magnesium(), 4.0)
    values = coefficients(basis)
    values[40:] = 0
    expected = written_out(basis, values, (12, 20, 18), np.zeros(3))
    np.testing.assert_allclose(basis.to_grid(values, (12, 20, 18)), expected, atol=1e-12)
    assert not basis.to_grid(np.zeros(basis.size), (4, 4, 4)).any()


def test_long_series_take_the_fft() -> None:
    basis = FourierBasis.for_crystal(magnesium(), 4.0)
    assert Series.of(basis.indices, (36, 64, 60), -basis.origin).pays
    many = np.array([(a, b, c) for a in range(40) for b in (-39, 39) for c in (-39, 39)])
    assert not Series.of(many, (80, 80, 80), np.zeros(3)).pays


def test_a_result_may_be_written_where_one_wants() -> None:
    basis = FourierBasis.for_crystal(magnesium(), 4.0)
    values, out = coefficients(basis), np.empty((12, 20, 18))
    series = Series.of(basis.indices, (12, 20, 18), -basis.origin)
    assert series(values, out) is out
    np.testing.assert_array_equal(out, series(values))
    fields = ElectronicFields(basis, {"density": values}, 7.0)
    assert fields.on_grid("density", (12, 20, 18), out=out) is out
    np.testing.assert_array_equal(out, fields.on_grid("density", (12, 20, 18)))
    for wrong in (np.empty((12, 20, 17)), np.empty((12, 20, 18), np.float32)):
        with pytest.raises(InputError, match=r"out must be an array of \(12, 20, 18\) float64"):
            fields.on_grid("density", (12, 20, 18), out=wrong)


def test_densities_are_divided_by_the_volume() -> None:
    basis = FourierBasis.for_crystal(magnesium(), 2.0)
    values = coefficients(basis)
    fields = ElectronicFields(basis, {"density": values, "coulomb_potential": values}, 7.0)
    density, potential = (fields.on_grid(n, (6, 6, 6)) for n in ("density", "coulomb_potential"))
    np.testing.assert_allclose(7 * density, potential, rtol=1e-12, atol=1e-13)
