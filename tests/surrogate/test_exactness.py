"""What no training can spoil: electron number, zero-mean φ, the crystal's symmetry, energies that are integrals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate import Surrogate
from tests.surrogate.samples import TINY_RECIPES, draw
from tests.toy import ToyEngine

# What lies outside the domain is warned of (test_domain.py); here it must hold there too.
pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")

FAR = Deformation((1.2, 0.8, 1.1), (80.0, 95.0, 100.0))
GRID = (12, 20, 18)  # even along a and b: the centring (½, ½, 0) maps points onto points


@pytest.fixture(scope="session", params=["unseen", "far"])
def state(request: pytest.FixtureRequest, surrogate: Surrogate, unseen: list[Deformation]) -> CellState:
    """A prediction of each recipe, among the training strains and far from them."""
    return surrogate.solve(FAR if request.param == "far" else unseen[0])


def on_grid(state: CellState, name: str, origin: np.ndarray | None = None) -> np.ndarray:
    assert state.fields is not None
    return state.fields.on_grid(name, GRID, np.zeros(3) if origin is None else origin)


def test_electrons_are_counted_exactly(state: CellState) -> None:
    assert state.fields is not None and state.fields.integral("density") == 8.0
    assert on_grid(state, "density").mean() * state.volume == pytest.approx(8.0, abs=1e-12)


def test_the_potential_has_no_mean(state: CellState) -> None:
    assert state.fields is not None and state.fields.integral("coulomb_potential") == 0.0
    potential = on_grid(state, "coulomb_potential")
    assert abs(potential.mean()) < 1e-14 * np.abs(potential).max()


def test_energies_are_integrals_on_any_grid(surrogate: Surrogate, state: CellState) -> None:
    assert state.band_energy == pytest.approx(on_grid(state, "band_energy_density").mean() * state.volume, rel=1e-12)
    entropy = on_grid(state, "entropy_density").mean() * state.volume
    assert surrogate.encoding.smearing_width is not None
    assert state.entropic_energy == pytest.approx(-surrogate.encoding.smearing_width * entropy, rel=1e-12)


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_fields_have_the_crystals_translations(crystal: Crystal, state: CellState, name: str) -> None:
    values = on_grid(state, name)
    assert len(crystal.translations) == 2
    for translation in crystal.translations:
        shift = np.rint(translation * GRID).astype(int)
        moved = np.roll(values, shift, axis=(0, 1, 2))
        np.testing.assert_allclose(moved, values, rtol=0, atol=1e-13 * np.abs(values).max())


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_fields_have_the_crystals_inversion_centre(crystal: Crystal, state: CellState, name: str) -> None:
    assert crystal.inversion_centre is not None
    values = on_grid(state, name, crystal.inversion_centre)
    mirrored = np.roll(values[::-1, ::-1, ::-1], 1, axis=(0, 1, 2))  # point i onto −i
    np.testing.assert_allclose(mirrored, values, rtol=0, atol=1e-13 * np.abs(values).max())
    elsewhere = on_grid(state, name, crystal.inversion_centre + np.array([0.02, 0.03, 0.01]))
    assert np.abs(np.roll(elsewhere[::-1, ::-1, ::-1], 1, axis=(0, 1, 2)) - elsewhere).max() > 1e-3 * np.ptp(elsewhere)


def test_atoms_have_both(crystal: Crystal, state: CellState) -> None:
    def lands_on_an_atom(images: np.ndarray) -> bool:
        difference = images[:, None] - state.positions
        return bool((np.abs(difference - np.rint(difference)).max(axis=2).min(axis=1) < 1e-13).all())

    assert all(lands_on_an_atom(state.positions + translation) for translation in crystal.translations)
    assert lands_on_an_atom(2 * crystal.inversion_centre - state.positions)
    assert not lands_on_an_atom(state.positions + np.array([0.25, 0, 0]))


def test_a_file_keeps_what_is_exact(surrogate: Surrogate, unseen: list[Deformation], tmp_path: Path) -> None:
    surrogate.save(tmp_path / "m.safetensors")
    state = Surrogate.load(tmp_path / "m.safetensors").solve(unseen[0])
    assert state.fields is not None
    assert state.fields.integral("density") == 8.0 and state.fields.integral("coulomb_potential") == 0.0
    assert state.band_energy == pytest.approx(state.fields.integral("band_energy_density"), rel=1e-13)


@pytest.mark.parametrize("name", ["paper", "best"])
def test_without_an_inversion_centre_what_is_left_is_exact(name: str) -> None:
    """Complex coefficients: electrons, φ, and the integrals."""
    carbide = Crystal(4.12 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Si", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    engine = ToyEngine(carbide, field_cutoff=1.5)
    recipe = TINY_RECIPES[name]
    state = Surrogate.train(carbide, map(engine.solve, draw(carbide, 12)), recipe).solve(draw(carbide, 1, seed=3)[0])
    assert state.fields is not None and np.iscomplexobj(state.fields.coefficients["density"])
    assert state.fields.integral("density") == pytest.approx(4.0, abs=1e-14)
    assert state.fields.integral("coulomb_potential") == 0.0
    assert state.band_energy == pytest.approx(state.fields.integral("band_energy_density"), rel=1e-13)
