"""Self-consistency: stationarity, consistency of its parts, derivatives of F, convergence and its failure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.bands import PlaneWaveBands
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.observables import energy_terms
from cellfields.engines.planewave.scf import GroundState, self_consistent
from cellfields.errors import SCFNotConverged
from tests.engines.planewave.problems import (
    MG2SI_SETTINGS,
    MG_INTERNAL,
    MG_SETTINGS,
    STRAIN,
    four_point,
    ground_state,
    magnesium_problem,
    make_problem,
)
from tests.toy import magnesium

ALL = pytest.mark.parametrize("name", ["magnesium_ground", "silicon_ground", "silicide_ground"])


@pytest.fixture
def ground(request: pytest.FixtureRequest, name: str) -> GroundState:
    return request.getfixturevalue(name)


@ALL
def test_free_energy_is_the_sum_of_its_terms(ground: GroundState) -> None:
    """U − double counting, as the SCF computes it, against T + E_nl + … from the orbitals; 1e-10 for rounding."""
    assert abs(sum(energy_terms(ground).values()) - ground.free_energy) < 1e-10


@ALL
def test_solution_is_self_consistent(ground: GroundState) -> None:
    problem, basis = ground.problem, ground.problem.basis
    # The density is that of the orbitals, and holds all electrons.
    assert np.allclose(ground.orbitals.density(ground.occupations.weights), ground.density, atol=1e-15)
    assert abs(ground.density[0] * basis.volume - problem.electrons) < 1e-12
    # The orbitals are eigenstates in the potential of the input density, orthonormal.
    grid = basis.to_real(ground.potentials_in.effective).reshape(basis.shape)
    for block, x, energies, weights in zip(
        problem.blocks, ground.orbitals.vectors, ground.energies, ground.occupations.weights, strict=True
    ):
        used = np.abs(weights) > 1e-9
        residual = block.apply(grid, x) - x * energies
        assert np.linalg.norm(residual, axis=0)[used].max() < 1e-6
        assert np.abs(x.T @ x - np.eye(x.shape[1])).max() < 1e-12
    # scf_tolerance = 1e-13 stops at a density residual of 0.2 √1e-13 = 6e-8 in the Coulomb norm.
    change = ground.density - ground.density_in
    assert np.sqrt(4 * np.pi * basis.volume * (change**2 @ basis.inverse_g2)) < 7e-8


@ALL
def test_history_tells_the_way(ground: GroundState) -> None:
    assert [h["step"] for h in ground.history] == list(range(len(ground.history)))
    assert ground.history[-1]["free_energy"] == ground.free_energy
    assert ground.history[-1]["fermi_energy"] == ground.occupations.fermi_energy
    residuals = [h["density_residual"] for h in ground.history]
    assert residuals[-1] < 1e-5 * residuals[0]


def test_free_energy_is_stationary(silicide_ground: GroundState) -> None:
    """F_Harris and F_KS of a density that is off by δ miss F by O(δ²): a tenth of δ, a hundredth of the error."""
    problem = silicide_ground.problem
    rng = np.random.default_rng(0)
    change = silicide_ground.density * rng.normal(size=len(silicide_ground.density))
    change[0] = 0.0
    # Even functions only; the sphere is sorted so that −G of a G must be looked up.
    row = {tuple(m): i for i, m in enumerate(problem.basis.density_m.tolist())}
    change = 0.5 * (change + change[[row[tuple(-m)] for m in problem.basis.density_m]])
    errors = []
    for scale in (1e-1, 1e-2):
        settings = MG2SI_SETTINGS.model_copy(update={"max_scf_steps": 1, "bands": 9})
        solver = PlaneWaveBands(problem, 9, silicide_ground.orbitals.vectors)
        with pytest.raises(SCFNotConverged) as caught:
            self_consistent(problem, settings, solver, silicide_ground.density + scale * change, first_residual=1e-9)
        step = caught.value.history[0]
        kohn_sham = step["free_energy"] - silicide_ground.free_energy
        errors.append([kohn_sham, kohn_sham + step["harris_minus_kohn_sham"]])
    ratio = np.array(errors[0]) / np.array(errors[1])
    assert (np.abs(errors[0]) > 1e-9).all()
    assert np.abs(ratio - 100).max() < 30


@pytest.mark.parametrize("name", ["magnesium_ground", "silicide_ground"])
def test_fermi_energy_is_the_derivative_by_the_electron_number(ground: GroundState, name: str) -> None:
    """∂F/∂N = E_F + α/V: E_F is measured from the mean of V_H + V_loc, and the ions' non-Coulomb mean α/V, which E_core
    adds to F for every electron, is not part of the potential."""
    settings = {"magnesium_ground": MG_SETTINGS, "silicide_ground": MG2SI_SETTINGS}[name]
    problem = ground.problem

    def free(change: float) -> float:
        other = KohnShamProblem(problem.geometry, problem.basis, problem.electrons + change)
        return ground_state(other, settings, ground).free_energy

    expected = ground.occupations.fermi_energy + problem.core_energy / problem.electrons
    # Four-point differences of F converged to 1e-13: 1e-13/1e-3 of noise, step⁴ of formula.
    assert abs(four_point(free, 2e-3) - expected) < 1e-8


@pytest.mark.parametrize("smearing", ["cold", "fermi-dirac", "gaussian"])
def test_entropy_is_the_derivative_by_the_width(magnesium_ground: GroundState, smearing: str) -> None:
    """∂F/∂σ = −Σ w 2S₁ at self-consistency, because F is stationary in everything else."""
    problem = magnesium_ground.problem
    settings = MG_SETTINGS.model_copy(update={"smearing": smearing})
    centre = ground_state(problem, settings, magnesium_ground)

    def free(change: float) -> float:
        width = settings.smearing_width + change
        return ground_state(problem, settings.model_copy(update={"smearing_width": width}), centre).free_energy

    assert abs(four_point(free, 2e-4) + centre.occupations.entropies.sum()) < 1e-7
    assert abs(centre.occupations.entropies.sum()) > 1e-3


def test_time_reversal_changes_nothing() -> None:
    """k and −k one by one: the same sums in another order. 1e-11 is the reach of the convergence criterion."""
    settings = MG_SETTINGS.model_copy(update={"kmesh": (2, 2, 2)})
    results = []
    for time_reversal in (True, False):
        changed = settings.model_copy(update={"time_reversal": time_reversal})
        results.append(ground_state(make_problem(magnesium(), STRAIN, MG_INTERNAL, changed), changed))
    one, other = results
    assert len(other.energies) == 16 > len(one.energies) == 12
    assert abs(one.free_energy - other.free_energy) < 1e-11
    assert abs(one.occupations.band_energy - other.occupations.band_energy) < 1e-8  # of first order in the density
    assert abs(one.occupations.fermi_energy - other.occupations.fermi_energy) < 1e-8
    assert np.abs(one.density - other.density).max() < 1e-10


def test_start_does_not_matter(magnesium_ground: GroundState) -> None:
    again = ground_state(magnesium_ground.problem, MG_SETTINGS, magnesium_ground)
    assert abs(again.free_energy - magnesium_ground.free_energy) < 1e-12
    assert len(again.history) <= 2


def test_automatic_bands_equal_many_bands() -> None:
    """Wide smearing fills more bands than the SCF begins with: it must notice and add them."""
    settings = PlaneWaveSettings(
        cutoff=4, kmesh=(2, 1, 1), smearing="fermi-dirac", smearing_width=0.04, basis="full", scf_tolerance=1e-12
    )
    problem = magnesium_problem()
    automatic = ground_state(problem, settings)
    assert automatic.energies.shape[1] > 5  # 2 filled + 3 to begin with
    assert np.abs(automatic.occupations.per_state[:, -1]).max() <= 1e-10
    many = ground_state(problem, settings.model_copy(update={"bands": 24}))
    assert automatic.energies.shape[1] != 24
    # States that are left out hold less than 1e-10 electrons each.
    assert abs(automatic.free_energy - many.free_energy) < 1e-10
    few = ground_state(problem, settings.model_copy(update={"bands": 4}))
    assert abs(few.free_energy - many.free_energy) > 1e-6  # so the number of bands does matter here


def test_no_convergence_is_a_typed_error_with_its_history() -> None:
    settings = MG_SETTINGS.model_copy(update={"max_scf_steps": 2})
    with pytest.raises(SCFNotConverged, match="self-consistency was not reached in 2 steps") as caught:
        ground_state(magnesium_problem(), settings)
    assert len(caught.value.history) == 2
    assert {"step", "free_energy", "harris_minus_kohn_sham", "density_residual", "fermi_energy"} <= set(
        caught.value.history[0]
    )


def test_tolerance_is_what_it_says(magnesium_ground: GroundState) -> None:
    """A loose SCF stops earlier, and F is right to within its tolerance."""
    for tolerance in (1e-4, 1e-6, 1e-8):
        settings = MG_SETTINGS.model_copy(update={"scf_tolerance": tolerance})
        loose = ground_state(magnesium_ground.problem, settings)
        assert len(loose.history) < len(magnesium_ground.history)
        assert abs(loose.free_energy - magnesium_ground.free_energy) < tolerance


def test_shape_of_the_grid_hardly_matters(magnesium_ground: GroundState) -> None:
    """The default grid is exact for ρ and V u; only E_xc, not band-limited, sees it, less and less."""
    problem = magnesium_ground.problem
    energies = []
    for factor in (1, 2, 3):
        shape = tuple(factor * n for n in problem.basis.shape)
        finer = KohnShamProblem(problem.geometry, replace(problem.basis, shape=shape), problem.electrons)
        energies.append(ground_state(finer, MG_SETTINGS).free_energy)
    assert energies[0] == magnesium_ground.free_energy
    assert abs(energies[1] - energies[0]) < 1e-5
    assert abs(energies[2] - energies[1]) < 0.1 * abs(energies[1] - energies[0])
