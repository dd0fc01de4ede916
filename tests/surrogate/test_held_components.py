"""Training where some components of D never vary: a sheet that is strained in its plane only."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.deformation import Deformation, sample_deformations
from cellfields.surrogate import Surrogate
from tests.surrogate.samples import QUICK
from tests.toy import ToyEngine

PLANE = ("lambda_c", "theta_a", "theta_b")


@pytest.fixture(scope="module")
def crystal() -> Crystal:
    """Angles that no binary number holds exactly: means of equal numbers then differ from them by rounding."""
    return Crystal.from_lengths_and_angles(
        [6.1, 5.7, 14.0], [97.3, 88.1, 119.7], ["Mg", "Si"], [[0, 0, 0], [0.4, 0.3, 0.1]]
    )


def draw(crystal: Crystal, count: int, seed: int) -> list[Deformation]:
    return sample_deformations(crystal, count, seed=seed, stretch_sigma=0.015, angle_sigma=1.0, hold=PLANE)


@pytest.mark.parametrize("name", ["paper", "best"])
def test_surrogate_of_a_sheet(crystal: Crystal, name: str) -> None:
    engine = ToyEngine(crystal, field_cutoff=0.5)
    states = list(engine.solve_many(draw(crystal, 40, 0)))
    surrogate = Surrogate.train(crystal, states, QUICK.model_copy(update={"name": name, "epochs": 400}))
    unseen = draw(crystal, 8, 1)
    true, predicted = list(engine.solve_many(unseen)), list(surrogate.solve_many(unseen))
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
