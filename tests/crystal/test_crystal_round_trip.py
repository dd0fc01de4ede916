"""A crystal is the same one after any number of ways through a file, whatever its lattice and however it is rounded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import in_standard_frame, lattice_from_lengths_and_angles
from cellfields.errors import InputError

EDGES = st.floats(4, 10)


def through_json(crystal: Crystal) -> Crystal:
    return Crystal.from_dict(json.loads(json.dumps(crystal.to_dict())))


@st.composite
def lattices(draw: st.DrawFn) -> np.ndarray:
    """(3, 3) of every lattice system, conventional or primitive, rounded or not, turned or in the standard frame."""
    a, b, c = draw(EDGES), draw(EDGES), draw(EDGES)
    oblique = st.floats(65, 115)
    kind = draw(
        st.sampled_from(
            [
                "cubic",
                "fcc",
                "bcc",
                "tetragonal",
                "orthorhombic",
                "hexagonal",
                "rhombohedral",
                "monoclinic",
                "triclinic",
            ]
        )
    )
    if kind in ("fcc", "bcc"):
        diagonal, other = (0.0, a / 2) if kind == "fcc" else (-a / 2, a / 2)
        lattice = np.full((3, 3), other)
        np.fill_diagonal(lattice, diagonal)
    else:
        lengths, angles = {
            "cubic": ((a, a, a), (90, 90, 90)),
            "tetragonal": ((a, a, c), (90, 90, 90)),
            "orthorhombic": ((a, b, c), (90, 90, 90)),
            "hexagonal": ((a, a, c), (90, 90, 120)),
            "rhombohedral": ((a, a, a), (draw(st.floats(50, 110)),) * 3),
            "monoclinic": ((a, b, c), (90, draw(oblique), 90)),
            "triclinic": ((a, b, c), (draw(oblique), draw(oblique), draw(oblique))),
        }[kind]
        lattice = lattice_from_lengths_and_angles(np.array(lengths), np.array(angles, dtype=float))
    if draw(st.booleans()):
        axis = np.array([draw(st.floats(-1, 1)) for _ in range(3)])
        assume(np.linalg.norm(axis) > 0.1)
        turn = np.linalg.qr(np.column_stack([axis, np.eye(3)[:, :2]]))[0]
        lattice = lattice @ (turn * np.sign(np.linalg.det(turn)))
    digits = draw(st.sampled_from([3, 6, 9, 10, 11, 12, None]))
    lattice = lattice if digits is None else lattice.round(digits)
    assume(np.linalg.det(lattice) > 20)
    return lattice


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    lattice=lattices(),
    digits=st.sampled_from([3, 5, 10, 11, 12, None]),
    inversion=st.sampled_from(["impose", "free"]),
    basis=st.sampled_from(["one", "hcp", "polar", "low"]),
)
def test_a_crystal_survives_its_own_dictionary(lattice, digits, inversion, basis) -> None:
    species, positions = {
        "one": (["Al"], [[0, 0, 0]]),
        "hcp": (["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]),
        "polar": (["Zn", "O"], [[0.01234567895, 0, 0], [0.5, 0.5, 0.38123456785]]),
        "low": (["Mg", "Mg", "O"], [[0.1, 0.2, 0.3], [0.61803398875, 0.72, 0.83], [0.3333333333333333, 0.95, 0.5]]),
    }[basis]
    rounded = np.array(positions) if digits is None else np.array(positions).round(digits)
    try:
        crystal = Crystal(lattice, species, rounded, inversion=inversion)
    except InputError:  # atoms of an unlucky cell too near to each other
        assume(False)
    once = through_json(crystal)
    twice = through_json(once)
    assert once == crystal and twice == crystal
    assert once.to_dict() == crystal.to_dict() == twice.to_dict()  # to the last bit
    np.testing.assert_array_equal(once.internal_basis, crystal.internal_basis)
    np.testing.assert_array_equal(once.primitive, crystal.primitive)


def test_the_frame_of_a_frame_is_the_frame_to_the_last_bit() -> None:
    """An eleven-decimal hexagonal lattice: turning it once more used to change its fingerprint."""
    lattice = np.array([[6.84749071475, 0, 0], [-3.42374535738, 5.93010091115, 0], [0, 0, 8.30401580505]])
    np.testing.assert_array_equal(in_standard_frame(lattice), lattice)
    crystal = Crystal(lattice, ["Mg", "Mg"], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
    assert through_json(crystal) == crystal


def test_another_tolerance_is_kept() -> None:
    """Atoms 2e-4 Bohr off their symmetric places are told apart again after the way through a file."""
    positions = [[0, 0, 0], [0.5, 0.5, 0.50002]]
    tight = Crystal(8.0 * np.eye(3), ["Na", "Na"], positions, tolerance=1e-5)
    assert tight.n_translations == 1 and through_json(tight).n_translations == 1
    assert through_json(tight) == tight != Crystal(8.0 * np.eye(3), ["Na", "Na"], positions)


def test_nearly_coplanar_vectors_are_refused_in_any_frame() -> None:
    flat = np.array([[5.0, 0, 0], [0, 5.0, 0], [4.0, 0.5, 0.02]])
    with pytest.raises(InputError, match="close no cell"):
        in_standard_frame(flat)


@pytest.mark.parametrize(
    "name",
    [
        "lattice_ref",
        "positions_ref",
        "translations",
        "primitive",
        "origin",
        "internal_basis",
        "inversion_centre",
        "translation_images",
        "inversion_images",
        "primitive_atoms",
        "representatives",
    ],
)
def test_no_array_of_a_crystal_can_be_written(name: str) -> None:
    crystal = Crystal(6.0 * np.eye(3), ["Mg", "Mg"], [[0, 0, 0.1], [0, 0, 0.6]])
    with pytest.raises(ValueError, match="read-only"):
        getattr(crystal, name)[...] = 0
