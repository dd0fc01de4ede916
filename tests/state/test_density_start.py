"""What may be the start of a calculation, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import ElectronicFields, FourierBasis
from tests.toy import ToyEngine, magnesium

D = Deformation((1.01, 0.99, 1.0), (90.5, 90.0, 89.5))


@pytest.fixture(scope="module")
def start() -> DensityStart:
    return DensityStart.of(ToyEngine(magnesium(), field_cutoff=3.0).solve(D))


def with_density(start: DensityStart, basis: FourierBasis, values: np.ndarray) -> DensityStart:
    return replace(start, fields=ElectronicFields(basis, {"density": values}, start.fields.volume))


def test_atoms_only_on_request() -> None:
    state = ToyEngine(magnesium()).solve(D)
    assert DensityStart.of(state).internal is None
    np.testing.assert_array_equal(DensityStart.of(state, with_atoms=True).internal, state.internal)


def test_a_state_without_density_or_atoms_is_no_start() -> None:
    state = ToyEngine(magnesium()).solve(D)
    with pytest.raises(InputError, match="without a density"):
        DensityStart.of(replace(state, fields=None))
    with pytest.raises(InputError, match="positions"):
        DensityStart.of(replace(state, unknown=frozenset({"internal"})))


def test_what_does_not_match_is_named(start: DensityStart) -> None:
    crystal = magnesium()
    start.require(crystal, 8.0)
    with pytest.raises(InputError, match=r"8 electrons.*40: it was made with other pseudopotentials"):
        start.require(crystal, 40.0)
    with pytest.raises(InputError, match="a cell of 3 atoms, the crystal has 4"):
        replace(start, positions=start.positions[:3]).require(crystal, 8.0)
    with pytest.raises(InputError, match=r"curvature has shape \(2, 2\)"):
        replace(start, curvature=np.eye(2)).require(crystal, 8.0)


def test_a_density_with_another_periodicity_is_refused(start: DensityStart) -> None:
    crystal = magnesium()
    plain = Crystal(crystal.lattice_ref, crystal.species, crystal.positions_ref, symmetry=False)
    basis = FourierBasis.for_crystal(plain, 1.0)
    values = np.zeros(basis.size)
    values[0], values[1] = 8.0, 0.5
    foreign = np.abs(basis.indices @ crystal.translations.T % 1).max(axis=1)
    assert foreign[1] > 0.1
    with pytest.raises(InputError, match="lacks a translation"):
        with_density(start, basis, values).require(crystal, 8.0)
    values[1] = 1e-4
    with_density(start, basis, values).require(crystal, 8.0)


def test_the_embedded_engine_refuses_too(start: DensityStart) -> None:
    engine = PlaneWaveEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=2, kmesh=(1, 1, 1)))
    wrong = with_density(start, start.fields.basis, 1.5 * start.fields.coefficients["density"])
    with pytest.raises(InputError, match="other pseudopotentials"):
        engine.evaluate(D, np.zeros(3), start=wrong)


def test_predicted_atoms_and_a_measured_curvature_save_solves() -> None:
    """… and lead to the minimum that the reference coordinates lead to: the audit of such starts."""
    engine = PlaneWaveEngine(
        magnesium(), PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(2, 2, 1), smearing_width=0.02)
    )
    cold, continuation = engine.solve_and_continue(D)
    near, curvature = replace(cold, internal=cold.internal + 2e-5), continuation.hessian
    start = DensityStart.of(near, with_atoms=True, curvature=curvature)
    warm = engine.solve(D, start=start)
    assert abs(warm.free_energy - cold.free_energy) < 1e-7
    np.testing.assert_allclose(warm.positions, cold.positions, atol=2e-5)
    assert warm.provenance["solves"] <= 4 < cold.provenance["solves"] - 1
    with pytest.raises(InputError, match="internal coordinates"):
        engine.solve(D, start=replace(start, internal=np.zeros(2)))
