"""Forces and stress against finite differences of the converged F; fields against their integrals."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import observables
from cellfields.engines.planewave.density import weighted_density
from cellfields.engines.planewave.scf import GroundState
from cellfields.state.fields import FourierBasis
from tests.engines.planewave.problems import (
    MG2SI_SETTINGS,
    MG_SETTINGS,
    SI_SETTINGS,
    STRAIN_PATTERNS,
    four_point,
    ground_state,
    magnesium_silicide,
    moved,
    silicon,
    strained,
)
from tests.toy import magnesium

CASES = {
    "magnesium": (MG_SETTINGS, magnesium),
    "silicon": (SI_SETTINGS, silicon),
    "silicide": (MG2SI_SETTINGS, magnesium_silicide),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[GroundState, PlaneWaveSettings, object]:
    settings, crystal = CASES[request.param]
    return request.getfixturevalue(f"{request.param}_ground"), settings, crystal()


def test_forces_are_derivatives_of_the_free_energy(case) -> None:
    """Four-point differences of 0.01 Bohr: formula 1e-9, noise 1e-13/1e-2; forces themselves are of the order 1e-3."""
    ground, settings, _ = case
    geometry = ground.problem.geometry
    forces = observables.forces(ground)
    assert np.abs(forces).max() > 1e-3
    assert np.abs(forces.sum(axis=0)).max() < 1e-10  # inversion: the pair's forces cancel
    atom = int(np.flatnonzero(geometry.partners != np.arange(len(geometry.partners)))[0])
    for axis in np.eye(3):
        numeric = four_point(
            lambda t, a=axis: ground_state(moved(ground.problem, atom, t * a), settings, ground).free_energy, 1e-2
        )
        assert abs(numeric + 2 * forces[atom] @ axis) < 2e-8  # the partner moves too


def test_stress_is_the_derivative_of_the_free_energy_at_frozen_index_sets(case) -> None:
    """Two random strain directions, and all six components for the silicide; Ha/Bohr³, of the order 1e-4."""
    ground, settings, _ = case
    stress = observables.stress(ground)
    assert np.array_equal(stress, stress.T)
    directions = list(STRAIN_PATTERNS)
    if settings is not MG2SI_SETTINGS:
        mix = np.random.default_rng(2).normal(size=(2, 6))
        directions = [sum(c * p for c, p in zip(row, STRAIN_PATTERNS, strict=True)) for row in mix]
    for direction in directions:
        numeric = four_point(
            lambda t, d=direction: ground_state(strained(ground.problem, t * d), settings, ground).free_energy, 1e-3
        )
        assert abs(numeric / ground.problem.geometry.volume - (stress * direction).sum()) < 2e-9


def test_forces_are_converged_when_the_scf_is(case) -> None:
    """At the default scf_tolerance forces must be good to well below the default force_tolerance of 5e-7 Ha/Bohr."""
    ground, settings, _ = case
    default = ground_state(ground.problem, settings.model_copy(update={"scf_tolerance": 1e-10}))
    assert len(default.history) < len(ground.history)
    assert np.abs(observables.forces(default) - observables.forces(ground)).max() < 2.5e-7


def test_loose_convergence_is_corrected_in_the_forces(magnesium_ground: GroundState) -> None:
    """Hellmann–Feynman forces of a density this far off miss by 1.4e-5; the correction leaves a fifth of that."""
    loose = ground_state(magnesium_ground.problem, MG_SETTINGS.model_copy(update={"scf_tolerance": 1e-5}))
    error = observables.forces(loose) - observables.forces(magnesium_ground)
    assert 1e-8 < np.abs(error).max() < 6e-6


def test_fields_integrate_to_the_energies(case) -> None:
    """∫ρ = N, ∫u = U, −σ∫s = −TS, per cell of the crystal, to rounding; φ has zero mean."""
    ground, settings, crystal = case
    copies = crystal.n_translations
    basis = FourierBasis.for_crystal(crystal, 4 * settings.cutoff)
    fields = observables.electronic_fields(ground, crystal, basis)
    occupations = ground.occupations
    assert np.isclose(fields.volume, copies * ground.problem.geometry.volume, rtol=1e-14)
    shape = (24, 36, 40)
    cell = fields.volume
    for name, expected in (
        ("density", copies * ground.problem.electrons),
        ("band_energy_density", copies * occupations.band_energy),
        ("entropy_density", -copies * occupations.entropic_energy / settings.smearing_width),
    ):
        assert abs(fields.integral(name) - expected) < 1e-10
        assert abs(fields.on_grid(name, shape).mean() * cell - expected) < 1e-10
    assert abs(fields.integral("coulomb_potential")) < 1e-12
    # A density is positive wherever it is not negligible.
    assert fields.on_grid("density", shape).min() > -1e-4


def test_fields_are_those_of_the_primitive_cell_seen_from_the_crystal(magnesium_ground: GroundState) -> None:
    """ρ at points of the crystal's cell, against the primitive cell's own Fourier sum at the same place in space."""
    ground, crystal = magnesium_ground, magnesium()
    # The index set belongs to the reference cell: with room for the G that the strain moves inwards, all of ρ is in it.
    wide = FourierBasis.for_crystal(crystal, 1.3 * 4 * MG_SETTINGS.cutoff)
    fields = observables.electronic_fields(ground, crystal, wide)
    shape, origin = (20, 30, 30), np.array([0.11, 0.07, -0.2])
    values = fields.on_grid("density", shape, origin=origin)
    basis = ground.problem.basis
    for index in np.random.default_rng(0).integers(shape, size=(30, 3)):
        x = index / np.array(shape) + origin - crystal.inversion_centre
        primitive = x @ np.linalg.inv(crystal.primitive)
        direct = np.cos(2 * np.pi * basis.density_m @ primitive) @ ground.density
        assert abs(values[tuple(index)] - direct) < 1e-12


def test_fermi_energy_and_terms_are_named(case) -> None:
    ground, _, _ = case
    terms = observables.energy_terms(ground)
    expected = {"kinetic", "hartree", "xc", "local_psp", "nonlocal_psp", "ewald", "psp_core", "entropic"}
    assert set(terms) == expected
    assert all(np.isfinite(value) for value in terms.values())
    assert terms["kinetic"] > 0 > terms["xc"]
    assert terms["hartree"] > 0


def test_densities_are_linear_in_their_weights_also_in_negative_ones(magnesium_ground: GroundState) -> None:
    """Cold smearing gives some states a negative occupation; those are summed apart."""
    orbitals, problem = magnesium_ground.orbitals, magnesium_ground.problem
    shape = (len(orbitals.vectors), orbitals.vectors[0].shape[1])
    rng = np.random.default_rng(5)
    positive, mixed = rng.uniform(0.1, 1, shape), rng.normal(size=shape)
    lifted = weighted_density(problem.basis, orbitals.vectors, mixed + 5 * positive)
    parts = [weighted_density(problem.basis, orbitals.vectors, w) for w in (mixed, positive)]
    assert np.abs(parts[0]).max() > 1e-3
    np.testing.assert_allclose(lifted, parts[0] + 5 * parts[1], atol=1e-13)
