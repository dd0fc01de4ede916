"""An isolated molecule in a box: the softest thing there is, for it turns at almost no cost."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import RelaxationNotConverged


def hydrogen(edge: float, bond: float, axis: tuple[float, float, float]) -> Crystal:
    half = 0.5 * bond / edge * np.array(axis) / np.linalg.norm(axis)
    return Crystal(edge * np.eye(3), ["H", "H"], [(0.5 + half).tolist(), (0.5 - half).tolist()])


def relaxed_bond(engine: PlaneWaveEngine) -> tuple[float, int]:
    """Bond length (Bohr) and solves."""
    state = engine.solve(Deformation.identity(engine.crystal))
    bond = (state.positions[0] - state.positions[1]) @ state.lattice
    assert np.abs(state.forces).max() < engine.settings.force_tolerance
    return float(np.linalg.norm(bond)), int(state.provenance["solves"])


def settings(cutoff: float, **more: object) -> PlaneWaveSettings:
    return PlaneWaveSettings(cutoff=cutoff, kmesh=(1, 1, 1), smearing="none", **more)


def test_bond_length_of_hydrogen() -> None:
    """1.446 Bohr in LDA (NIST, and GTH's own tables); 0.015 more at this cutoff and in this box."""
    bond, solves = relaxed_bond(PlaneWaveEngine(hydrogen(9.0, 1.40, (0, 0, 1)), settings(30)))
    assert bond == pytest.approx(1.446, abs=0.03)
    assert solves <= 12


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("start", [1.4, 1.6])
def test_a_molecule_along_an_axis_of_the_box_relaxes_in_few_solves(
    axis: tuple[float, float, float], start: float
) -> None:
    """Far from converged, where the orientation is a saddle: rounding must not turn the molecule away from it."""
    _, solves = relaxed_bond(PlaneWaveEngine(hydrogen(8.0, start, axis), settings(15)))
    assert solves <= 14


def test_the_error_names_the_tolerance_that_was_asked_for() -> None:
    engine = PlaneWaveEngine(hydrogen(7.0, 1.6, (0, 0, 1)), settings(8, max_relaxation_steps=4))
    with pytest.raises(RelaxationNotConverged, match=r"force of .* after 4 solves, wanted 5\.0e-07") as caught:
        engine.solve(Deformation.identity(engine.crystal))
    forces = [step["gradient"] for step in caught.value.history]
    first = engine.evaluate(Deformation.identity(engine.crystal), np.zeros(3)).forces
    assert first is not None
    assert forces[0] == pytest.approx(np.abs(first).max(), rel=1e-4)
