"""The number that the state holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellfields.energetics import TrialDensity, direct_energy
from cellfields.errors import InputError
from tests.energetics.cases import case


def test_it_is_the_states_own() -> None:
    given = case("Mg")
    predicted = replace(given.state, free_energy=-1.5)
    assert direct_energy(TrialDensity.of(given.engine, predicted)).free_energy == -1.5


def test_a_state_without_one() -> None:
    given = case("Mg")
    unknown = replace(given.state, free_energy=float("nan"), unknown=frozenset({"free_energy"}))
    with pytest.raises(InputError, match="direct: the state does not know its free energy"):
        direct_energy(TrialDensity.of(given.engine, unknown))
