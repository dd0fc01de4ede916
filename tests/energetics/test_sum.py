"""Equation 20 from fields: linear in u and s, first order in ρ, and the zero of u."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.energetics import TrialDensity, sum_energy
from cellfields.engines.planewave.arithmetic import inner
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields
from tests.energetics.cases import Case, case, perturbed, with_field


def energy(given: Case, state: CellState) -> float:
    return sum_energy(TrialDensity.of(given.engine, state)).free_energy


@pytest.mark.parametrize(("field", "slope"), [("band_energy_density", 1.0), ("entropy_density", -0.02)])
def test_linear_in_u_and_s(field: str, slope: float) -> None:
    given = case("Mg")
    changed = given.state.fields.coefficients[field].copy()
    changed[0] += 0.3
    assert energy(given, with_field(given.state, field, changed)) - energy(given, given.state) == pytest.approx(
        0.3 * slope, abs=1e-12
    )


def test_the_zero_of_u() -> None:
    """Eigenvalues from another zero would add c N: the route is right for a zero mean of V_H + V_loc only."""
    given = case("Mg")
    fields = given.state.fields
    shifted = fields.coefficients["band_energy_density"] + 0.1 * fields.coefficients["density"]
    wrong = energy(given, with_field(given.state, "band_energy_density", shifted)) - given.state.free_energy
    assert wrong == pytest.approx(0.1 * fields.integral("density"), abs=1e-6)
    assert fields.integral("coulomb_potential") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["Mg", "MgAl"])
def test_first_order_in_the_density(name: str) -> None:
    """δF = −∫(V_H δρ + ρ δV_xc): V_xc is not stationary, and neither is the route."""
    given, step = case(name), 1e-4
    before, after = (TrialDensity.of(given.engine, perturbed(given, amount)) for amount in (-step, step))
    middle = TrialDensity.of(given.engine, given.state)
    problem = middle.cell.problem
    change = after.density - before.density
    hartree = middle.potentials.coulomb - problem.local_potential
    slope = inner(hartree, change) + inner(middle.density, after.potentials.xc - before.potentials.xc)
    expected = -problem.basis.volume * slope * middle.copies
    found = sum_energy(after).free_energy - sum_energy(before).free_energy
    assert abs(expected) > 1e-6
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("field", ["band_energy_density", "entropy_density"])
def test_a_state_without_a_field(field: str) -> None:
    given = case("Mg")
    fields = given.state.fields
    fewer = {name: values for name, values in fields.coefficients.items() if name != field}
    state = replace(given.state, fields=ElectronicFields(fields.basis, fewer, fields.volume))
    with pytest.raises(InputError, match=f"sum: the state has no {field}"):
        energy(given, state)


def test_filled_bands_have_no_entropy() -> None:
    given = case("Si")
    fields = given.state.fields
    fewer = {name: values for name, values in fields.coefficients.items() if name != "entropy_density"}
    state = replace(given.state, fields=ElectronicFields(fields.basis, fewer, fields.volume))
    assert np.isclose(energy(given, state), given.state.free_energy, rtol=0, atol=1e-6)
