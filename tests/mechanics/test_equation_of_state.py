"""The equation of state of a closed formula, and the two routes to the pressure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import CellFieldsError, InputError
from cellfields.evaluation.figures.equation_of_state import equation_of_state_figure
from cellfields.mechanics.equation_of_state import equation_of_state
from cellfields.state import CellState
from tests.toy import ToyEngine

CUBE = Crystal(7.0 * np.eye(3), ["Al"], [[0, 0, 0]])
V0, B0, B1, F0 = 340.0, 2.6e-3, 4.5, -2.1  # Bohr³, Hartree/Bohr³ (76 GPa)


class Birch(ToyEngine):
    """F(V) written out from Birch's 1947 formula, σ = dF/dV by differences, and an error of σ that a cutoff makes."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__(CUBE)
        self.offset = offset

    def energy(self, volume: float) -> float:
        x = (V0 / volume) ** (2 / 3)
        return F0 + 9 * V0 * B0 / 16 * ((x - 1) ** 3 * B1 + (x - 1) ** 2 * (6 - 4 * x))

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        state = super().solve(deformation)
        v = state.volume
        slope = (self.energy(v + 1e-3) - self.energy(v - 1e-3)) / 2e-3
        return replace(state, free_energy=self.energy(v), stress=np.eye(3) * (slope + self.offset))


def test_the_formula_is_found_again() -> None:
    found = equation_of_state(Birch(), largest=0.03)
    assert found.volume == pytest.approx(V0, rel=1e-6)
    assert found.energy == pytest.approx(F0, abs=1e-9)
    assert found.bulk_modulus == pytest.approx(B0, rel=1e-4)
    assert found.bulk_derivative == pytest.approx(B1, rel=1e-2)
    np.testing.assert_allclose(found.lengths, V0 ** (1 / 3), rtol=1e-6)
    assert found.pressures is not None
    np.testing.assert_allclose(found.pressure(found.volumes), found.pressures, atol=1e-8)
    assert found.stress_offset == pytest.approx(0, abs=1e-8)
    assert found.to_dict()["bulk_modulus_gpa"] == pytest.approx(B0 * 29421.02, rel=1e-3)
    assert len(equation_of_state_figure(found).axes) == 2


def test_a_stress_that_is_not_the_derivative_shows() -> None:
    assert equation_of_state(Birch(offset=5e-5)).stress_offset == pytest.approx(-5e-5, abs=1e-8)


def test_errors_of_both_signs_do_not_cancel() -> None:
    class Crooked(Birch):
        def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
            state = super().solve(deformation)
            return replace(state, stress=state.stress + 2e-2 * (deformation.stretches[0] - 1) * np.eye(3))

    found = equation_of_state(Crooked())
    assert abs(found.stress_offset) < 5e-5 and found.largest_disagreement > 5e-4


def test_noise_is_no_equation_of_state() -> None:
    class Noise(Birch):
        def energy(self, volume: float) -> float:
            return F0 + 1e-4 * float(np.random.default_rng(int(1e6 * volume) + self.seed).normal())

    refused = 0
    for seed in range(40):
        engine = Noise()
        engine.seed = seed
        try:
            found = equation_of_state(engine)
        except CellFieldsError:
            refused += 1
        else:
            assert found.bulk_modulus > 0 and found.volumes[0] <= found.volume <= found.volumes[-1]
    assert refused > 15


def test_a_minimum_outside_is_not_made_up() -> None:
    with pytest.raises(CellFieldsError, match="the equilibrium is at smaller volumes"):
        equation_of_state(Birch(), largest=0.001)
    with pytest.raises(InputError, match="points = 3 must be in 5"):
        equation_of_state(Birch(), points=3)
    with pytest.raises(InputError, match=r"largest = 0\.5 must be"):
        equation_of_state(Birch(), largest=0.5)
