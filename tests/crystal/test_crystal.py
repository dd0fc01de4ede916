"""Crystals: what is found in a structure, and what is refused."""

from __future__ import annotations

import pickle
from itertools import permutations

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from ase.units import Bohr
from scipy.spatial.transform import Rotation

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import lengths_and_angles
from cellfields.errors import InputError
from tests.toy import magnesium

MG_LENGTHS = [5.89, 10.201779256580686, 9.56]
MG_POSITIONS = np.array([[0, 0, 0], [1 / 2, 1 / 2, 0], [0, 2 / 3, 1 / 2], [1 / 2, 1 / 6, 1 / 2]])


def silicon(edge: float = 7.2) -> Crystal:
    return Crystal.from_lengths_and_angles([edge] * 3, [60] * 3, ["Si", "Si"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def aluminium() -> Crystal:
    return Crystal.from_lengths_and_angles([5.4] * 3, [60] * 3, ["Al"], [[0, 0, 0]])


def gallium_arsenide() -> Crystal:
    return Crystal.from_lengths_and_angles([7.5] * 3, [60] * 3, ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def wrapped(difference: np.ndarray) -> np.ndarray:
    return difference - np.rint(difference)


def assert_symmetric(crystal: Crystal, positions: np.ndarray, atol: float) -> None:
    """Every translation and the inversion map the atoms onto each other."""
    for shift, images in zip(crystal.translations, crystal.translation_images, strict=True):
        assert np.abs(wrapped(positions + shift - positions[images])).max() < atol
    if crystal.inversion_centre is not None:
        mirrored = 2 * crystal.inversion_centre - positions
        assert np.abs(wrapped(mirrored - positions[crystal.inversion_images])).max() < atol


# -- what is found ----------------------------------------------------------------------------------------------


def test_magnesium_has_the_symmetry_of_the_paper() -> None:
    crystal = magnesium()
    assert crystal.n_atoms == 4
    assert crystal.n_translations == 2
    assert crystal.n_internal == 3
    # Snapped to fractions, so exact to rounding.
    assert np.allclose(crystal.translations, [[0, 0, 0], [0.5, 0.5, 0]], atol=1e-15)
    assert np.allclose(crystal.inversion_centre, [0, 1 / 3, 1 / 4], atol=1e-14)
    assert_symmetric(crystal, crystal.positions_ref, 1e-14)
    assert abs(np.linalg.det(crystal.primitive) - 0.5) < 1e-14


def test_magnesium_atoms_move_as_the_paper_says() -> None:
    """R̄, (½,½,0) + R̄, (0,⅔,½) − R̄, (½,⅙,½) − R̄ (paper, section 4.1)."""
    crystal = magnesium()
    xi = np.array([0.011, -0.023, 0.037])
    expected = MG_POSITIONS + np.array([xi, xi, -xi, -xi])
    assert np.allclose(crystal.positions(xi), expected, atol=1e-14)
    assert_symmetric(crystal, crystal.positions(xi), 1e-14)


@pytest.mark.parametrize(
    ("make", "translations", "internal", "inversion"),
    [
        (magnesium, 2, 3, True),
        (silicon, 1, 3, True),
        (aluminium, 1, 0, True),
        (gallium_arsenide, 1, 3, False),
        (lambda: Crystal.from_atoms(bulk("Al", cubic=True)), 4, 0, True),
        (lambda: Crystal.from_atoms(bulk("Si", cubic=True)), 4, 3, True),
        (lambda: Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.64)), 1, 0, True),
        (lambda: Crystal.from_atoms(bulk("Al") * (2, 1, 3)), 6, 0, True),
        (lambda: Crystal.from_atoms(bulk("Mg")), 1, 3, True),  # 120° between a and b
    ],
    ids=["Mg", "Si", "Al", "GaAs", "Al cubic", "Si cubic", "NaCl", "Al supercell", "Mg hexagonal"],
)
def test_counts(make, translations: int, internal: int, inversion: bool) -> None:
    crystal = make()
    assert crystal.n_translations == translations
    assert crystal.n_internal == internal
    assert (crystal.inversion_centre is not None) is inversion
    assert abs(np.linalg.det(crystal.primitive) * translations - 1) < 1e-12
    assert len(crystal.primitive_atoms) * translations == crystal.n_atoms
    assert_symmetric(crystal, crystal.positions_ref, 1e-13)


def test_primitive_vectors_generate_cell_and_translations() -> None:
    for crystal in (
        magnesium(),
        Crystal.from_atoms(bulk("Si", cubic=True)),
        Crystal.from_atoms(bulk("Al") * (2, 1, 3)),
    ):
        inverse = np.linalg.inv(crystal.primitive)
        for vector in [*np.eye(3), *crystal.translations]:
            assert np.abs(wrapped(vector @ inverse)).max() < 1e-12  # an integer combination of primitive vectors


def test_primitive_atoms_seen_from_the_inversion_centre_are_pairs() -> None:
    crystal = magnesium()
    xi = np.array([0.01, 0.02, -0.03])
    lattice, atoms = crystal.to_primitive(crystal.lattice_ref, crystal.positions(xi))
    assert np.allclose(np.linalg.det(lattice), crystal.volume_ref / 2, rtol=1e-13)
    assert np.abs(wrapped(atoms[0] + atoms[1])).max() < 1e-13


def test_origin_is_free() -> None:
    """A structure drawn from another origin, atoms in other cells, is the same structure."""
    shift = np.array([0.1234, -0.377, 0.2501])
    whole = np.array([[0, 0, 0], [1, -2, 0], [0, 0, 3], [-1, 0, 0]])
    crystal = Crystal.from_lengths_and_angles(MG_LENGTHS, [90] * 3, ["Mg"] * 4, MG_POSITIONS + shift + whole)
    assert (crystal.n_translations, crystal.n_internal) == (2, 3)
    assert_symmetric(crystal, crystal.positions_ref, 1e-14)
    assert np.allclose(crystal.positions_ref, MG_POSITIONS + shift + whole, atol=1e-13)  # nothing is wrapped or moved
    # Centres of inversion repeat every half lattice vector and every half translation.
    offset = 4 * (crystal.inversion_centre - shift - [0, 1 / 3, 1 / 4])
    assert np.abs(wrapped(offset)).max() < 1e-12


def test_symmetry_false_keeps_the_cell_and_the_inversion() -> None:
    crystal = Crystal(magnesium().lattice_ref, ["Mg"] * 4, MG_POSITIONS, symmetry=False)
    assert crystal.n_translations == 1
    assert np.array_equal(crystal.primitive, np.eye(3))
    assert np.allclose(crystal.inversion_centre, [0, 1 / 3, 1 / 4], atol=1e-14)
    assert crystal.n_internal == 6  # two independent pairs instead of two atoms tied by a translation


@pytest.mark.parametrize(
    "rounded",
    [
        np.round(MG_POSITIONS, 4),  # as in a paper's table: 2/3 → 0.6667 misses by 3e-4 Bohr
        [[1e-5, 0, -1e-5], [0.50001, 0.49999, 0], [0, 0.66667, 0.50002], [0.5, 0.16666, 0.49999]],  # some one way, …
    ],
    ids=["rounded", "noisy"],
)
def test_rounded_positions_are_made_symmetric(rounded) -> None:
    """Errors inside the 1e-3 Bohr tolerance are averaged out, so that the symmetry holds to rounding."""
    assert 1e-5 <= np.abs(np.array(rounded) - MG_POSITIONS).max() < 1e-4
    crystal = Crystal.from_lengths_and_angles(MG_LENGTHS, [90] * 3, ["Mg"] * 4, rounded)
    assert (crystal.n_translations, crystal.n_internal) == (2, 3)
    assert_symmetric(crystal, crystal.positions_ref, 1e-14)
    # Averaging moves no atom further than the errors themselves.
    assert np.abs(crystal.positions_ref - rounded).max() <= 1e-4


def test_too_coarse_positions_are_not_called_symmetric() -> None:
    """0.67 for 2/3 is 0.03 Bohr off: the two basal planes of the cell are no longer equivalent by a translation."""
    crystal = Crystal.from_lengths_and_angles(
        MG_LENGTHS, [90] * 3, ["Mg"] * 4, [[0, 0, 0], [0.5, 0.5, 0], [0, 0.67, 0.5], [0.5, 0.1667, 0.5]]
    )
    assert crystal.n_translations == 1


# -- frame ------------------------------------------------------------------------------------------------------


def test_any_orientation_gives_the_standard_frame() -> None:
    reference = silicon()
    rotation = Rotation.from_euler("zyx", [40, -25, 130], degrees=True).as_matrix()
    turned = Crystal(reference.lattice_ref @ rotation.T, reference.species, reference.positions_ref)
    assert np.allclose(turned.lattice_ref, reference.lattice_ref, atol=1e-12)
    a, b, _ = turned.lattice_ref
    assert a[1] == a[2] == b[2] == 0
    assert a[0] > 0 and b[1] > 0
    assert np.linalg.det(turned.lattice_ref) > 0


def test_lattice_keeps_lengths_and_angles() -> None:
    lengths, angles = [5.0, 6.0, 7.5], [81.0, 95.0, 104.0]
    crystal = Crystal.from_lengths_and_angles(lengths, angles, ["Mg"], [[0.1, 0.2, 0.3]])
    found_lengths, found_angles = lengths_and_angles(crystal.lattice_ref)
    assert np.allclose(found_lengths, lengths, rtol=1e-14)
    assert np.allclose(found_angles, angles, rtol=1e-12)


# -- internal coordinates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [magnesium, silicon, gallium_arsenide, aluminium])
def test_internal_coordinates_round_trip(make) -> None:
    crystal = make()
    xi = np.linspace(-0.03, 0.04, crystal.n_internal)
    positions = crystal.positions(xi)
    assert np.allclose(crystal.internal(positions), xi, atol=1e-14)
    # Whole lattice vectors do not matter.
    assert np.allclose(crystal.internal(positions + np.array([1, -2, 0])), xi, atol=1e-13)


def test_internal_gradient_is_the_chain_rule() -> None:
    """∂F/∂ξ of a linear energy F = −Σ f·r is its difference quotient, exactly."""
    crystal = magnesium()
    lattice = crystal.lattice_ref * [1.02, 0.97, 1.01]
    forces = np.cos(np.arange(12.0)).reshape(4, 3)

    def energy(xi: np.ndarray) -> float:
        return -float((forces * (crystal.positions(xi) @ lattice)).sum())

    numeric = [energy(row) - energy(np.zeros(3)) for row in np.eye(3)]
    assert np.allclose(crystal.internal_gradient(forces, lattice), numeric, atol=1e-12)


def test_positions_that_break_the_symmetry_are_refused() -> None:
    crystal = magnesium()
    positions = np.array(crystal.positions_ref)
    positions[0, 0] += 1e-3
    with pytest.raises(InputError, match="break the translations"):
        crystal.internal(positions)


def test_wrong_number_of_internal_coordinates_is_refused() -> None:
    with pytest.raises(InputError, match="internal must hold 3 numbers"):
        magnesium().positions([0.0, 0.0])
    with pytest.raises(InputError, match="internal must hold 0 numbers"):
        aluminium().positions([0.1])


# -- an inversion centre that is free ---------------------------------------------------------------------------


def test_a_free_centre_is_known_but_not_kept() -> None:
    imposed = magnesium()
    free = imposed.with_inversion("free")
    assert (free.inversion, free.inversion_centre, free.inversion_images) == ("free", None, None)
    assert np.array_equal(free.origin, imposed.inversion_centre)
    assert np.array_equal(free.origin, imposed.origin)
    assert np.array_equal(free.positions_ref, imposed.positions_ref)
    assert free.n_translations == 2
    assert free.n_internal == 3  # the second atom of the primitive cell against the first
    assert "inversion=free" in repr(free)
    assert free.with_inversion("impose") == imposed


def test_odd_displacements_are_internal_coordinates_of_a_free_crystal() -> None:
    crystal = Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.64))
    assert crystal.n_internal == 0
    free = crystal.with_inversion("free")
    positions = np.array(crystal.positions_ref)
    positions[1] += [0.01, 0.02, -0.03]
    with pytest.raises(InputError, match="break"):
        crystal.internal(positions)
    assert np.allclose(free.internal(positions), [0.01, 0.02, -0.03], atol=1e-14)
    # A common shift of all atoms is no displacement where nothing fixes the origin.
    assert np.allclose(free.internal(positions + 0.1), [0.01, 0.02, -0.03], atol=1e-14)


def test_a_free_centre_is_another_crystal_and_survives_files() -> None:
    crystal = magnesium()
    free = crystal.with_inversion("free")
    assert free != crystal and free.fingerprint != crystal.fingerprint
    assert Crystal.from_dict(free.to_dict()) == free
    assert pickle.loads(pickle.dumps(free)) == free
    lengths, angles = lengths_and_angles(crystal.lattice_ref)
    again = Crystal.from_lengths_and_angles(lengths, angles, crystal.species, crystal.positions_ref, inversion="free")
    assert again == free
    assert Crystal.from_atoms(crystal.to_atoms(), inversion="free") == free


def test_without_a_centre_there_is_nothing_to_free() -> None:
    crystal = gallium_arsenide()
    assert crystal.with_inversion("free") == crystal
    assert crystal.inversion == "impose"
    assert np.array_equal(crystal.origin, np.zeros(3))


def test_fingerprints_of_the_first_datasets_stay() -> None:
    """Labels that cost hours are found by them."""
    assert magnesium().fingerprint == "3943a8aaf4931178332d97c50347c3ea14716ac839caa97791089959fd033647"
    assert silicon().fingerprint == "8f2530a1c04b9c0f381fd5cbcdb263bd6bdbbb787ebef0be77c3ff33f97cb0d5"
    assert "inversion" not in magnesium().to_dict()


def test_another_word_for_inversion_is_refused() -> None:
    with pytest.raises(InputError, match='inversion = \'keep\' must be "impose" or "free"'):
        Crystal(np.eye(3) * 6, ["Mg"], [[0, 0, 0]], inversion="keep")  # type: ignore[arg-type]


# -- in and out -------------------------------------------------------------------------------------------------


def test_atoms_round_trip() -> None:
    crystal = magnesium()
    back = Crystal.from_atoms(crystal.to_atoms())
    assert back == crystal
    assert hash(back) == hash(crystal)
    assert np.allclose(crystal.to_atoms().cell.array, crystal.lattice_ref * Bohr, rtol=1e-14)


def test_dict_and_pickle_round_trip() -> None:
    for crystal in (magnesium(), silicon(), gallium_arsenide()):
        assert Crystal.from_dict(crystal.to_dict()) == crystal
        assert pickle.loads(pickle.dumps(crystal)) == crystal


@pytest.mark.parametrize("name", ["mg.vasp", "mg.cif", "mg.xsf"])
def test_file_round_trip(tmp_path, name: str) -> None:
    crystal = magnesium()
    path = tmp_path / name
    write(str(path), crystal.to_atoms())
    back = Crystal.from_file(path)
    assert (back.n_translations, back.n_internal) == (2, 3)
    # CIF and XSF carry about eight digits in Å.
    assert np.allclose(back.lattice_ref, crystal.lattice_ref, atol=1e-6)
    assert np.abs(wrapped(back.positions_ref - crystal.positions_ref)).max() < 1e-6


def test_equality_is_of_structures() -> None:
    assert magnesium() == magnesium()
    assert magnesium() != silicon()
    assert silicon(7.2) != silicon(7.2001)
    assert magnesium() != "magnesium"


def test_arrays_are_immutable() -> None:
    with pytest.raises(ValueError, match="read-only"):
        magnesium().positions_ref[0, 0] = 1.0


def test_repr_names_what_was_found() -> None:
    assert repr(magnesium()) == "Crystal(Mg4, 2 primitive cells, 3 internal coordinates, inversion=yes)"
    assert "inversion=no" in repr(gallium_arsenide())


# -- refusals: one sentence that names the field ------------------------------------------------------------------

CUBE = np.eye(3) * 6.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((CUBE[[1, 0, 2]], ["Mg"], [[0, 0, 0]]), "lattice is left-handed"),
        (([[1, 0, 0], [0, 1, 0], [1, 1, 0]], ["Mg"], [[0, 0, 0]]), "lattice is singular"),
        ((np.zeros((3, 3)), ["Mg"], [[0, 0, 0]]), "lattice is singular"),
        ((CUBE[:2], ["Mg"], [[0, 0, 0]]), "lattice must be three"),
        ((CUBE * np.nan, ["Mg"], [[0, 0, 0]]), "lattice must be three finite"),
        ((CUBE, ["Mq"], [[0, 0, 0]]), "'Mq' is not a chemical symbol"),
        ((CUBE, ["X"], [[0, 0, 0]]), "'X' is not a chemical symbol"),
        ((CUBE, ["Mg", "Mg"], [[0, 0, 0], [1, 0, 0]]), "atoms 0 and 1 are 0.000 Bohr apart"),
        ((CUBE, ["Mg", "Al"], [[0, 0, 0], [0.01, 0, 0]]), "atoms 0 and 1 are 0.060 Bohr apart"),
        ((CUBE, ["Mg", "Mg"], [[0, 0, 0]]), "positions must be 2 rows"),
        ((CUBE, [], np.zeros((0, 3))), "species is empty"),
        ((CUBE, ["Mg"], [[0, 0, np.inf]]), "positions must be 1 rows"),
    ],
)
def test_bad_structures_are_refused(arguments: tuple, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        Crystal(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", [p for p in permutations(range(3)) if np.linalg.det(np.eye(3)[list(p)]) < 0])
def test_every_odd_exchange_of_vectors_is_left_handed(order: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="left-handed"):
        Crystal(magnesium().lattice_ref[list(order)], ["Mg"], [[0, 0, 0]])


@pytest.mark.parametrize(
    ("lengths", "angles", "sentence"),
    [
        ([5, 5, 0], [90] * 3, "lengths must be three positive"),
        ([5, 5, -5], [90] * 3, "lengths must be three positive"),
        ([5, 5], [90] * 3, "lengths must be three positive"),
        ([5, 5, 5], [np.pi / 2] * 3, "not radians"),
        ([5, 5, 5], [90, 90], "angles must be three"),
        ([5, 5, 5], [150, 150, 150], "close no cell"),
        ([5, 5, 5], [30, 40, 80], "close no cell"),
    ],
)
def test_bad_cells_are_refused(lengths: list[float], angles: list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Crystal.from_lengths_and_angles(lengths, angles, ["Mg"], [[0, 0, 0]])
