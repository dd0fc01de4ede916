"""One solve serves several deformations: the images of a DFT state are the DFT states of the images."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields import CellState, Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
from cellfields.state.axis_operations import axis_operations
from tests.toy import magnesium

STRAIN = Deformation.from_array([0.98, 1.03, 1.01, 91.5, 87.0, 92.0])


def same(a: CellState, b: CellState, tolerance: float) -> None:
    assert np.allclose(a.deformation.as_array(), b.deformation.as_array(), atol=1e-9)
    assert abs(a.free_energy - b.free_energy) < tolerance
    for name in ("lattice", "positions", "internal", "forces", "stress"):
        assert np.allclose(getattr(a, name), getattr(b, name), rtol=0, atol=tolerance), name
    for name in b.fields.coefficients:
        difference = np.linalg.norm(a.fields.vector(name) - b.fields.vector(name))
        assert difference < tolerance * np.linalg.norm(b.fields.vector(name)) + 1e-12, name


def test_operations_of_the_paper_cell_are_mmm() -> None:
    operations = axis_operations(magnesium())
    assert len(operations) == 4
    assert np.array_equal(operations[0].axes, np.eye(3)) and np.allclose(operations[0].shift, 0)
    angles = {tuple(np.sign(op.deformation(magnesium(), STRAIN).as_array()[3:] - 90).astype(int)) for op in operations}
    assert angles == {(1, -1, 1), (1, 1, -1), (-1, -1, -1), (-1, 1, 1)}
    assert all(op.leaves((12, 8, 4)) for op in operations)


def test_cubic_axes_may_be_exchanged() -> None:
    """Primitive fcc: the six permutations; the conventional cube: all 24 that inversion leaves."""
    primitive = Crystal.from_lengths_and_angles([5.4] * 3, [60] * 3, ["Al"], [[0, 0, 0]])
    assert len(axis_operations(primitive)) == 6
    fcc = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    cube = Crystal.from_lengths_and_angles([7.64] * 3, [90] * 3, ["Al"] * 4, fcc)
    operations = axis_operations(cube)
    assert len(operations) == 24
    assert sum(op.leaves((4, 4, 2)) for op in operations) == 8


def test_a_crystal_without_symmetry_has_the_identity_alone() -> None:
    low = Crystal.from_lengths_and_angles([6, 7, 8], [80, 95, 100], ["Mg", "Al"], [[0, 0, 0], [0.4, 0.45, 0.52]])
    assert len(axis_operations(low)) == 1


def test_a_centre_that_is_free_leaves_the_identity_alone() -> None:
    """Images of a state that has broken it are other states than those that solves find."""
    assert len(axis_operations(magnesium().with_inversion("free"))) == 1


@pytest.mark.parametrize("name", ["magnesium", "silicon", "zinc blende"])
def test_images_of_a_dft_state_are_dft_states(name: str) -> None:
    if name == "magnesium":
        crystal, strain, internal, kmesh = magnesium(), STRAIN, (0.012, 0.018, -0.006), (2, 2, 2)
    else:
        species = ["Si", "Si"] if name == "silicon" else ["Mg", "Al"]
        crystal = Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, species, [[0, 0, 0], [0.25, 0.25, 0.25]])
        strain = Deformation.from_array([1.012, 0.994, 1.003, 60.6, 59.2, 60.3])
        internal, kmesh = (0.004, -0.003, 0.002), (2, 2, 2)
    settings = PlaneWaveSettings(
        smearing="cold",
        cutoff=5,
        kmesh=kmesh,
        smearing_width=0.02,
        basis="full",
        scf_tolerance=1e-13,
        field_cutoff=10,
        bands=8,
    )
    engine = PlaneWaveEngine(crystal, settings)
    state = engine.evaluate(strain, np.array(internal))
    operations = axis_operations(crystal)
    assert len(operations) > 1
    for operation in operations[1:]:
        image = operation.state(crystal, state)
        solved = engine.evaluate(image.deformation, image.internal)
        same(image, solved, 1e-8)


def test_operations_undo_each_other() -> None:
    crystal = magnesium()
    state = PlaneWaveEngine(
        crystal, PlaneWaveSettings(smearing="cold", cutoff=4, kmesh=(1, 1, 1), smearing_width=0.02)
    ).evaluate(STRAIN, np.array([0.012, 0.018, -0.006]))
    for operation in axis_operations(crystal):
        same(operation.state(crystal, operation.state(crystal, state)), state, 1e-9)
