"""Non-linear core correction: its density on the grid, its part of forces and stress, the total derivatives of F."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.engines.planewave import observables
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.scf import GroundState
from cellfields.engines.planewave.terms import core_density, xc
from tests.engines.planewave.problems import (
    MG2SI_SETTINGS,
    STRAIN_PATTERNS,
    cored,
    four_point,
    ground_state,
    moved,
    silicide_problem,
    strained,
)

PAIR = 1  # an atom of Mg2Si that has a partner


@pytest.fixture(scope="module")
def problem() -> KohnShamProblem:
    return cored(silicide_problem())


def test_density_is_the_sum_over_ions_and_their_images(problem: KohnShamProblem) -> None:
    """At some grid points, against a plain sum over 5³ images of each ion."""
    geometry, basis = problem.geometry, problem.basis
    found = core_density.density(geometry, basis)
    assert found is not None and found.shape == (basis.grid_size,)
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    for point in rng.integers(basis.shape, size=(40, 3)):
        expected = 0.0
        for symbol, centre in zip(geometry.species, geometry.positions, strict=True):
            charge = geometry.pseudopotentials[symbol].core_charge
            distances = np.linalg.norm((point / np.array(basis.shape) - centre + images) @ geometry.lattice, axis=1)
            expected += charge(distances[distances < charge.radius]).sum()
        assert abs(found[basis.flat_index(point)] - expected) < 1e-14
    # Its integral is that of the three cores, as well as a sum over the grid can tell.
    r = np.linspace(0, 3, 3001)
    total = 0.0
    for symbol in geometry.species:
        charge = geometry.pseudopotentials[symbol].core_charge
        total += np.trapezoid(
            4 * np.pi * r**2 * np.where(r < charge.radius, charge(np.minimum(r, charge.radius)), 0), r
        )
    assert np.isclose(found.mean() * geometry.volume, total, rtol=1e-3)


def test_no_core_costs_nothing(silicide_ground: GroundState) -> None:
    assert silicide_ground.problem.core_density is None


@pytest.mark.parametrize("functional", ["lda", "pbe"])
def test_forces_at_a_fixed_density(problem: KohnShamProblem, functional: str, silicide_ground: GroundState) -> None:
    """One ion at a time: on the grid nothing has to be even under inversion."""
    problem, density = replace(problem, functional=functional), silicide_ground.density
    potential = xc.grid_potential(problem.basis, density, functional, problem.core_density)
    forces = core_density.forces(problem.geometry, problem.basis, potential)
    assert np.abs(forces).max() > 2e-4
    for atom in range(3):
        for axis in np.eye(3):

            def energy(t: float, atom: int = atom, axis: np.ndarray = axis) -> float:
                shifted = moved(problem, atom, t * axis, partner=False)
                return replace(shifted, functional=functional).potentials(density).xc_energy

            assert abs(four_point(energy) + forces[atom] @ axis) < 2e-8


@pytest.fixture(scope="module", params=["lda", "pbe"])
def ground(request: pytest.FixtureRequest, problem: KohnShamProblem) -> GroundState:
    return ground_state(replace(problem, functional=request.param), MG2SI_SETTINGS)


def free_energy(other: KohnShamProblem, ground: GroundState) -> float:
    return ground_state(replace(other, functional=ground.problem.functional), MG2SI_SETTINGS, ground).free_energy


def test_total_forces(ground: GroundState) -> None:
    """Four-point differences of 0.001 Bohr of the self-consistent F."""
    forces = observables.forces(ground)
    assert np.abs(forces).max() > 1e-3
    for axis in np.eye(3):
        numeric = four_point(lambda t, a=axis: free_energy(moved(ground.problem, PAIR, t * a), ground), 1e-3)
        assert abs(numeric + 2 * forces[PAIR] @ axis) < 2e-8


def test_total_stress(ground: GroundState) -> None:
    """Two random strain directions; Ha/Bohr³, of the order 1e-3."""
    stress = observables.stress(ground)
    for row in np.random.default_rng(2).normal(size=(2, 6)):
        direction = sum(c * p for c, p in zip(row, STRAIN_PATTERNS, strict=True))
        numeric = four_point(lambda t, d=direction: free_energy(strained(ground.problem, t * d), ground), 5e-4)
        assert abs(numeric / ground.problem.geometry.volume - (stress * direction).sum()) < 5e-9


def test_loosely_converged_forces_are_corrected(ground: GroundState) -> None:
    """The correction of forces for a density that is not quite self-consistent includes the core's."""
    loose = ground_state(ground.problem, MG2SI_SETTINGS.model_copy(update={"scf_tolerance": 1e-10}))
    assert np.abs(observables.forces(loose) - observables.forces(ground)).max() < 2.5e-7


def test_terms_add_up(ground: GroundState) -> None:
    assert sum(observables.energy_terms(ground).values()) == pytest.approx(ground.free_energy, abs=1e-8)
