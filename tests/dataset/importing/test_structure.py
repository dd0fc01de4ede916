"""Other origin, other order, other frame: the same D and ξ; anything else is refused, and says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset.importing.structure import Match, match
from cellfields.errors import InputError
from cellfields.formats.grid_field import Structure
from tests.toy import magnesium

STRAIN = Deformation((1.02, 0.97, 1.01), (91.0, 88.5, 90.7))
POLAR = Crystal(
    np.diag([7.0, 8.0, 9.0]), ["Ga", "As", "Ga", "Al"], [[0, 0, 0], [0.3, 0.5, 0.1], [0.55, 0, 0.5], [0.7, 0.5, 0.6]]
)
SILICON = Crystal(5.13 * (np.ones((3, 3)) - np.eye(3)), ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def foreign(
    crystal: Crystal,
    internal: np.ndarray,
    *,
    shift: tuple[float, float, float] = (0, 0, 0),
    order: list[int] | None = None,
    rotation: np.ndarray | None = None,
    images: np.ndarray | None = None,
) -> Structure:
    lattice = STRAIN.lattice(crystal) @ (np.eye(3) if rotation is None else rotation)
    chosen = list(range(crystal.n_atoms)) if order is None else order
    positions = crystal.positions(internal) + np.array(shift) + (0 if images is None else images)
    return Structure(lattice, [crystal.species[i] for i in chosen], positions[chosen])


def check(crystal: Crystal, internal: np.ndarray, structure: Structure) -> Match:
    found = match(crystal, structure)
    np.testing.assert_allclose(found.deformation.as_array(), STRAIN.as_array(), atol=1e-9)
    np.testing.assert_allclose(found.internal, internal, atol=1e-12)
    assert found.asymmetry < 1e-9
    # What the match promises: each of our atoms is where it says in their cell.
    there = np.asarray(structure.positions)[found.order] - found.shift
    apart = there - crystal.positions(found.internal)
    assert np.abs(apart - np.rint(apart)).max() < 1e-9
    assert [structure.species[i] for i in found.order] == list(crystal.species)
    np.testing.assert_allclose(structure.lattice @ found.rotation, STRAIN.lattice(crystal), atol=1e-9)
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
    order=st.permutations(range(4)),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    images=st.lists(st.integers(-2, 2), min_size=12, max_size=12),
    seed=st.integers(0, 100),
    polar=st.booleans(),
)
def test_origin_order_frame_and_images_do_not_matter(
    shift: tuple[float, float, float],
    order: list[int],
    angles: tuple[float, float, float],
    images: list[int],
    seed: int,
    polar: bool,
) -> None:
    crystal = POLAR if polar else magnesium()
    internal = np.random.default_rng(seed).uniform(-0.01, 0.01, crystal.n_internal)
    rotation = Rotation.from_euler("xyz", angles).as_matrix()
    lattice_steps = np.reshape(images, (4, 3))
    check(
        crystal, internal, foreign(crystal, internal, shift=shift, order=order, rotation=rotation, images=lattice_steps)
    )


def test_a_crystal_without_internal_coordinates_but_with_two_atoms() -> None:
    strain = Deformation((1.01, 0.99, 1.0), (61.0, 59.5, 60.2))
    structure = Structure(strain.lattice(SILICON), ["Si", "Si"], np.array([[0.4, 0.1, 0.2], [0.15, -0.15, -0.05]]))
    found = match(SILICON, structure)
    np.testing.assert_allclose(found.deformation.as_array(), strain.as_array(), atol=1e-9)
    assert found.internal.shape == (SILICON.n_internal,)
    assert np.abs(found.internal).max(initial=0) < 1e-12


def test_nothing_is_moved_without_need() -> None:
    """Magnesium's cell fits onto itself by a translation too: the foreign origin and order win."""
    found = check(magnesium(), np.array([0.002, 0.01, -0.005]), foreign(magnesium(), np.array([0.002, 0.01, -0.005])))
    assert list(found.order) == [0, 1, 2, 3]
    assert np.abs(found.shift).max() < 1e-9


def test_what_a_relaxation_leaves_is_averaged_and_measured() -> None:
    crystal = magnesium()
    structure = foreign(crystal, np.zeros(3))
    noise = np.random.default_rng(0).normal(size=(4, 3)) * 1e-4
    found = match(crystal, Structure(structure.lattice, structure.species, structure.positions + noise))
    assert 1e-5 < found.asymmetry < 5e-3
    assert np.abs(found.internal).max() < 3e-4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: Structure(s.lattice, ["Mg", "Mg", "Mg", "Al"], s.positions), "its atoms are Al1Mg3"),
        (lambda s: Structure(s.lattice, s.species[:2], s.positions[:2]), "its atoms are Mg2, the crystal's Mg4"),
        (
            lambda s: Structure(s.lattice[[1, 2, 0]], s.species, s.positions[:, [1, 2, 0]]),
            "break the translations",
        ),
        (lambda s: Structure(s.lattice[[1, 0, 2]], s.species, s.positions), "right-handed"),
        (lambda s: Structure(3 * s.lattice, s.species, s.positions), "λa = 3.06 is outside"),
        (lambda s: Structure(s.lattice, s.species, np.random.default_rng(3).random((4, 3))), "no deformation"),
        (lambda s: Structure(s.lattice, s.species, s.positions + 0.02 * np.eye(4, 3)), "break the translations"),
    ],
)
def test_what_is_no_deformation_is_refused(change: object, words: str) -> None:
    assert callable(change)
    with pytest.raises(InputError, match=words):
        match(magnesium(), change(foreign(magnesium(), np.zeros(3))))
