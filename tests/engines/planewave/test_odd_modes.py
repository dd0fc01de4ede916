"""Instabilities that an imposed inversion centre hides: on a spring model, and in rock-salt AlSi, much expanded.

Aluminium silicide has no rock-salt phase; at fcc edges of 8 Bohr (primitive) its atoms leave their centres. It is taken
because two atoms and 4 Ha suffice, and the physics need only be consistent between curvatures and relaxation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import OddModes, PlaneWaveEngine, odd_mode_check
from cellfields.engines.planewave.odd_modes import odd_modes, odd_patterns
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from tests.engines.planewave.problems import aluminium, four_point, magnesium_silicide, silicon, zinc_blende
from tests.toy import ToyEngine, magnesium

STRAIN = Deformation((1.01, 0.99, 1.0), (60.6, 59.2, 60.3))
SETTINGS = PlaneWaveSettings(smearing="cold", cutoff=4, kmesh=(2, 2, 2), basis="full", force_tolerance=1e-5)


def rock_salt(edge: float) -> Crystal:
    return Crystal.from_lengths_and_angles([edge] * 3, [60] * 3, ["Al", "Si"], [[0, 0, 0], [0.5, 0.5, 0.5]])


# -- patterns and the spring model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "count"),
    [(magnesium, 0), (silicon, 0), (aluminium, 0), (magnesium_silicide, 3), (lambda: rock_salt(7), 3)],
)
def test_patterns_are_odd_and_move_no_centre_of_mass(make, count: int) -> None:
    crystal = make()
    patterns = odd_patterns(crystal)
    assert patterns.shape == (count, crystal.n_atoms, 3)
    assert np.abs(patterns.sum(axis=1)).max(initial=0) < 1e-14
    assert np.allclose(patterns[:, crystal.inversion_images], patterns, atol=1e-14)
    gram = np.einsum("aij,bij->ab", patterns, patterns) / crystal.n_translations
    assert np.allclose(gram, np.eye(count), atol=1e-14)
    # Together with the even ones and the translations they are all there is.
    assert count + crystal.n_internal + 3 == 3 * len(crystal.primitive_atoms)


def test_supercell_has_the_modes_of_its_primitive_cell() -> None:
    one = rock_salt(7)
    two = Crystal(
        one.lattice_ref * [[2], [1], [1]],
        ["Al", "Si"] * 2,
        [[0, 0, 0], [0.25, 0.5, 0.5], [0.5, 0, 0], [0.75, 0.5, 0.5]],
    )
    assert two.n_translations == 2
    patterns = odd_patterns(two)
    assert patterns.shape == (3, 4, 3)
    assert np.allclose((patterns**2).sum(axis=(1, 2)), 2)
    assert np.allclose(patterns[:, [0, 1]], patterns[:, [2, 3]])


def springs(crystal: Crystal, constants: np.ndarray, lattice: np.ndarray):  # type: ignore[no-untyped-def]
    """Forces of F = ½ d·K d + quartic of the distance d between the two atoms, from their reference distance."""

    def forces(positions: np.ndarray) -> np.ndarray:
        moved = (positions - crystal.positions_ref) @ lattice
        d = moved[1] - moved[0]
        pull = constants @ d + 0.3 * (d @ d) * d
        return np.array([pull, -pull])

    return forces


@pytest.fixture(scope="module")
def spring_state() -> tuple[Crystal, CellState]:
    crystal = rock_salt(7)
    state = ToyEngine(crystal).solve(Deformation.identity(crystal))
    return crystal, state


@pytest.mark.parametrize("softest", [-0.02, 0.03])
def test_curvatures_of_springs(spring_state: tuple[Crystal, CellState], softest: float) -> None:
    """u = (−d, d)/√2 has unit norm and stretches the spring by √2 d: twice the spring constants."""
    crystal, state = spring_state
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    constants = turn @ np.diag([softest, 0.05, 0.07]) @ turn.T
    found = odd_modes(crystal, state, springs(crystal, constants, state.lattice))
    assert found.curvatures == pytest.approx(2 * np.array([softest, 0.05, 0.07]), abs=1e-3)  # the quartic term
    assert abs(found.patterns[0][1] @ turn[:, 0]) == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert found.unstable is (softest < 0)
    assert ("hides an instability: 1 odd mode has" if softest < 0 else "is stable") in found.verdict
    hessian = found.hessian(crystal.primitive_atoms, 0.1)
    assert np.allclose(hessian[3:, 3:], constants, atol=1e-3)  # the second atom against the first
    assert np.abs(hessian @ np.tile(np.eye(3), 2).T).max() < 1e-14  # translations cost nothing


def test_the_seed_lies_in_the_unstable_modes_whatever_their_basis(spring_state: tuple[Crystal, CellState]) -> None:
    crystal, state = spring_state
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    constants = turn @ np.diag([-0.02, -0.02, 0.05]) @ turn.T
    modes = odd_modes(crystal, state, springs(crystal, constants, state.lattice))
    assert np.linalg.norm(modes.seed) == pytest.approx(1)
    assert np.abs(modes.seed @ turn[:, 2]).max() < 1e-2
    rotation = np.array([[0.6, 0.8], [-0.8, 0.6]])
    patterns = np.array(modes.patterns)
    patterns[:2] = np.einsum("ab,bij->aij", rotation, patterns[:2])
    assert np.allclose(replace(modes, patterns=patterns).seed, modes.seed, atol=1e-12)


# -- in the engine ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> PlaneWaveEngine:
    return PlaneWaveEngine(rock_salt(8), SETTINGS)


@pytest.fixture(scope="module")
def modes(engine: PlaneWaveEngine) -> OddModes:
    return odd_mode_check(engine, STRAIN)


@pytest.fixture(scope="module")
def broken(engine: PlaneWaveEngine) -> CellState:
    return engine.for_crystal(engine.crystal.with_inversion("free")).solve(STRAIN)


def test_curvatures_are_those_of_the_free_energy(engine: PlaneWaveEngine, modes: OddModes) -> None:
    free = engine.for_crystal(engine.crystal.with_inversion("free"))
    inverse = np.linalg.inv(modes.state.lattice)

    def slope(at: float) -> float:
        def energy(t: float) -> float:
            positions = modes.state.positions + (at + t) * modes.patterns[0] @ inverse
            return free.evaluate(STRAIN, free.crystal.internal(positions)).free_energy

        return four_point(energy, 0.01)

    assert modes.curvatures[0] < -0.01 and modes.unstable
    assert slope(0.02) / 0.02 == pytest.approx(modes.curvatures[0], rel=0.05)  # anharmonic
    assert modes.curvatures[0] < 0 < modes.curvatures[2]
    assert "imposing inversion hides an instability" in modes.verdict


def test_a_free_relaxation_leaves_the_saddle(engine: PlaneWaveEngine, modes: OddModes, broken: CellState) -> None:
    """From exactly symmetric positions, where the odd forces vanish, to a lower minimum off the centre."""
    assert broken.free_energy < modes.state.free_energy - 1e-3
    assert np.abs(broken.forces).max() <= SETTINGS.force_tolerance
    distance = (broken.positions[1] - broken.positions[0]) @ broken.lattice
    centred = (modes.state.positions[1] - modes.state.positions[0]) @ broken.lattice
    assert 0.3 < np.linalg.norm(distance - centred) < 2.0
    assert broken.provenance["softest_odd_mode"] == pytest.approx(modes.curvatures[0])
    assert not broken.fields.basis.real
    # The mirror image is as good a minimum.
    free = engine.for_crystal(engine.crystal.with_inversion("free"))
    mirrored = free.evaluate(STRAIN, -broken.internal)
    assert mirrored.free_energy == pytest.approx(broken.free_energy, abs=1e-9)


def test_it_is_the_same_minimum_again(engine: PlaneWaveEngine, broken: CellState) -> None:
    again = engine.for_crystal(engine.crystal.with_inversion("free")).solve(STRAIN)
    assert again.free_energy == broken.free_energy
    assert np.array_equal(again.internal, broken.internal)


def test_a_curvature_of_the_free_crystal_is_not_held_against_the_imposed_one(engine: PlaneWaveEngine) -> None:
    crystal = rock_salt(6)
    free = engine.for_crystal(crystal.with_inversion("free"))
    state = engine.for_crystal(crystal).solve(STRAIN)
    start = DensityStart.of(state, curvature=0.1 * np.eye(free.crystal.n_internal))
    assert free.solve(STRAIN, start=start).free_energy == pytest.approx(state.free_energy, abs=1e-8)


def test_a_stable_centre_stays(engine: PlaneWaveEngine) -> None:
    """At an edge of 6 Bohr: the free relaxation ends where the imposed one does, after one more solve."""
    crystal = rock_salt(6)
    found = odd_mode_check(engine.for_crystal(crystal), STRAIN)
    assert not found.unstable and found.curvatures[0] > 0.05
    state = engine.for_crystal(crystal.with_inversion("free")).solve(STRAIN)
    assert state.provenance["solves"] == 1
    assert abs(state.free_energy - found.state.free_energy) < 1e-9
    assert np.abs(state.internal).max() < 1e-6


def test_crystals_that_have_no_odd_modes() -> None:
    settings = SETTINGS.model_copy(update={"kmesh": (2, 1, 1), "smearing_width": 0.02})
    crystal = magnesium()
    found = odd_mode_check(PlaneWaveEngine(crystal, settings), Deformation.identity(crystal))
    assert len(found.curvatures) == 0 and not found.unstable
    assert "no displacement" in found.verdict
    with pytest.raises(InputError, match="no inversion centre"):
        odd_mode_check(PlaneWaveEngine(zinc_blende(), settings), STRAIN)
