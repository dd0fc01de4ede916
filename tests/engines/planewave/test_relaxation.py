"""A relaxation's state as it goes, and where one begins."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import builtin_pseudopotential
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveStart
from cellfields.engines.planewave.deformed_crystal import DeformedCrystal
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.relaxation import Relaxation
from cellfields.engines.planewave.relaxation_start import RelaxationStart, after_coarse_relaxation
from cellfields.errors import InputError
from tests.engines.planewave.problems import MG_INTERNAL, STRAIN
from tests.toy import magnesium

SETTINGS = PlaneWaveSettings(smearing="cold", cutoff=4, kmesh=(2, 2, 1), basis="full", force_tolerance=1e-4)


def deformed_magnesium(**changes: object) -> DeformedCrystal:
    """Strained hcp Mg in full plane waves, with some settings changed."""
    crystal, settings = magnesium(), SETTINGS.model_copy(update=changes)
    ions = {"Mg": builtin_pseudopotential("Mg")}
    mesh = KMesh.folded(settings.kmesh, crystal.primitive, time_reversal=True)
    return DeformedCrystal(crystal, Deformation.from_array(STRAIN), settings, ions, mesh, coarse_mesh=None)


def test_displacements_and_internal_coordinates_are_inverse() -> None:
    deformed = deformed_magnesium()
    displacements = deformed.displacements(np.array(MG_INTERNAL))
    assert displacements == pytest.approx(np.array(MG_INTERNAL) @ deformed.lattice)
    assert deformed.internal(displacements) == pytest.approx(np.array(MG_INTERNAL), abs=1e-15)
    with pytest.raises(InputError, match="the crystal has 3"):
        deformed.displacements(np.zeros(2))


def test_each_solve_leaves_what_the_next_one_begins_with() -> None:
    deformed = deformed_magnesium()
    relaxation = Relaxation(deformed, None)
    assert relaxation.cell is None and relaxation.ground is None
    assert relaxation.steps == [] and relaxation.last_force == np.inf
    energy, gradient = relaxation.energy_and_gradient(np.zeros(3))
    first = relaxation.cell
    assert first is not None and relaxation.ground is not None
    assert energy == relaxation.ground.free_energy
    assert relaxation.largest_force(gradient) == pytest.approx(relaxation.last_force)  # the atoms move in pairs
    assert isinstance(relaxation.current, PlaneWaveStart) and relaxation.current.ground is relaxation.ground
    relaxation.energy_and_gradient(np.full(3, 0.01))
    assert relaxation.cell is not None and relaxation.cell is not first
    assert relaxation.cell.problem.basis is first.problem.basis  # the lattice is the same
    assert len(relaxation.steps) == 2


def test_a_rough_relaxation_hands_over_atoms_and_curvature() -> None:
    beginning = RelaxationStart.of(deformed_magnesium(), None)
    assert not beginning.in_place and not beginning.complete and not beginning.displacements.any()
    after, steps = after_coarse_relaxation(deformed_magnesium(force_tolerance=1e-3), beginning)
    assert len(steps) > 1 and after.displacements.any()
    assert after.start is not None and after.start.hessian is not None
    reached = Relaxation(deformed_magnesium(), after.start).run(after.displacements)
    cold = Relaxation(deformed_magnesium(), None).run(np.zeros(3))
    assert len(reached.scf_steps) < len(cold.scf_steps)
    assert reached.displacements == pytest.approx(cold.displacements, abs=0.05)
    assert reached.continuation.ground.free_energy == pytest.approx(cold.continuation.ground.free_energy, abs=1e-5)


def test_a_rough_relaxation_that_does_not_converge_changes_nothing() -> None:
    beginning = RelaxationStart.of(deformed_magnesium(), None)
    assert after_coarse_relaxation(deformed_magnesium(max_scf_steps=1), beginning) == (beginning, ())


def test_atoms_that_are_in_place_are_not_moved_by_a_rough_relaxation() -> None:
    beginning = RelaxationStart(np.array([0.1, -0.05, 0.02]), None, in_place=True)
    after, _ = after_coarse_relaxation(deformed_magnesium(force_tolerance=1e-3), beginning)
    assert after.in_place and after.complete
    assert after.displacements is beginning.displacements
