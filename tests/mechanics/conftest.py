"""A surrogate of a crystal whose energy is a formula, made once for all tests of the folder."""

from __future__ import annotations

import pytest

from cellfields.crystal.deformation import sample_deformations
from cellfields.surrogate import Recipe, Surrogate
from tests.mechanics.engines import HyperelasticEngine
from tests.toy import magnesium


@pytest.fixture(scope="session")
def formula() -> HyperelasticEngine:
    return HyperelasticEngine(magnesium(), fields=True)


@pytest.fixture(scope="session")
def learned(formula: HyperelasticEngine) -> Surrogate:
    strains = sample_deformations(formula.crystal, 150, seed=0, stretch_sigma=0.02, angle_sigma=1.0)
    recipe = Recipe(name="best", degree=3, blend=1, modes=6)  # the formula's own degree
    return Surrogate.train(formula.crystal, map(formula.solve, strains), recipe)
