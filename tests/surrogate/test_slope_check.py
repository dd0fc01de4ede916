"""Slopes that contradict the energies are found, not learned, and told of; slopes that agree are learned."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import PhysicsWarning
from cellfields.state import CellState
from cellfields.surrogate import Recipe, Surrogate
from cellfields.surrogate.polynomial import polynomial_slope
from cellfields.surrogate.slope_check import slope_check
from cellfields.surrogate.trend import monomials
from cellfields.units import GPA
from tests.surrogate.samples import draw
from tests.surrogate.test_closed_form import Elastic

pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")
BEST = Recipe(name="best", degree=4, modes=4)


@pytest.fixture(scope="module")
def engine(crystal: Crystal) -> Elastic:
    return Elastic(crystal, field_cutoff=1.0)


@pytest.fixture(scope="module")
def elastic(engine: Elastic) -> list[CellState]:
    return [engine.solve(strain) for strain in draw(engine.crystal, 40)]


def with_pressure(states: list[CellState], gpa: float) -> list[CellState]:
    """The same energies, and a stress with so much tension too much."""
    return [replace(state, stress=state.stress + gpa / GPA * np.eye(3)) for state in states]


def test_slopes_of_monomials() -> None:
    z = np.random.default_rng(0).normal(size=(5, 3))
    step = 1e-5
    for axis in range(3):
        unit = step * np.eye(3)[axis]
        by_difference = (monomials(z + unit, 3) - monomials(z - unit, 3)) / (2 * step)
        np.testing.assert_allclose(polynomial_slope(z, 3, axis), by_difference, atol=1e-8)


@pytest.mark.parametrize("gpa", [0.0, 0.4, 3.0, -3.0, 110.0])
def test_a_pressure_is_found_as_it_is(elastic: list[CellState], crystal: Crystal, gpa: float) -> None:
    found = slope_check(crystal, with_pressure(elastic, gpa))
    assert found is not None
    assert found.pressure_gpa == pytest.approx(gpa, abs=0.02)
    assert found.contradicts == (abs(gpa) >= 1)
    stress = np.array([[s.stress[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))] for s in elastic])
    assert found.spread_gpa == pytest.approx(np.sqrt(stress.var(axis=0).mean()) * GPA)


def test_noise_of_the_energies_is_no_contradiction(elastic: list[CellState], crystal: Crystal) -> None:
    """Plane waves that come and go with the cell make F rough, as far as a rough F can hide a pressure."""
    noise = np.random.default_rng(2).normal(size=len(elastic))
    rough = [replace(s, free_energy=s.free_energy + 0.02 * x) for s, x in zip(elastic, noise, strict=True)]
    quiet, loud = slope_check(crystal, elastic), slope_check(crystal, rough)
    assert quiet is not None and loud is not None
    assert loud.error_gpa > 1 > 20 * quiet.error_gpa
    assert not loud.contradicts


def test_nothing_to_compare(elastic: list[CellState], crystal: Crystal) -> None:
    assert slope_check(crystal, elastic[:7]) is None
    assert slope_check(crystal, [replace(state, stress=None) for state in elastic]) is None


def test_slopes_that_contradict_are_left_out_and_told(elastic: list[CellState], engine: Elastic) -> None:
    crystal = engine.crystal
    with pytest.warns(PhysicsWarning, match=r"not the derivative of their energies: it has \+10 ± .* GPa"):
        wrong = Surrogate.train(crystal, with_pressure(elastic, 10.0), BEST)
    with warnings.catch_warnings():
        warnings.simplefilter("error", PhysicsWarning)
        right = Surrogate.train(crystal, elastic, BEST)
        values = Surrogate.train(crystal, elastic, BEST.model_copy(update={"slopes": False}))
    assert right.metadata["slopes"] == "learned"
    assert values.metadata["slopes"] == "left out: slopes = false"
    assert str(wrong.metadata["slopes"]).startswith("left out: the stress of the training states is not the derivative")
    assert wrong.metadata["slope_offset_gpa"]["offset"] == pytest.approx(10, abs=0.05)
    for strain in draw(crystal, 5, seed=9):
        state = wrong.solve(strain)
        assert state.free_energy == pytest.approx(values.solve(strain).free_energy, abs=1e-12)
        # The stress is that of the energies, without the 10 GPa of the labels.
        assert np.abs(state.stress - engine.solve(strain).stress).max() * GPA < 0.5


def test_a_network_recipe_tells_it_too(elastic: list[CellState], crystal: Crystal) -> None:
    taylor = Recipe(name="taylor", modes=4, epochs=1, field_widths=(4,), small_widths=(4,))
    with pytest.warns(PhysicsWarning, match="not the derivative"):
        surrogate = Surrogate.train(crystal, with_pressure(elastic, -5.0), taylor)
    assert surrogate.metadata["slopes"] == "left out: this recipe learns from values alone"
    assert surrogate.metadata["slope_offset_gpa"]["offset"] == pytest.approx(-5, abs=0.05)


def test_held_components_do_no_harm(engine: Elastic) -> None:
    crystal = engine.crystal
    drawn = [d.as_array() for d in draw(crystal, 30, seed=3)]
    sheet = [Deformation.from_array(np.array([*d[:2], 1.0, 90.0, 90.0, d[5]])) for d in drawn]
    found = slope_check(crystal, with_pressure([engine.solve(strain) for strain in sheet], 4.0))
    assert found is not None and found.contradicts
    assert found.pressure_gpa == pytest.approx(4, abs=0.05)
    shear = [Deformation.from_array(np.array([1.0, 1.0, 1.0, 90.0, 90.0, 90.0])) for _ in range(9)]
    assert slope_check(crystal, [engine.solve(strain) for strain in shear]) is None
