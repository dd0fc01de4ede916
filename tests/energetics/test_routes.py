"""On DFT's own fields all routes are one number; what each of them adds up, and what it costs to ask for all."""

from __future__ import annotations

import pytest

import cellfields.energetics
from cellfields.energetics import ROUTES, TrialDensity, energy_routes
from cellfields.engines.planewave.cell import Cell
from cellfields.errors import InputError
from tests.energetics.cases import CASES, case, perturbed


@pytest.mark.parametrize("name", CASES)
def test_on_dfts_own_fields_every_route_gives_dfts_free_energy(name: str) -> None:
    """Paper, eq. 19 = eq. 20: the routes share no more than the energy terms."""
    given = case(name)
    found = energy_routes(given.engine, given.state, made_by=given.engine.identity)
    assert list(found) == list(ROUTES)
    for route, energy in found.items():
        assert abs(energy.free_energy - given.state.free_energy) < 1e-6, route
    # The stationary ones do not even see what self-consistency left.
    stationary = 1e-9 if given.engine.settings.basis == "full" else 5e-8
    for route in ("SCF", "Harris–Foulkes"):
        assert abs(found[route].free_energy - given.state.free_energy) < stationary, route


@pytest.mark.parametrize("name", ["Mg", "MgAl", "Mg reduced"])
def test_parts_are_those_of_the_state(name: str) -> None:
    given = case(name)
    found = energy_routes(given.engine, given.state)
    for route in ("orbital", "SCF"):
        assert set(found[route].parts) == set(given.state.energy_terms)
        for term, value in found[route].parts.items():
            assert abs(value - given.state.energy_terms[term]) < 2e-5, (route, term)
    for route in ("sum", "Harris–Foulkes"):
        assert found[route].parts["band"] == pytest.approx(given.state.band_energy, abs=2e-6)
        assert found[route].parts["entropic"] == pytest.approx(given.state.entropic_energy, abs=2e-6)
        assert found[route].parts["hartree"] == pytest.approx(-given.state.energy_terms["hartree"], abs=2e-6)


def test_one_diagonalisation_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    one_step = Cell.one_step
    monkeypatch.setattr(Cell, "one_step", lambda self, density: calls.append(1) or one_step(self, density))
    given = case("Mg")
    energy_routes(given.engine, given.state, ["direct", "sum"])
    assert not calls
    energy_routes(given.engine, perturbed(given, 0.01))
    assert len(calls) == 1


def test_routes_by_name() -> None:
    given = case("Mg")
    assert list(energy_routes(given.engine, given.state, ["sum", "direct"])) == ["direct", "sum"]
    with pytest.raises(InputError, match="route 'magic' is unknown; there are direct, sum, orbital, SCF"):
        energy_routes(given.engine, given.state, ["magic"])


@pytest.mark.parametrize("name", cellfields.energetics.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(cellfields.energetics, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trial'"):
        cellfields.energetics.Trial  # noqa: B018


def test_per_cell_of_the_crystal_given() -> None:
    """Four atoms, computed as two."""
    given = case("Mg")
    assert TrialDensity.of(given.engine, given.state).copies == 2
