"""The recipe "best": as symmetric as the crystal, and F learns from stress where that is its derivative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.engines.identity import EngineIdentity
from cellfields.state import CellState
from cellfields.state.axis_operations import axis_operations
from cellfields.surrogate import Recipe, Surrogate
from cellfields.surrogate.images import images_of
from tests.surrogate.samples import draw
from tests.toy import ToyEngine

# What lies outside the domain is warned of (test_domain.py); here it does not matter.
pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")

BEST = Recipe(name="best", degree=3, modes=10)


class Elastic(ToyEngine):
    """Energy and stress of a smooth symmetric function of the metric: F = Σ c_ij E_ij² V⁰ + …, σ its derivative."""

    def solve(self, deformation, *, start=None):  # type: ignore[no-untyped-def]
        state = super().solve(deformation)
        gradient = deformation.deformation_gradient(self.crystal)
        green = 0.5 * (gradient.T @ gradient - np.eye(3))
        stiffness = np.array([[2.0, 0.7, 0.6], [0.7, 2.2, 0.6], [0.6, 0.6, 1.8]]) * 1e-3
        energy = self.crystal.volume_ref * float((stiffness * green**2).sum() + 4e-3 * np.trace(green) ** 3)
        second = 2 * stiffness * green + 12e-3 * np.trace(green) ** 2 * np.eye(3)
        stress = gradient @ second @ gradient.T / np.linalg.det(gradient)
        return replace(state, free_energy=energy - 1.8, stress=stress)


@pytest.fixture(scope="module")
def elastic(crystal: Crystal) -> list[CellState]:
    return list(map(Elastic(crystal, field_cutoff=1.0).solve, draw(crystal, 30)))


def errors(surrogate: Surrogate, truth: list[CellState]) -> float:
    return max(abs(surrogate.solve(s.deformation).free_energy - s.free_energy) for s in truth)


def test_the_map_is_exactly_as_symmetric_as_the_crystal(crystal: Crystal, states: list[CellState]) -> None:
    surrogate = Surrogate.train(crystal, states, BEST)
    prediction = surrogate.solve(states[0].deformation)
    for operation in axis_operations(crystal)[1:]:
        image = operation.state(crystal, prediction)
        direct = surrogate.solve(image.deformation)
        assert abs(direct.free_energy - image.free_energy) < 1e-10
        assert np.allclose(direct.internal, image.internal, atol=1e-10)
        assert np.allclose(direct.stress, image.stress, atol=1e-12)
        for name in image.fields.coefficients:
            difference = np.linalg.norm(direct.fields.vector(name) - image.fields.vector(name))
            assert difference < 1e-9 * np.linalg.norm(image.fields.vector(name))


def test_images_that_the_mesh_does_not_share_are_left_out() -> None:
    cube = Crystal.from_lengths_and_angles([5.4] * 3, [60] * 3, ["Al"], [[0, 0, 0]])
    states = list(map(ToyEngine(cube, field_cutoff=1.0).solve, draw(cube, 2)))
    assert images_of(cube, states, BEST, EngineIdentity({"settings": {"kmesh": [4, 4, 4]}}))[1] == 6
    assert images_of(cube, states, BEST, EngineIdentity({"settings": {"kmesh": [4, 4, 2]}}))[1] == 2
    assert images_of(cube, states, BEST, None)[1] == 1  # which mesh is not told: no axis may change its place
    assert images_of(cube, states, BEST.model_copy(update={"symmetry": False}), None) == (states, 1)
    assert images_of(cube, states, Recipe(), None) == (states, 1)  # the paper's has none, unless asked for
    assert (
        images_of(cube, states, Recipe(symmetry=True), EngineIdentity({"kmesh": [4, 4, 4]}))[1] == 6
    )  # told for imported states


def test_stress_teaches_the_energy(crystal: Crystal, elastic: list[CellState]) -> None:
    few, unseen = elastic[:12], elastic[12:]
    with_stress = Surrogate.train(crystal, few, BEST)
    without = Surrogate.train(crystal, few, BEST.model_copy(update={"slopes": False}))
    assert errors(with_stress, unseen) < 0.3 * errors(without, unseen)


def test_a_stress_that_is_no_derivative_is_not_believed(crystal: Crystal, elastic: list[CellState]) -> None:
    wrong = [replace(s, stress=-3 * s.stress + 1e-3) for s in elastic[:20]]
    misled = Surrogate.train(crystal, wrong, BEST)
    without = Surrogate.train(crystal, wrong, BEST.model_copy(update={"slopes": False}))
    assert errors(misled, elastic[20:]) <= 1.0001 * errors(without, elastic[20:])


def test_a_polynomial_survives_its_file(crystal: Crystal, states: list[CellState], tmp_path) -> None:  # type: ignore[no-untyped-def]
    surrogate = Surrogate.train(crystal, states, BEST)
    surrogate.save(tmp_path / "model.safetensors")
    again = Surrogate.load(tmp_path / "model.safetensors")
    a, b = surrogate.solve(states[1].deformation), again.solve(states[1].deformation)
    assert a.free_energy == b.free_energy and np.array_equal(a.internal, b.internal)
    assert all(regressor.network is None for regressor in again.regressors.values())
