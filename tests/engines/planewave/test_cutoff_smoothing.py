"""A kinetic energy that is smooth where the spheres of plane waves end: no jumps of F, and stress is its derivative."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.kinematics import stress_of_energy_gradient
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.engines.planewave.terms.kinetic import KineticEnergy
from cellfields.errors import InputError
from tests.engines.planewave.problems import aluminium, silicon

STRAIN = np.array([1.012, 0.994, 1.003, 60.6, 59.2, 60.3])


def engine(crystal: Crystal, smoothing: float, **settings: object) -> PlaneWaveEngine:
    table = {"cutoff": 6.0, "kmesh": (2, 2, 2), "smearing": "none", "scf_tolerance": 1e-12, **settings}
    return PlaneWaveEngine(crystal, PlaneWaveSettings(**table, cutoff_smoothing=smoothing))


def test_the_kinetic_energy_meets_the_parabola_with_two_derivatives_and_ends_at_infinity() -> None:
    kinetic = KineticEnergy(10.0, 2.0)
    energies = np.linspace(1.0, kinetic.largest - 1e-3, 20_001)
    step = energies[1] - energies[0]
    values, slopes = kinetic.values(energies), kinetic.slopes(energies)
    below = energies <= 8
    np.testing.assert_array_equal(values[below], energies[below])
    np.testing.assert_array_equal(slopes[below], 1.0)
    np.testing.assert_allclose(np.gradient(values, step)[1:-1], slopes[1:-1], rtol=1e-2)
    near = np.abs(energies - 8) < 0.05
    assert np.abs(np.diff(np.gradient(slopes[near], step))).max() < 0.05  # t″ grows from zero, without a jump
    assert (slopes > 0).all() and values[-1] > 1e4
    sharp = KineticEnergy(10.0)
    np.testing.assert_array_equal(sharp.values(energies), energies)
    assert sharp.largest == 10.0


@pytest.mark.parametrize("crystal", [silicon(), aluminium()], ids=["Si", "Al"])
def test_stress_is_the_derivative_of_separate_solves(crystal: Crystal) -> None:
    """In all six components of D, where sharp spheres at this cutoff miss it by 2e-4 Ha/Bohr³ and more."""
    smeared = {"smearing": "fermi-dirac", "smearing_width": 0.02} if crystal.species[0] == "Al" else {}
    solver = engine(crystal, 1.5, **smeared)
    internal = np.zeros(crystal.n_internal)
    state = solver.evaluate(Deformation.from_array(STRAIN), internal)
    assert state.stress is not None
    gradient = np.zeros(6)
    for i, step in enumerate([1e-3] * 3 + [0.06] * 3):
        energies = []
        for sign in (2, 1, -1, -2):
            values = STRAIN.copy()
            values[i] += sign * step
            energies.append(solver.evaluate(Deformation.from_array(values), internal).free_energy)
        gradient[i] = (-energies[0] + 8 * energies[1] - 8 * energies[2] + energies[3]) / (12 * step)
    lengths = np.linalg.norm(crystal.lattice_ref, axis=1)
    expected = stress_of_energy_gradient(gradient, state.lattice, lengths)
    np.testing.assert_allclose(state.stress, expected, atol=1e-7)


def test_the_energy_has_no_jumps() -> None:
    """Second differences of F over fine steps of volume: sharp spheres jump where plane waves come and go."""
    crystal = silicon()
    stretches = np.linspace(0.985, 1.015, 25)

    def roughness(smoothing: float) -> float:
        solver = engine(crystal, smoothing)
        internal = np.zeros(crystal.n_internal)
        curve = [solver.evaluate(Deformation((s, s, s), (60, 60, 60)), internal).free_energy for s in stretches]
        smooth = np.polynomial.Polynomial.fit(stretches, curve, 5)
        return float(np.abs(smooth(stretches) - curve).max())

    sharp, smooth = roughness(0.0), roughness(1.5)
    assert sharp > 5e-4 and smooth < 1e-5


def test_the_reduced_basis_gives_way() -> None:
    crystal = silicon()
    assert engine(crystal, 0.0, kmesh=(6, 6, 6)).reduced
    assert not engine(crystal, 1.0, kmesh=(6, 6, 6)).reduced
    with pytest.raises(InputError, match="cutoff_smoothing needs the spheres of every k point"):
        engine(crystal, 1.0, basis="reduced")
    with pytest.raises(InputError, match="must not be more than half of cutoff = 6"):
        engine(crystal, 4.0)


def test_it_is_part_of_the_identity_unless_it_is_zero() -> None:
    crystal = silicon()
    assert "cutoff_smoothing" not in engine(crystal, 0.0).identity.settings
    assert engine(crystal, 1.0).identity.settings["cutoff_smoothing"] == 1.0


@pytest.mark.skipif(shutil.which("abinit") is None, reason="ABINIT is not installed")
@pytest.mark.parametrize("crystal", [silicon(), aluminium()], ids=["Si", "Al"])
def test_abinit_has_the_same_energy_forces_and_stress(crystal: Crystal) -> None:
    """At equal ``ecutsm``, to 2e-6 Ha an atom, 2e-5 Ha/Bohr and 2e-6 Ha/Bohr³."""
    pytest.importorskip("netCDF4")
    from cellfields.engines.abinit import AbinitEngine

    ours = engine(crystal, 1.5, bands=8, scf_tolerance=1e-10, smearing="cold", smearing_width=0.02)
    theirs = AbinitEngine(crystal, ours.settings)
    assert theirs.input(Deformation.from_array(STRAIN), np.zeros(crystal.n_internal)).text.count("ecutsm") == 1
    internal = np.full(crystal.n_internal, 0.01)
    one, other = (e.evaluate(Deformation.from_array(STRAIN), internal) for e in (ours, theirs))
    assert abs(one.free_energy - other.free_energy) < 2e-6 * crystal.n_atoms
    assert one.forces is not None and other.forces is not None and one.stress is not None and other.stress is not None
    np.testing.assert_allclose(one.forces, other.forces, atol=2e-5)
    np.testing.assert_allclose(one.stress, other.stress, atol=2e-6)
    assert one.fields is not None and other.fields is not None
    difference = one.fields.vector("density") - other.fields.vector("density")
    assert np.linalg.norm(difference) < 1e-4 * np.linalg.norm(one.fields.vector("density"))
