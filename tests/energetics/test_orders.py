"""How each route's error falls with the density's: orbital linearly, Harris–Foulkes and SCF quadratically, SCF ≥ 0."""

from __future__ import annotations

from functools import cache

import pytest

from cellfields.energetics import TrialDensity, energy_routes
from cellfields.engines.planewave.arithmetic import inner
from tests.energetics.cases import CASES, case, perturbed


@cache
def errors(name: str, amount: float) -> dict[str, float]:
    given = case(name)
    found = energy_routes(given.engine, perturbed(given, amount), ["orbital", "SCF", "Harris–Foulkes"])
    return {route: energy.free_energy - given.state.free_energy for route, energy in found.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("route", "order"), [("orbital", 1), ("SCF", 2), ("Harris–Foulkes", 2)])
def test_order(name: str, route: str, order: int) -> None:
    larger, smaller = errors(name, 0.05)[route], errors(name, 0.025)[route]
    assert abs(smaller) > 2e-5
    assert larger / smaller == pytest.approx(2**order, rel=0.05)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("amount", [0.2, 0.05, -0.05])
def test_one_step_is_variational_and_harris_foulkes_lies_below(name: str, amount: float) -> None:
    """F_KS is a minimum over orbitals and occupations; −½δK(1 − χ₀K)δ is negative where Coulomb repulsion rules K."""
    found = errors(name, amount)
    assert found["SCF"] > 0
    assert found["Harris–Foulkes"] < 0


@pytest.mark.parametrize("name", ["Mg", "Mg PBE", "MgAl", "Si"])
def test_orbital_is_harris_foulkes_and_a_first_order_term(name: str) -> None:
    """F_orbital = F_HF + ∫V_in (ρ_in − ρ_out): kinetic and non-local energy against eigenvalues."""
    given = case(name)
    trial = TrialDensity.of(given.engine, perturbed(given, 0.1))
    found = energy_routes(given.engine, trial.state)
    between = inner(trial.potentials.effective, trial.density - trial.diagonalised.density)
    expected = found["Harris–Foulkes"].free_energy + trial.copies * trial.cell.problem.basis.volume * between
    assert found["orbital"].free_energy == pytest.approx(expected, abs=1e-9)
