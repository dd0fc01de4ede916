"""Real and complex arithmetic: packing, structure factors, and the products that hold for both."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.engines.planewave.arithmetic import (
    Arithmetic,
    ComplexArithmetic,
    RealArithmetic,
    adjoint,
    as_reals,
    inner,
    overlap,
    squares,
)
from tests.engines.planewave.problems import four_point

BOTH = [RealArithmetic(), ComplexArithmetic()]


def random(arithmetic: Arithmetic, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    real = rng.normal(size=shape)
    return real if arithmetic.dtype == float else real + 1j * rng.normal(size=shape)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("arithmetic", BOTH)
def test_packing_is_undone(arithmetic: Arithmetic, count: int) -> None:
    vectors = random(arithmetic, 7, count)
    rows = arithmetic.pack(vectors)
    assert rows.shape == ((count + 1) // 2 if arithmetic.dtype == float else count, 7)
    assert np.array_equal(arithmetic.unpack(np.asarray(rows, dtype=complex), count), vectors)


@pytest.mark.parametrize("arithmetic", BOTH)
def test_pull_is_the_slope_of_the_wave(arithmetic: Arithmetic) -> None:
    """−d/dφ Re f* S(φ) with S an ion's phase factor."""
    field, phase = random(arithmetic, 9), np.linspace(-3, 3, 9)
    for i in range(9):
        slope = four_point(lambda t, i=i: float(np.real(field[i].conj() * arithmetic.wave(phase[[i]] + t)[0])))
        assert arithmetic.pull(field, phase)[i] == pytest.approx(-slope, abs=1e-10)


@pytest.mark.parametrize("arithmetic", BOTH)
def test_products(arithmetic: Arithmetic) -> None:
    a, b = random(arithmetic, 8, 3), random(arithmetic, 8, 5)[::-1]
    assert np.allclose(adjoint(a), np.conj(a).T)
    assert np.allclose(overlap(a, b), np.conj(a).T @ b)
    assert np.allclose(overlap(b, a), np.conj(b).T @ a)
    assert inner(a[:, 0], b[:, 0]) == pytest.approx(np.real(np.conj(a[:, 0]) @ b[:, 0]))
    assert np.allclose(squares(a), np.abs(a) ** 2)
    matrix = np.random.default_rng(1).normal(size=(4, 8))
    assert np.allclose((matrix @ as_reals(a)).view(a.dtype), matrix @ a)
    assert np.allclose(as_reals(a.T) @ as_reals(a.T).T, np.real(a.T @ np.conj(a)))


def test_conjugation_of_real_arrays_costs_nothing() -> None:
    values = np.ones((3, 4))
    assert np.shares_memory(adjoint(values), values)
    assert as_reals(values) is values or np.shares_memory(as_reals(values), values)
