"""Crystals without an inversion centre: complex arithmetic against the real one, and against itself.

A centrosymmetric crystal whose centre is free is the same crystal, computed in complex numbers: every result must agree
with the real arithmetic. Zinc blende has no centre at all: derivatives, mirror images and starts are tested there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.band_filling import starting_bands
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine, observables
from cellfields.engines.planewave.continuation import FieldStart
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.reduced.bands import ReducedBands, ReducedSpace
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.making import extended_basis, first_basis
from cellfields.engines.planewave.reduced.mesh import ReducedMesh
from cellfields.engines.planewave.scf import GroundState, self_consistent
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import FIELD_NAMES, FourierBasis
from tests.engines.planewave.problems import (
    SI_INTERNAL,
    SI_STRAIN,
    STRAIN,
    STRAIN_PATTERNS,
    ZB_INTERNAL,
    ZB_SETTINGS,
    four_point,
    ground_state,
    magnesium_silicide,
    make_problem,
    moved,
    strained,
    zinc_blende,
    zinc_blende_problem,
)
from tests.toy import magnesium

# The first atom stays where it is: only then do real and complex arithmetic see the same grid points.
CENTROSYMMETRIC = {
    "Mg": (magnesium, STRAIN, (0.0, 0.0, 0.0), {"cutoff": 5, "smearing_width": 0.02}),
    "Mg2Si": (magnesium_silicide, SI_STRAIN, SI_INTERNAL, {"cutoff": 4, "smearing": "gaussian"}),
}


def both(name: str, **more) -> tuple[CellState, CellState]:  # type: ignore[no-untyped-def]
    """The same state in real and in complex arithmetic."""
    make, strain, internal, settings = CENTROSYMMETRIC[name]
    crystal, deformation = make(), Deformation.from_array(strain)
    free = crystal.with_inversion("free")
    made = PlaneWaveSettings(scf_tolerance=1e-13, **{"smearing": "cold", **settings, **more})
    positions = crystal.positions(internal)
    return (
        PlaneWaveEngine(crystal, made).evaluate(deformation, np.array(internal)),
        PlaneWaveEngine(free, made).evaluate(deformation, free.internal(positions)),
    )


@pytest.mark.parametrize("settings", [{}, {"plane_waves": "union"}, {"functional": "pbe"}], ids=str)
@pytest.mark.parametrize("name", CENTROSYMMETRIC)
def test_a_free_centre_changes_no_number(name: str, settings: dict) -> None:
    real, complex_ = both(name, kmesh=(2, 2, 1), basis="full", **settings)
    assert real.fields.basis.real and not complex_.fields.basis.real
    assert np.abs(real.forces).max() > 1e-3
    assert abs(real.free_energy - complex_.free_energy) < 1e-10
    assert np.abs(real.forces - complex_.forces).max() < 1e-10
    assert np.abs(real.stress - complex_.stress).max() < 1e-10
    for quantity in ("band_energy", "entropic_energy", "fermi_energy"):
        assert abs(getattr(real, quantity) - getattr(complex_, quantity)) < 1e-10
    for term, value in real.energy_terms.items():
        assert abs(value - complex_.energy_terms[term]) < 1e-10, term
    for field in FIELD_NAMES:
        # About the same origin: real coefficients.
        assert np.abs(real.fields.coefficients[field] - complex_.fields.coefficients[field]).max() < 1e-10, field


@pytest.mark.parametrize("name", CENTROSYMMETRIC)
def test_a_free_centre_changes_no_number_in_the_reduced_basis(name: str) -> None:
    """Both bases span the same functions: even and odd ones there, the real and imaginary parts of orbitals here."""
    real, complex_ = both(name, kmesh=(3, 3, 3), basis="reduced", basis_tolerance=1e-5)
    assert real.energy_terms["basis_correction"] < -1e-7
    assert abs(real.energy_terms["basis_correction"] - complex_.energy_terms["basis_correction"]) < 1e-9
    assert abs(real.free_energy - complex_.free_energy) < 1e-10
    assert np.abs(real.forces - complex_.forces).max() < 1e-8
    assert np.abs(real.stress - complex_.stress).max() < 1e-9
    for field in FIELD_NAMES:
        assert np.abs(real.fields.vector(field)[0] - complex_.fields.vector(field)[0]) < 1e-8
        difference = real.fields.coefficients[field] - complex_.fields.coefficients[field]
        assert np.abs(difference).max() < 1e-6, field


# -- zinc blende --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ground() -> GroundState:
    return ground_state(zinc_blende_problem(), ZB_SETTINGS)


@pytest.fixture(scope="module")
def state() -> CellState:
    return PlaneWaveEngine(zinc_blende(), ZB_SETTINGS).evaluate(
        Deformation.from_array(SI_STRAIN), np.array(ZB_INTERNAL)
    )


def bond_stretched(problem: KohnShamProblem, shift: np.ndarray) -> KohnShamProblem:
    """Both atoms displaced oppositely: the grid resists a common displacement, forces have that part removed."""
    return moved(moved(problem, 1, shift, partner=False), 0, -shift, partner=False)


def test_the_crystal_is_computed_in_complex_numbers(ground: GroundState) -> None:
    assert ground.problem.geometry.partners is None
    assert np.abs(ground.density.imag).max() > 1e-3
    row = {tuple(m): i for i, m in enumerate(ground.problem.basis.density_m.tolist())}
    mirror = [row[tuple(-m)] for m in ground.problem.basis.density_m]
    assert np.abs(ground.density[mirror].conj() - ground.density).max() < 1e-13


def test_forces_are_derivatives_of_the_free_energy(ground: GroundState) -> None:
    forces = observables.forces(ground)
    assert np.abs(forces).max() > 1e-3
    assert np.abs(forces.sum(axis=0)).max() < 1e-15
    for axis in np.eye(3):
        numeric = four_point(
            lambda t, a=axis: ground_state(bond_stretched(ground.problem, t * a), ZB_SETTINGS, ground).free_energy, 1e-2
        )
        assert abs(numeric + (forces[1] - forces[0]) @ axis) < 2e-8


def test_stress_is_the_derivative_of_the_free_energy_at_frozen_index_sets(ground: GroundState) -> None:
    stress = observables.stress(ground)
    for pattern in STRAIN_PATTERNS:
        numeric = four_point(
            lambda t, p=pattern: ground_state(strained(ground.problem, t * p), ZB_SETTINGS, ground).free_energy, 1e-3
        )
        assert abs(numeric / ground.problem.geometry.volume - (stress * pattern).sum()) < 2e-9


def test_the_mirror_image_has_the_same_energy_and_opposite_forces(state: CellState) -> None:
    """x → −x: a wrong sign of any imaginary part would show."""
    crystal = zinc_blende()
    mirrored = Crystal(crystal.lattice_ref, crystal.species, -crystal.positions_ref)
    other = PlaneWaveEngine(mirrored, ZB_SETTINGS).evaluate(Deformation.from_array(SI_STRAIN), -np.array(ZB_INTERNAL))
    assert abs(state.free_energy - other.free_energy) < 1e-11
    assert np.abs(state.forces + other.forces).max() < 1e-9
    assert np.abs(state.stress - other.stress).max() < 1e-10
    for field in FIELD_NAMES:
        mine, theirs = state.fields.coefficients[field], other.fields.coefficients[field]
        assert np.abs(mine.imag).max() > 1e-5, field
        assert np.abs(mine - theirs.conj()).max() < 1e-9, field


def test_fields_are_where_the_atoms_are(state: CellState) -> None:
    """φ is deepest at aluminium (Z = 3), ∫ρ = N, ∫u = U, −σ∫s = −TS."""
    shape = (30, 30, 30)
    phi = state.fields.on_grid("coulomb_potential", shape)
    place = np.array(np.unravel_index(phi.argmin(), shape)) / shape
    offset = place - state.positions[1]
    assert np.linalg.norm((offset - np.rint(offset)) @ state.lattice) < 0.3
    assert abs(phi.mean()) < 1e-12
    assert state.fields.on_grid("density", shape).mean() * state.volume == pytest.approx(5, abs=1e-10)
    assert state.fields.integral("band_energy_density") == pytest.approx(state.band_energy, abs=1e-10)
    entropy = state.fields.integral("entropy_density")
    assert -ZB_SETTINGS.smearing_width * entropy == pytest.approx(state.entropic_energy, abs=1e-10)
    vector = state.fields.vector("density")
    assert vector @ vector == pytest.approx(
        np.mean((state.fields.on_grid("density", shape) * state.volume) ** 2), rel=1e-10
    )


def test_time_reversal_changes_no_number(state: CellState) -> None:
    """k and −k have the same energies and densities without an inversion centre too."""
    settings = ZB_SETTINGS.model_copy(update={"time_reversal": False})
    other = PlaneWaveEngine(zinc_blende(), settings).evaluate(Deformation.from_array(SI_STRAIN), np.array(ZB_INTERNAL))
    assert other.provenance["k_points"] > state.provenance["k_points"]
    assert abs(state.free_energy - other.free_energy) < 1e-11
    assert np.abs(state.forces - other.forces).max() < 1e-9
    assert np.abs(state.fields.coefficients["density"] - other.fields.coefficients["density"]).max() < 1e-8


def test_the_origin_is_free() -> None:
    """All atoms shifted: E_xc sees other grid points, whose influence a fine grid removes."""
    crystal, strain = zinc_blende(), Deformation.from_array(SI_STRAIN)
    settings = ZB_SETTINGS.model_copy(update={"fft_grid": (36, 36, 36), "kmesh": (2, 1, 1)})
    shift = np.array([0.213, -0.07, 0.139])
    shifted = Crystal(crystal.lattice_ref, crystal.species, crystal.positions_ref + shift)
    one, other = (PlaneWaveEngine(c, settings).evaluate(strain, np.array(ZB_INTERNAL)) for c in (crystal, shifted))
    assert abs(one.free_energy - other.free_energy) < 1e-10
    assert np.abs(one.forces - other.forces).max() < 1e-8
    grids = one.fields.on_grid("density", (20, 20, 20)), other.fields.on_grid("density", (20, 20, 20), origin=shift)
    assert np.abs(grids[0] - grids[1]).max() < 1e-8


# -- the reduced basis --------------------------------------------------------------------------------------------

REDUCED = ZB_SETTINGS.model_copy(update={"kmesh": (3, 2, 2), "plane_waves": "union", "cutoff": 4.0})


def solve_in(problem: KohnShamProblem, bloch: BlochBasis) -> GroundState:
    mesh = ReducedMesh(problem.geometry, bloch.m, problem.basis.k_points, problem.basis.k_weights)
    solver = ReducedBands(ReducedSpace.of(problem, bloch), mesh, starting_bands(REDUCED, problem.electrons))
    return self_consistent(problem, REDUCED, solver, problem.superposed_density())


@pytest.fixture(scope="module")
def frozen() -> tuple[KohnShamProblem, BlochBasis, GroundState]:
    """A deliberately small basis: what a derivative lacked would show."""
    problem = make_problem(zinc_blende(), SI_STRAIN, ZB_INTERNAL, REDUCED)
    potential = problem.basis.to_real(problem.potentials(problem.superposed_density()).effective)
    bands = starting_bands(REDUCED, problem.electrons)
    mesh = ReducedMesh(problem.geometry, problem.basis.wave_m[0], problem.basis.k_points, problem.basis.k_weights)
    bloch = first_basis(problem, REDUCED, potential, bands)
    bloch = extended_basis(problem, REDUCED, bloch, potential, mesh, bands, 1e-4)
    return problem, bloch, solve_in(problem, bloch)


def test_basis_functions_are_real_and_orthonormal(frozen) -> None:
    problem, bloch, _ = frozen
    waves = bloch.lift(np.eye(bloch.size, dtype=complex))
    assert np.abs(waves.conj().T @ waves - np.eye(bloch.size)).max() < 1e-12
    on_grid = problem.basis.waves_on_grid(problem.basis.flat_index(bloch.m), waves.T)
    assert np.abs(on_grid.imag).max() < 1e-12 < np.abs(on_grid.real).max()


def test_forces_of_the_reduced_basis(frozen) -> None:
    problem, bloch, ground = frozen
    forces = observables.forces(ground)
    for axis in np.eye(3):
        slope = four_point(lambda t, a=axis: solve_in(bond_stretched(problem, t * a), bloch).free_energy, 0.01)
        assert -(forces[1] - forces[0]) @ axis == pytest.approx(slope, abs=2e-8)


@pytest.mark.parametrize("component", range(6))
def test_stress_of_the_reduced_basis(frozen, component: int) -> None:
    problem, bloch, ground = frozen
    pattern = STRAIN_PATTERNS[component]
    slope = four_point(lambda t: solve_in(strained(problem, t * pattern), bloch).free_energy, 2e-3)
    expected = float((observables.stress(ground) * pattern).sum()) * problem.geometry.volume
    assert expected == pytest.approx(slope, abs=2e-7)


def test_kinetic_and_nonlocal_energy_are_those_of_the_lifted_orbitals(frozen) -> None:
    """What matrices of the reduced basis say of T and E_nl, against the orbitals in plane waves."""
    problem, bloch, ground = frozen
    weights = ground.occupations.weights
    kinetic = nonlocal_ = 0.0
    for row, block in enumerate(problem.blocks):
        mesh = ReducedMesh(problem.geometry, bloch.m, problem.basis.k_points, problem.basis.k_weights)
        vectors = bloch.lift(np.ascontiguousarray(ground.orbitals.vectors[row]))
        q = bloch.m @ problem.basis.reciprocal + mesh.k[row]
        assert np.allclose(q, block.q)
        kinetic += float(0.5 * (q**2).sum(axis=1) @ (np.abs(vectors) ** 2 @ weights[row]))
        nonlocal_ += block.projectors.energy(vectors, weights[row])
    assert ground.orbitals.kinetic_energy(weights) == pytest.approx(kinetic, abs=1e-11)
    assert ground.orbitals.nonlocal_energy(weights) == pytest.approx(nonlocal_, abs=1e-11)


def test_mesh_is_the_mesh(frozen) -> None:
    problem, _, ground = frozen
    assert len(ground.energies) == len(KMesh.folded(REDUCED.kmesh, np.eye(3)).points) == len(problem.basis.k_points)


# -- relaxation and starts ----------------------------------------------------------------------------------------


def test_relaxed_state_is_a_minimum() -> None:
    settings = PlaneWaveSettings(
        smearing="cold", cutoff=4, kmesh=(3, 1, 1), smearing_width=0.02, basis="full", fft_grid=(20, 20, 20)
    )
    engine = PlaneWaveEngine(zinc_blende(), settings)
    strain = Deformation.from_array((1.0, 1.02, 0.99, 62.0, 59.0, 60.0))
    found = engine.solve(strain)
    assert found.internal.shape == (3,)
    assert np.abs(found.internal).max() > 1e-3
    assert np.abs(found.forces).max() <= settings.force_tolerance  # on the first atom, which stays, as well
    assert np.abs(found.forces.sum(axis=0)).max() < 1e-15
    for direction in np.eye(3):
        for sign in (1, -1):
            assert engine.evaluate(strain, found.internal + sign * 3e-3 * direction).free_energy > found.free_energy


def test_relaxation_in_the_reduced_basis_with_many_k_points() -> None:
    """Coarse mesh first, basis carried along: the path that labels take."""
    settings = PlaneWaveSettings(smearing="cold", cutoff=3, kmesh=(7, 7, 7), smearing_width=0.02)
    engine = PlaneWaveEngine(zinc_blende(), settings)
    strain = Deformation.from_array((1.0, 1.02, 0.99, 62.0, 59.0, 60.0))
    found = engine.solve(strain)
    assert found.provenance["coarse_solves"] > 0
    assert np.abs(found.forces).max() <= settings.force_tolerance
    displaced = engine.evaluate(strain, found.internal + np.array([2e-3, 0.0, 0.0]))
    assert displaced.free_energy > found.free_energy


def test_stored_density_arrives_whole(ground: GroundState) -> None:
    crystal = zinc_blende()
    fields = observables.electronic_fields(ground, crystal, FourierBasis.for_crystal(crystal, 6 * ZB_SETTINGS.cutoff))
    start = FieldStart(crystal, DensityStart(fields, crystal.positions(ZB_INTERNAL)))
    assert np.abs(start.density_for(ground.problem) - ground.density).max() < 1e-14


@pytest.mark.parametrize("name", CENTROSYMMETRIC)
def test_a_density_starts_real_and_complex_arithmetic_alike(name: str) -> None:
    """From one kind of crystal to the other; about other origins it is turned."""
    make, strain, internal, settings = CENTROSYMMETRIC[name]
    crystal, deformation = make(), Deformation.from_array(strain)
    made = PlaneWaveSettings(kmesh=(2, 1, 1), basis="full", **{"smearing": "cold", **settings})
    engines = [PlaneWaveEngine(c, made) for c in (crystal, crystal.with_inversion("free"))]
    inner = [e.crystal.internal(crystal.positions(internal)) for e in engines]
    states = [e.evaluate(deformation, xi) for e, xi in zip(engines, inner, strict=True)]
    for engine, xi, state, other in zip(engines, inner, states, states[::-1], strict=True):
        for source in (other, turned(other)):
            again = engine.evaluate(deformation, xi, start=DensityStart.of(source))
            assert again.provenance["scf_steps"] <= 0.5 * state.provenance["scf_steps"]
            assert abs(again.free_energy - state.free_energy) < 1e-9


def turned(state: CellState) -> CellState:
    """The same density in coefficients about another origin."""
    basis = state.fields.basis
    origin = basis.origin + np.array([0.1, 0.2, -0.3])
    phase = np.exp(2j * np.pi * (basis.indices @ (origin - basis.origin)))
    density = state.fields.coefficients["density"] * phase
    other = FourierBasis(basis.indices, origin, False)
    return replace(state, fields=replace(state.fields, basis=other, coefficients={"density": density}))
