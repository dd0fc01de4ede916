"""A sheet in a box: vacuum along c, one k point along c, deformed in its plane only."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import PhysicsWarning

SETTINGS = PlaneWaveSettings(
    cutoff=5, kmesh=(3, 3, 1), smearing="fermi-dirac", smearing_width=0.01, force_tolerance=1e-5
)
PLANE = ("lambda_c", "theta_a", "theta_b")


def silicene(height: float, **more: str) -> Crystal:
    """A buckled honeycomb of silicon, the sheet in the middle of a box of this height (Bohr)."""
    lift = 0.4 / height
    return Crystal.from_lengths_and_angles(
        [7.2, 7.2, height],
        [90, 90, 120],
        ["Si", "Si"],
        [[1 / 3, 2 / 3, 0.5 - lift], [2 / 3, 1 / 3, 0.5 + lift]],
        **more,  # type: ignore[arg-type]
    )


def test_the_sheet_does_not_feel_its_images() -> None:
    """More vacuum, or k points along c, change F per cell by some 1e-4 Ha; too little vacuum by more."""
    strain = Deformation((1.02, 0.99, 1.0), (90, 90, 121))

    def energy(height: float, along_c: int) -> float:
        settings = SETTINGS.model_copy(update={"kmesh": (3, 3, along_c)})
        return PlaneWaveEngine(silicene(height), settings).evaluate(strain, np.zeros(3)).free_energy

    enough = energy(17.0, 1)
    assert enough == pytest.approx(energy(20.0, 1), abs=2e-4)
    assert enough == pytest.approx(energy(17.0, 2), abs=2e-4)
    with pytest.warns(PhysicsWarning, match=r"layers 4\.76 Å apart"):  # a layered crystal rather than a sheet
        assert abs(enough - energy(9.0, 1)) > 2e-3


@pytest.mark.parametrize("inversion", ["impose", "free"])
def test_a_sheet_relaxes_under_strain_in_its_plane(inversion: str) -> None:
    crystal = silicene(16.0, inversion=inversion)
    (strain,) = sample_deformations(crystal, 1, seed=1, stretch_sigma=0.02, angle_sigma=1.0, hold=PLANE)
    state = PlaneWaveEngine(crystal, SETTINGS.model_copy(update={"kmesh": (2, 2, 1)})).solve(strain)
    assert np.abs(state.forces).max() <= SETTINGS.force_tolerance
    assert np.allclose(state.lattice[2], crystal.lattice_ref[2])
    heights = state.positions[:, 2] * 16.0
    assert 0.3 < heights[1] - heights[0] < 1.5  # it stays buckled
    moved = (state.positions - crystal.positions_ref) @ state.lattice
    assert np.abs(moved[1] - moved[0])[:2].max() > 1e-3
