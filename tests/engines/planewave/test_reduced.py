"""The reduced Bloch basis against full plane waves (the union of all spheres) at the same k points.

``basis_tolerance`` bounds the estimated error of F before its correction, so the corrected F must be closer than that.
Forces and stress are of first order in what the basis misses; their bounds leave a factor of three to what is reached.
"""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.engines.planewave.reduced import solver
from cellfields.errors import ConvergenceError, InputError
from cellfields.state import CellState
from tests.engines.planewave.problems import (
    MG_INTERNAL,
    SI_INTERNAL,
    SI_STRAIN,
    STRAIN,
    aluminium,
    magnesium_silicide,
    zinc_blende,
)
from tests.toy import magnesium

CASES = {
    "Mg": (magnesium, STRAIN, MG_INTERNAL, {"cutoff": 5, "kmesh": (4, 2, 2), "smearing_width": 0.02}),
    "Mg2Si": (magnesium_silicide, SI_STRAIN, SI_INTERNAL, {"cutoff": 4, "kmesh": (3, 3, 3), "smearing": "gaussian"}),
    "MgAl": (zinc_blende, SI_STRAIN, SI_INTERNAL, {"cutoff": 4, "kmesh": (3, 3, 3), "smearing_width": 0.02}),
    "Al": (aluminium, (1.01, 0.99, 1.0, 60.5, 59.5, 60.0), (), {"cutoff": 5, "kmesh": (6, 6, 6)}),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Crystal, Deformation, np.ndarray, dict, CellState]:
    make, strain, internal, settings = CASES[request.param]
    crystal, deformation, xi = make(), Deformation.from_array(strain), np.array(internal, dtype=float)
    full = PlaneWaveSettings(basis="full", plane_waves="union", scf_tolerance=1e-12, **{"smearing": "cold", **settings})
    return crystal, deformation, xi, settings, PlaneWaveEngine(crystal, full).evaluate(deformation, xi)


def reduced_engine(crystal: Crystal, settings: dict, tolerance: float) -> PlaneWaveEngine:
    made = PlaneWaveSettings(
        basis="reduced", basis_tolerance=tolerance, scf_tolerance=1e-12, **{"smearing": "cold", **settings}
    )
    return PlaneWaveEngine(crystal, made)


def test_agrees_with_full_plane_waves(case) -> None:
    crystal, deformation, xi, settings, full = case
    engine = reduced_engine(crystal, settings, 1e-6)
    assert engine.reduced
    state = engine.evaluate(deformation, xi)
    copies = crystal.n_translations
    assert abs(state.free_energy - full.free_energy) < 1e-6 * copies
    assert abs(state.band_energy - full.band_energy) < 1e-5 * copies
    assert abs(state.entropic_energy - full.entropic_energy) < 1e-6 * copies
    assert abs(state.fermi_energy - full.fermi_energy) < 1e-6
    assert np.abs(state.forces - full.forces).max() < 2e-5
    assert np.abs(state.stress - full.stress).max() < 1e-6
    for name in ("density", "coulomb_potential", "band_energy_density", "entropy_density"):
        mine, theirs = state.fields.vector(name), full.fields.vector(name)
        assert np.linalg.norm(mine - theirs) < 2e-3 * np.linalg.norm(theirs), name


def test_sums_and_integrals_hold_exactly(case) -> None:
    """F = Σ terms, ∫ρ = N, ∫u = U, −σ∫s = −TS: identities, whatever the basis misses."""
    crystal, deformation, xi, settings, full = case
    state = reduced_engine(crystal, settings, 1e-4).evaluate(deformation, xi)
    assert abs(sum(state.energy_terms.values()) - state.free_energy) < 1e-10
    assert abs(state.fields.integral("density") - full.fields.integral("density")) < 1e-10
    assert abs(state.fields.integral("band_energy_density") - state.band_energy) < 1e-10
    width = settings.get("smearing_width", 0.01)
    assert abs(-width * state.fields.integral("entropy_density") - state.entropic_energy) < 1e-10


def test_error_falls_with_the_tolerance_and_the_correction_helps(case) -> None:
    crystal, deformation, xi, settings, full = case
    errors, forces = [], []
    for tolerance in (1e-3, 1e-5, 1e-7):
        state = reduced_engine(crystal, settings, tolerance).evaluate(deformation, xi)
        correction = state.energy_terms["basis_correction"]
        assert correction <= 0  # second order: towards more plane waves
        error = state.free_energy - full.free_energy
        assert abs(error) < 0.3 * abs(error - correction) or abs(error) < 1e-9
        errors.append(abs(error))
        forces.append(np.abs(state.forces - full.forces).max())
    assert errors[2] < 0.2 * errors[0]
    if crystal.n_internal:
        assert forces[2] < 0.2 * forces[0]


def test_relaxed_state_is_relaxed_in_full_plane_waves() -> None:
    """Forces below the tolerance in the engine's own basis, and what is left of them in full plane waves."""
    crystal, deformation = magnesium(), Deformation.from_array(STRAIN)
    settings = {"cutoff": 4, "kmesh": (4, 4, 4), "smearing_width": 0.02}
    state = PlaneWaveEngine(crystal, PlaneWaveSettings(basis="reduced", **{"smearing": "cold", **settings})).solve(
        deformation
    )
    assert np.abs(state.forces).max() <= 5e-7
    full = PlaneWaveEngine(
        crystal, PlaneWaveSettings(basis="full", plane_waves="union", **{"smearing": "cold", **settings})
    )
    # The basis' own force error at the default basis_tolerance; over the softest curvature, 1e-2 Bohr at most.
    assert np.abs(full.evaluate(deformation, state.internal).forces).max() < 1e-5


def test_auto_chooses_by_the_number_of_k_points() -> None:
    few, many = (
        PlaneWaveEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=mesh))
        for mesh in ((1, 1, 1), (12, 12, 12))
    )
    assert not few.reduced
    assert many.reduced


def test_the_union_does_not_depend_on_which_of_equal_images_is_taken() -> None:
    """On the zone's surface several images of a k point are equally short: time reversal on or off must not matter."""
    crystal = aluminium()
    settings = {"cutoff": 4, "kmesh": (4, 4, 4), "basis": "reduced", "scf_tolerance": 1e-12, "basis_tolerance": 1e-8}
    with_it, without = (
        PlaneWaveEngine(crystal, PlaneWaveSettings(time_reversal=on, **{"smearing": "cold", **settings})).evaluate(
            Deformation.identity(crystal), np.zeros(0)
        )
        for on in (True, False)
    )
    assert with_it.free_energy == pytest.approx(without.free_energy, abs=2e-8)  # the bases differ, their error is 1e-8


def test_a_basis_that_stays_too_small_is_said(monkeypatch) -> None:
    """Extensions that bring nothing: the tolerance is not reached, and no number comes out as if it were."""
    monkeypatch.setattr(solver, "extended_basis", lambda problem, settings, bloch, *_: bloch)
    settings = PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(3, 3, 3), basis="reduced", basis_tolerance=1e-9)
    with pytest.raises(ConvergenceError, match=r'extended 4 times and still errs by .* basis = "full"') as caught:
        PlaneWaveEngine(aluminium(), settings).solve(Deformation.from_array(STRAIN))
    assert len(caught.value.history) == 5 and caught.value.history[-1]["basis_error"] > 2e-9


def test_a_grid_too_small_for_the_plane_waves_is_refused() -> None:
    engine = PlaneWaveEngine(
        aluminium(), PlaneWaveSettings(smearing="cold", cutoff=3, kmesh=(1, 1, 1), fft_grid=(3, 3, 3))
    )
    with pytest.raises(InputError, match="fft_grid"):
        engine.evaluate(Deformation.identity(engine.crystal), np.zeros(0))


def test_one_k_point_and_few_plane_waves() -> None:
    """Extensions may add functions of one parity only."""
    engine = PlaneWaveEngine(
        magnesium(), PlaneWaveSettings(smearing="cold", cutoff=3, kmesh=(1, 1, 1), basis="reduced")
    )
    assert np.isfinite(engine.solve(Deformation.identity(engine.crystal)).free_energy)
