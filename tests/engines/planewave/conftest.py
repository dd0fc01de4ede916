"""Solved problems shared by the test files: each takes a few tenths of a second."""

from __future__ import annotations

import pytest

from cellfields.engines.planewave.scf import GroundState
from tests.engines.planewave.problems import (
    MG2SI_SETTINGS,
    MG_SETTINGS,
    SI_SETTINGS,
    ground_state,
    magnesium_problem,
    silicide_problem,
    silicon_problem,
)


@pytest.fixture(scope="session")
def magnesium_ground() -> GroundState:
    """Strained hcp Mg, atoms displaced, cold smearing."""
    return ground_state(magnesium_problem(), MG_SETTINGS)


@pytest.fixture(scope="session")
def silicon_ground() -> GroundState:
    """Strained Si, atoms displaced, filled bands."""
    return ground_state(silicon_problem(), SI_SETTINGS)


@pytest.fixture(scope="session")
def silicide_ground() -> GroundState:
    """Strained Mg2Si, the pair of Mg atoms displaced, Gaussian smearing."""
    return ground_state(silicide_problem(), MG2SI_SETTINGS)
