"""The finite-element example: Newton converges quadratically, and the crystal behind a material point is known."""

from __future__ import annotations

import importlib
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cellfields.mechanics import stress_free
from cellfields.surrogate import Surrogate

pytest.importorskip("skfem", reason="scikit-fem is not installed (pip install 'cellfields[fem]')")

SCRIPT = Path(__file__).parents[2] / "examples" / "07_finite_elements" / "bar.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        return importlib.import_module(SCRIPT.stem)


@pytest.fixture(scope="module")
def model(learned: Surrogate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fem") / "model.safetensors"
    learned.save(path)
    return path


def test_the_bar_is_stretched(example, model, tmp_path, capsys):
    picture = tmp_path / "density.png"
    options = ["--axis", "3", "--stretch", "0.015", "--steps", "1", "--cells", "8", "2", "2", "--picture", str(picture)]
    bar = example.main(["--model", str(model), *options])
    printed = capsys.readouterr().out
    residuals = [float(text) for text in re.findall(r"residual (\S+)", printed)]
    assert residuals[-1] < 1e-9 and len(residuals) <= 6
    orders = [np.log(b) / np.log(a) for a, b in pairwise(residuals) if b > 1e-13]
    assert orders[-1] > 1.7  # each residual is about the square of the one before
    assert 0.5 < bar.reaction() < 6  # kN: some 60 GPa, 1.5 %, 2 to 4 mm²
    assert "electron density goes from" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_undeformed_bar_is_free_of_stress_and_its_law_objective(example, learned):
    material = example.Material.of(learned, 3)
    first, tangent = material(np.eye(3))
    assert np.abs(first).max() < 0.01  # GPa
    natural = stress_free(learned).deformation.deformation_gradient(learned.crystal)
    np.testing.assert_allclose(material.in_crystal(np.eye(3)), material.turn.T @ material.turn @ natural, atol=1e-14)
    step = 1e-5 * np.random.default_rng(0).normal(size=(3, 3))
    change = (material(np.eye(3) + step)[0] - material(np.eye(3) - step)[0]) / 2
    np.testing.assert_allclose(np.einsum("ijkl,kl->ij", tangent, step), change, rtol=1e-5, atol=1e-9)
    bar_axis = np.array([1.0, 0, 0])
    np.testing.assert_allclose(material.turn @ [0, 0, 1.0], bar_axis)


def test_leaving_the_domain_stops_with_a_sentence(example, model):
    with pytest.raises(SystemExit, match="smaller steps"):
        example.main(["--model", str(model), "--stretch", "0.3", "--steps", "1", "--cells", "4", "2", "2"])
