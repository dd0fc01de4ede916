"""Deformations: frame, strain measures, sampling, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import kstest, truncnorm

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import (
    COMPONENTS,
    Deformation,
    lattice_from_lengths_and_angles,
    lengths_and_angles,
    sample_deformations,
)
from cellfields.errors import InputError
from tests.toy import magnesium

STRAINED = Deformation((0.9696, 0.9237, 0.9906), (92.1598, 85.6196, 87.3824))


@pytest.fixture(scope="module")
def mg() -> Crystal:
    return magnesium()


@pytest.fixture(scope="module")
def si() -> Crystal:
    return Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def strains_around(angle: float) -> st.SearchStrategy[Deformation]:
    stretch, theta = st.floats(0.9, 1.1), st.floats(angle - 6, angle + 6)
    return st.builds(Deformation, st.tuples(stretch, stretch, stretch), st.tuples(theta, theta, theta))


# -- frame and kinematics ---------------------------------------------------------------------------------------


def test_identity_has_the_crystals_own_angles(mg: Crystal, si: Crystal) -> None:
    assert Deformation.identity(mg) == Deformation((1, 1, 1), (90, 90, 90))
    assert Deformation.identity(si) == Deformation((1, 1, 1), (60, 60, 60))
    for crystal in (mg, si):
        identity = Deformation.identity(crystal)
        assert np.allclose(identity.lattice(crystal), crystal.lattice_ref, atol=1e-11)
        assert np.allclose(identity.deformation_gradient(crystal), np.eye(3), atol=1e-12)
        assert abs(identity.volumetric_strain(crystal)) < 1e-12


@given(strains_around(60))
@settings(deadline=None, max_examples=40)
def test_lattice_has_the_lengths_angles_and_frame(deformation: Deformation) -> None:
    crystal = Crystal.from_lengths_and_angles([7.0, 7.2, 7.5], [60] * 3, ["Si"], [[0, 0, 0]])
    lattice = deformation.lattice(crystal)
    lengths, angles = lengths_and_angles(lattice)
    assert np.allclose(lengths, np.array([7.0, 7.2, 7.5]) * deformation.stretches, rtol=1e-12)
    assert np.allclose(angles, deformation.angles, rtol=1e-11)
    assert lattice[0, 1] == lattice[0, 2] == lattice[1, 2] == 0
    assert (np.diag(lattice) > 0).all()


@given(strains_around(90), st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_lattice_and_gradient_round_trips_whatever_the_rotation(deformation: Deformation, seed: int) -> None:
    crystal = magnesium()
    rotation = Rotation.random(rng=seed).as_matrix()
    lattice = deformation.lattice(crystal)
    # arccos loses half the digits near 0° and 180° only; here 1e-10 degrees is rounding.
    turned = Deformation.from_lattice(lattice @ rotation.T, crystal)
    assert np.allclose(turned.as_array(), deformation.as_array(), atol=1e-10)
    gradient = deformation.deformation_gradient(crystal)
    again = Deformation.from_deformation_gradient(rotation @ gradient, crystal)
    assert np.allclose(again.as_array(), deformation.as_array(), atol=1e-10)


def test_deformation_gradient_maps_the_cell(mg: Crystal, si: Crystal) -> None:
    for crystal, deformation in ((mg, STRAINED), (si, Deformation((1.02, 0.97, 1.01), (61, 58.5, 62)))):
        gradient = deformation.deformation_gradient(crystal)
        assert np.allclose(crystal.lattice_ref @ gradient.T, deformation.lattice(crystal), atol=1e-12)  # a = F a⁰
        assert np.allclose(np.tril(gradient, -1), 0, atol=1e-13)  # both cells in the standard frame
        assert np.isclose(np.linalg.det(gradient) - 1, deformation.volumetric_strain(crystal), atol=1e-13)
        assert np.isclose(deformation.volume(crystal), np.linalg.det(gradient) * crystal.volume_ref, rtol=1e-13)
        green = deformation.green_strain(crystal)
        # E measures lengths: |a|² − |a⁰|² = 2 a⁰·E a⁰, and so does every pair of edges.
        change = (
            deformation.lattice(crystal) @ deformation.lattice(crystal).T - crystal.lattice_ref @ crystal.lattice_ref.T
        )
        assert np.allclose(2 * crystal.lattice_ref @ green @ crystal.lattice_ref.T, change, atol=1e-11)


def test_green_strain_is_blind_to_rotation(mg: Crystal) -> None:
    rotation = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
    gradient = STRAINED.deformation_gradient(mg)
    turned = Deformation.from_deformation_gradient(rotation @ gradient, mg)
    assert np.allclose(turned.green_strain(mg), STRAINED.green_strain(mg), atol=1e-13)


def test_array_form_and_pickle() -> None:
    assert np.array_equal(STRAINED.as_array(), [0.9696, 0.9237, 0.9906, 92.1598, 85.6196, 87.3824])
    assert Deformation.from_array(STRAINED.as_array()) == STRAINED
    assert pickle.loads(pickle.dumps(STRAINED)) == STRAINED
    assert len({STRAINED, Deformation.from_array(STRAINED.as_array())}) == 1


def test_right_angles_are_exact() -> None:
    lattice = lattice_from_lengths_and_angles(np.array([2.0, 3.0, 4.0]), np.array([90.0] * 3))
    assert np.array_equal(lattice, np.diag([2.0, 3.0, 4.0]))


# -- the paper's small strain -----------------------------------------------------------------------------------


def test_small_strain_obeys_equations_15_and_16(mg: Crystal) -> None:
    e = STRAINED.small_strain(mg)
    la, lb, lc = STRAINED.stretches
    assert np.array_equal(e, e.T)
    assert np.isclose(la**2, (1 + e[0, 0]) ** 2 + e[0, 1] ** 2 + e[0, 2] ** 2, rtol=1e-14)
    assert np.isclose(lb**2, (1 + e[1, 1]) ** 2 + e[0, 1] ** 2 + e[1, 2] ** 2, rtol=1e-14)
    assert np.isclose(lc**2, (1 + e[2, 2]) ** 2 + e[0, 2] ** 2 + e[1, 2] ** 2, rtol=1e-14)
    twice_shear = np.pi / 2 - np.radians(STRAINED.angles)
    assert np.allclose(twice_shear, [2 * e[1, 2], 2 * e[0, 2], 2 * e[0, 1]], atol=1e-15)


@given(strains_around(90))
@settings(deadline=None, max_examples=40)
def test_small_strain_round_trip(deformation: Deformation) -> None:
    crystal = magnesium()
    back = Deformation.from_small_strain(deformation.small_strain(crystal), crystal)
    assert np.allclose(back.as_array(), deformation.as_array(), atol=1e-12)


def test_small_strain_agrees_with_green_strain_to_first_order(mg: Crystal) -> None:
    """ε = E + O(strain²): halving the strain quarters the difference."""
    direction = np.array([[0.01, 0.004, -0.003], [0.004, -0.008, 0.006], [-0.003, 0.006, 0.005]])
    difference = [
        np.abs(Deformation.from_small_strain(scale * direction, mg).green_strain(mg) - scale * direction).max()
        for scale in (1.0, 0.5)
    ]
    assert difference[0] < 3e-4  # of the order of strain²
    assert 3.5 < difference[0] / difference[1] < 4.5


def test_small_strain_needs_right_angles(si: Crystal) -> None:
    identity = Deformation.identity(si)
    with pytest.raises(InputError, match="right angles only"):
        identity.small_strain(si)
    with pytest.raises(InputError, match="right angles only"):
        Deformation.from_small_strain(np.zeros((3, 3)), si)


def test_impossible_small_strains_are_refused(mg: Crystal) -> None:
    with pytest.raises(InputError, match="shear is too large"):
        Deformation((0.5, 0.5, 0.5), (90, 25, 25 + 60)).small_strain(mg)
    with pytest.raises(InputError, match="symmetric 3 × 3"):
        Deformation.from_small_strain(np.array([[0, 0.01, 0], [0, 0, 0], [0, 0, 0]]), mg)


# -- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            [1, 1, 1, 1.5708, 1.5708, 1.5708],
            r"θa = 1\.5708 is outside 20 … 160 degrees \(angles are in degrees, not rad",
        ),
        ([1, 1, 1, 90, 90, 1.6], r"θc = 1\.6 is outside"),
        ([0, 1, 1, 90, 90, 90], r"λa = 0 is outside 0\.5 … 2 "),
        ([1, -1, 1, 90, 90, 90], "λb = -1 is outside"),
        ([1, 1, 2.5, 90, 90, 90], r"λc = 2\.5 is outside"),
        ([1, np.nan, 1, 90, 90, 90], "λb = nan is outside"),
        ([1, 1, np.inf, 90, 90, 90], "λc = inf is outside"),
        ([1, 1, 1, 150, 150, 150], "close no cell"),
        ([1, 1, 1, 30, 40, 80], "close no cell"),
        ([1, 1, 1, 60, 60, 120], "close no cell"),  # flat: θc = θa + θb
        ([1, 1, 1, 90, 90], "D needs six numbers"),
    ],
)
def test_bad_values_are_refused(values: list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        Deformation.from_array(values)
    assert "\n" not in str(caught.value)


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="stretches needs three numbers"):
        Deformation((1.0, 1.0), (90, 90, 90))  # type: ignore[arg-type]


def test_left_handed_and_flat_lattices_are_refused(mg: Crystal) -> None:
    lattice = np.array(mg.lattice_ref)
    for bad in (lattice[[1, 0, 2]], lattice * [[1], [1], [0]]):
        with pytest.raises(InputError, match="right-handed"):
            Deformation.from_lattice(bad, mg)


# -- sampling (paper, section 4.2) ------------------------------------------------------------------------------


def test_sampling_is_reproducible_and_has_the_prefix_property(mg: Crystal) -> None:
    long = sample_deformations(mg, 40, seed=3)
    assert sample_deformations(mg, 40, seed=3) == long
    assert sample_deformations(mg, 15, seed=3) == long[:15]
    assert sample_deformations(mg, 40, seed=4) != long
    assert sample_deformations(mg, 0, seed=3) == []


def test_samples_follow_the_truncated_normal(mg: Crystal) -> None:
    values = np.array([d.as_array() for d in sample_deformations(mg, 4000, seed=11)])
    stretches, angles = values[:, :3], values[:, 3:]
    assert np.abs(stretches - 1).max() <= 0.1  # cut at two sigma …
    assert np.abs(angles - 90).max() <= 6.0
    assert np.abs(stretches - 1).max() > 0.099  # … and not earlier: 24 000 draws come close to the cut
    # A normal cut at two sigma has 0.880 of the standard deviation; 12 000 draws know it to 0.6 % (one sigma).
    expected = truncnorm.std(-2, 2)
    assert abs(expected - 0.8796) < 1e-4
    assert np.isclose(stretches.std(), 0.05 * expected, rtol=0.02)
    assert np.isclose(angles.std(), 3.0 * expected, rtol=0.02)
    # The whole distribution, and no correlation between the six numbers (1/√4000 = 0.016).
    assert kstest(((stretches - 1) / 0.05).ravel(), truncnorm(-2, 2).cdf).pvalue > 1e-3
    assert kstest(((angles - 90) / 3).ravel(), truncnorm(-2, 2).cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(values.T) - np.eye(6)).max() < 0.07


def test_samples_are_rounded(mg: Crystal) -> None:
    values = np.array([d.as_array() for d in sample_deformations(mg, 20, seed=1)])
    assert np.array_equal(values, np.round(values, 4))
    assert not np.array_equal(values, np.round(values, 3))
    coarse = np.array([d.as_array() for d in sample_deformations(mg, 20, seed=1, decimals=2)])
    assert np.array_equal(coarse, np.round(coarse, 2))


def test_sampling_is_around_the_crystals_own_angles(si: Crystal) -> None:
    values = np.array([d.as_array() for d in sample_deformations(si, 50, seed=2, stretch_sigma=0.01, angle_sigma=0.5)])
    assert np.abs(values[:, :3] - 1).max() <= 0.02
    assert np.abs(values[:, 3:] - 60).max() <= 1.0
    still = sample_deformations(si, 3, seed=2, stretch_sigma=0, angle_sigma=0)
    assert still == [Deformation.identity(si)] * 3


def test_held_components_keep_the_reference_and_the_others_their_draw(mg: Crystal) -> None:
    plane = ("lambda_c", "theta_a", "theta_b")
    every = np.array([d.as_array() for d in sample_deformations(mg, 30, seed=5)])
    held = np.array([d.as_array() for d in sample_deformations(mg, 30, seed=5, hold=plane)])
    assert np.array_equal(held[:, [0, 1, 5]], every[:, [0, 1, 5]])
    assert np.array_equal(held[:, [2, 3, 4]], np.tile([1.0, 90.0, 90.0], (30, 1)))


def test_held_angles_are_not_rounded() -> None:
    crystal = Crystal.from_lengths_and_angles([7.0] * 3, [97.1234567, 90, 90], ["Al"], [[0, 0, 0]])
    reference = Deformation.identity(crystal)
    for found in sample_deformations(crystal, 5, seed=0, hold=["theta_a"]):
        assert found.angles[0] == reference.angles[0]
        assert found.angles[1] == round(found.angles[1], 4)


def test_draws_of_the_first_datasets_stay(mg: Crystal) -> None:
    """They name the labels that are there."""
    drawn = [d.as_array().tolist() for d in sample_deformations(mg, 2, seed=3)]
    assert drawn == [
        [0.9372, 0.9661, 1.0399, 90.5936, 86.3615, 89.5179],
        [0.9975, 0.9533, 1.0297, 86.6385, 89.2102, 90.1202],
    ]


@pytest.mark.parametrize("hold", [["lambda_d"], ["theta_a", "θb"], [*COMPONENTS]], ids=str)
def test_impossible_holds_are_refused(mg: Crystal, hold: list[str]) -> None:
    with pytest.raises(InputError, match=r"hold = .* must name some of lambda_a, .*, but not all"):
        sample_deformations(mg, 3, seed=0, hold=hold)


@pytest.mark.parametrize(
    "arguments", [{"count": -1}, {"stretch_sigma": -0.1}, {"angle_sigma": -1.0}, {"cut": 0.0}], ids=str
)
def test_bad_sampling_is_refused(mg: Crystal, arguments: dict) -> None:
    with pytest.raises(InputError, match="must not be negative"):
        sample_deformations(mg, **{"count": 3, "seed": 0, **arguments})
