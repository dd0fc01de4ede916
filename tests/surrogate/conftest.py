"""Training data and one small surrogate of each recipe, made once for all tests of the folder."""

from __future__ import annotations

import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.state import CellState
from cellfields.surrogate import Surrogate
from tests.surrogate.samples import QUICK_RECIPES, draw
from tests.toy import ToyEngine, magnesium


@pytest.fixture(scope="session")
def crystal() -> Crystal:
    return magnesium()


@pytest.fixture(scope="session")
def engine(crystal: Crystal) -> ToyEngine:
    return ToyEngine(crystal, field_cutoff=2.0)


@pytest.fixture(scope="session")
def states(engine: ToyEngine) -> list[CellState]:
    return [engine.solve(strain) for strain in draw(engine.crystal, 40)]


@pytest.fixture(scope="session")
def unseen(crystal: Crystal) -> list[Deformation]:
    return draw(crystal, 6, seed=1)


@pytest.fixture(scope="session", params=["paper", "taylor", "best"])
def surrogate(request: pytest.FixtureRequest, crystal: Crystal, states: list[CellState]) -> Surrogate:
    return Surrogate.train(crystal, states, QUICK_RECIPES[request.param])
