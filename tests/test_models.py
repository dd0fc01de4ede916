"""Models by name: found beside the package, listed where a name is unknown, and what ships is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields import Deformation, Surrogate, models
from cellfields.errors import InputError, PhysicsWarning
from cellfields.mechanics import stress_free
from cellfields.state.fields import FIELD_NAMES


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, and another one to work in."""
    for name in ("mg", "al"):
        (tmp_path / f"{name}.safetensors").write_text("")
    (tmp_path / "mg.md").write_text("# of mg\n")
    monkeypatch.setattr(models, "_FOLDER", tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path


def test_names_become_files(shelf: Path) -> None:
    assert models.names() == ("al", "mg")
    assert models.find("mg") == models.find(Path("mg")) == shelf / "mg.safetensors"
    assert models.card("mg") == "# of mg\n" and models.card("al") is None


def test_paths_stay_what_they_are(shelf: Path) -> None:
    for path in ("run/mg", "./x/mg.safetensors", "mg.safetensors", str(shelf / "mg")):
        assert models.find(path) == Path(path)
    Path("mg").write_text("a file of that name comes first")
    assert models.find("mg") == Path("mg")


def test_a_folder_does_not_hide_a_model(shelf: Path) -> None:
    for name in ("mg", "dataset"):
        Path(name).mkdir()
    assert models.find("mg") == shelf / "mg.safetensors"
    assert models.find("dataset") == Path("dataset")


def test_an_unknown_name_lists_those_there_are(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"model 'mgg' is neither a file nor the name .* \(al, mg\)"):
        models.find("mgg")
    with pytest.raises(InputError, match=r"\(al, mg\)"):
        Surrogate.load("mgg")
    monkeypatch.setattr(models, "_FOLDER", shelf / "work")
    with pytest.raises(InputError, match=r"\(none\)"):
        models.find("mg")


@pytest.mark.parametrize("name", models.names())
def test_what_ships_predicts_everything_and_tells_of_itself(name: str) -> None:
    path = models.find(name)
    assert path.stat().st_size < 5e6
    surrogate = Surrogate.load(name, outside="raise")
    assert surrogate.unknown == () and surrogate.recipe.name == "best"
    state = surrogate.solve(Deformation.identity(surrogate.crystal))
    assert state.fields is not None and set(state.fields.coefficients) == set(FIELD_NAMES)
    assert state.stress is not None and np.abs(state.stress).max() < 1e-3
    assert surrogate.uncertainty(state.deformation)["free_energy"] > 0
    card = models.card(name)
    assert card is not None
    assert f"{surrogate.metadata['n_train']} training states" in card
    for heading in ("## Data", "## Errors", "## Domain"):
        assert heading in card


@pytest.mark.skipif("mg" not in models.names(), reason="the magnesium model is made by benchmarks/ship_model.py")
def test_magnesium_has_its_electrons() -> None:
    state = Surrogate.load("mg").solve(Deformation((1.0, 1.0, 1.0), (90.0, 90.0, 90.0)))
    assert state.fields is not None and state.fields.integral("density") == pytest.approx(8.0, abs=1e-12)
    assert state.fields.integral("coulomb_potential") == 0.0


def test_the_card_of_mg_tells_the_shape_that_the_model_relaxes_to() -> None:
    """b/a of hexagonal magnesium is √3; the labels' k mesh is not hexagonal, and the card must not hide it."""
    mg = Surrogate.load("mg", outside="flag")
    with pytest.warns(PhysicsWarning, match="the k mesh does not have the crystal's symmetry"):
        lengths = np.linalg.norm(stress_free(mg, components="axial").lattice, axis=1)
    card = models.card("mg")
    assert card is not None
    assert f"b/a = {lengths[1] / lengths[0]:.3f}" in card
    assert "√3 = 1.732" in card and "12 × 12 × 12 points on the four-atom orthorhombic cell" in card
