"""Constants in the axes of textbooks: rotations of a tensor, and the axes of primitive cells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.voigt import from_voigt, to_voigt
from cellfields.mechanics.crystal_axes import crystal_axes, is_cubic, rotated
from cellfields.mechanics.moduli import moduli, point_group, symmetrised, zener_anisotropy

SILICON = np.zeros((6, 6))
SILICON[:3, :3] = 64.0
SILICON[range(3), range(3)] = 166.0
SILICON[range(3, 6), range(3, 6)] = 79.6
ENGINEERING = np.array([1, 1, 1, 2, 2, 2])

CUBIC = {
    "primitive fcc": Crystal(5.1 * (np.ones((3, 3)) - np.eye(3)), ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "primitive bcc": Crystal(4.0 * (np.ones((3, 3)) - 2 * np.eye(3)), ["Na"], [[0, 0, 0]]),
    "cube": Crystal(8.0 * np.eye(3), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
}


def test_a_rotated_tensor_stores_the_same_energy() -> None:
    """½ ε C ε is a scalar: the strain is rotated by hand, the constants by the function."""
    rng = np.random.default_rng(0)
    constants = rng.normal(size=(6, 6))
    constants = constants + constants.T
    turn = Rotation.random(random_state=1).as_matrix()
    for _ in range(5):
        strain = to_voigt(from_voigt(rng.normal(size=6)))
        there = to_voigt(turn @ from_voigt(strain) @ turn.T)
        before = (strain * ENGINEERING) @ constants @ (strain * ENGINEERING)
        after = (there * ENGINEERING) @ rotated(constants, turn) @ (there * ENGINEERING)
        assert after == pytest.approx(before, rel=1e-12)


def test_averages_do_not_depend_on_the_axes() -> None:
    turn = Rotation.random(random_state=2).as_matrix()
    one, other = moduli(SILICON), moduli(rotated(SILICON, turn))
    for name in ("bulk", "shear", "young", "poisson", "universal_anisotropy"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-12)


def test_averages_of_silicon_are_those_of_handbooks() -> None:
    """From C11 166, C12 64, C44 79.6 GPa: K 98, G 66.6, E 163, ν 0.22, Zener 1.56 (Hopcroft, Nix, Kenny 2010)."""
    found = moduli(SILICON)
    assert found.bulk == pytest.approx(98.0)
    assert found.shear == pytest.approx(66.6, abs=0.3)
    assert found.young == pytest.approx(163, abs=0.7)
    assert found.poisson == pytest.approx(0.223, abs=1e-3)
    assert zener_anisotropy(SILICON) == pytest.approx(1.561, abs=1e-3)
    assert found.universal_anisotropy == pytest.approx(6 / 5 * (1.561 - 1) ** 2 / 1.561, rel=2e-3)  # for cubic crystals


@pytest.mark.parametrize("name", CUBIC)
def test_cubic_constants_come_back_from_the_frame_of_any_cell(name: str) -> None:
    crystal = CUBIC[name]
    axes, group = crystal_axes(crystal)
    assert is_cubic(group) and np.linalg.det(axes) == pytest.approx(1)
    in_the_cell = rotated(SILICON, axes.T)
    np.testing.assert_allclose(rotated(in_the_cell, axes), SILICON, atol=1e-9)
    # The axes are the crystal's own: its point group leaves the constants in the cell's frame alone.
    _, outside = symmetrised(in_the_cell, point_group(crystal))
    assert outside < 1e-6
    if name != "cube":
        assert np.abs(in_the_cell - SILICON).max() > 1  # they do not look cubic there


def test_a_hexagonal_axis_is_brought_along_z() -> None:
    """Given along x: C33 is that of the hexagonal axis afterwards, and basal isotropy can be seen."""
    a, c = 6.0, 9.6
    lattice = np.array([[c, 0, 0], [0, a, 0], [0, -a / 2, a * np.sqrt(3) / 2]])
    crystal = Crystal(lattice, ["Mg", "Mg"], [[0.25, 1 / 3, 2 / 3], [0.75, 2 / 3, 1 / 3]])
    axes, group = crystal_axes(crystal)
    assert group == 194 and not is_cubic(group)
    np.testing.assert_allclose(np.abs(axes @ [1.0, 0, 0]), [0, 0, 1], atol=1e-9)


def test_under_a_strain_the_axes_turn_with_the_crystal() -> None:
    crystal = CUBIC["cube"]
    sheared = Deformation((1.0, 1.0, 1.0), (90.0, 90.0, 86.0))
    axes, _ = crystal_axes(crystal, sheared)
    still, _ = crystal_axes(crystal)
    u, _, v = np.linalg.svd(sheared.deformation_gradient(crystal))
    np.testing.assert_allclose(axes @ (u @ v), still, atol=1e-12)
    assert np.abs(axes - still).max() > 0.01
