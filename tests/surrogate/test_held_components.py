"""Training where some components of D never vary: a sheet that is strained in its plane only."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.engines.identity import EngineIdentity
from cellfields.state.axis_operations import axis_operations
from cellfields.surrogate import Polynomials, Recipe, Surrogate
from cellfields.surrogate.images import images_of
from tests.surrogate.samples import QUICK
from tests.toy import ToyEngine

FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
PLANE = ("lambda_c", "theta_a", "theta_b")


@pytest.fixture(scope="module")
def crystal() -> Crystal:
    """Angles that no binary number holds exactly: means of equal numbers then differ from them by rounding."""
    return Crystal.from_lengths_and_angles(
        [6.1, 5.7, 14.0], [97.3, 88.1, 119.7], ["Mg", "Si"], [[0, 0, 0], [0.4, 0.3, 0.1]]
    )


def draw(crystal: Crystal, count: int, seed: int) -> list[Deformation]:
    return sample_deformations(crystal, count, seed=seed, stretch_sigma=0.015, angle_sigma=1.0, hold=PLANE)


@pytest.mark.parametrize(
    "recipe", [QUICK.model_copy(update={"epochs": 400}), Polynomials(degree=3, modes=12)], ids=["paper", "best"]
)
def test_surrogate_of_a_sheet(crystal: Crystal, recipe: Recipe) -> None:
    engine = ToyEngine(crystal, field_cutoff=0.5)
    states = [engine.solve(strain) for strain in draw(crystal, 40, 0)]
    surrogate = Surrogate.train(crystal, states, recipe)
    unseen = draw(crystal, 8, 1)
    true, predicted = [engine.solve(strain) for strain in unseen], [surrogate.solve(strain) for strain in unseen]
    spread = np.std([s.free_energy for s in true])
    error = np.sqrt(np.mean([(a.free_energy - b.free_energy) ** 2 for a, b in zip(true, predicted, strict=True)]))
    assert error < 0.5 * spread
    for state in predicted:
        assert np.isfinite(state.internal).all()
        assert np.isfinite(state.fields.vector("density")).all()
        assert state.fields.integral("density") == pytest.approx(true[0].fields.integral("density"), abs=1e-8)
    assert sum(surrogate.in_domain(d) for d in unseen) >= 6
    out_of_plane = Deformation.from_array(unseen[0].as_array() * [1, 1, 1.001, 1, 1, 1])
    assert not surrogate.in_domain(out_of_plane)


def test_images_leave_held_components_held() -> None:
    """Of a cube whose third edge is held, only those operations remain that leave that edge where it is."""
    cube = Crystal.from_lengths_and_angles([7.6] * 3, [90] * 3, ["Al"] * 4, FCC)
    strains = sample_deformations(cube, 20, seed=0, stretch_sigma=0.02, angle_sigma=1.0, hold=["lambda_c"])
    states = list(map(ToyEngine(cube, field_cutoff=1.0).solve, strains))
    surrogate = Surrogate.train(cube, states, Polynomials(degree=2, blend=1, modes=12))
    assert surrogate.held == ("lambda_c",)
    images, count = images_of(cube, states, surrogate.recipe, EngineIdentity({"kmesh": [4, 4, 4]}))
    assert count == 8  # of 24: fourfold about c, and twofold across it
    assert {image.deformation.stretches[2] for image in images} == {1.0}
    assert not surrogate.in_domain(Deformation((1.01, 1.01, 1.01), (90, 90, 90)))


def test_operations_that_the_plane_waves_do_not_share_are_left_out() -> None:
    """Two edges alike within the tolerance, and a cutoff between their shells."""
    box = Crystal.from_lengths_and_angles([7.653, 7.6533, 9.1234], [90] * 3, ["Al"], [[0, 0, 0]])
    shells = sorted(0.5 * (2 * np.pi / edge * 7) ** 2 for edge in (7.653, 7.6533))
    engine = ToyEngine(box, field_cutoff=float(np.mean(shells)))
    states = list(map(engine.solve, [Deformation((1.01, 1.0, 1.0), (90, 90, 90))]))
    symmetric = QUICK.model_copy(update={"symmetry": True})
    rows = {tuple(m) for m in states[0].fields.basis.indices.tolist()}
    assert len(axis_operations(box)) > images_of(box, states, symmetric, EngineIdentity({"kmesh": [4, 4, 4]}))[1]
    assert any((k, h, m) not in rows and (-k, -h, -m) not in rows for h, k, m in rows)
