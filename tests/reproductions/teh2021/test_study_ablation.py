"""One ingredient at a time, and second-order training of the paper's networks."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.reproductions.teh2021 import ablation
from cellfields.reproductions.teh2021.ablation import Ablation, variants
from cellfields.reproductions.teh2021.accuracy import BEST, PAPER
from cellfields.reproductions.teh2021.second_order import refine
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate import Polynomials, Surrogate
from cellfields.surrogate.training import loss


@pytest.fixture(scope="module")
def found(toy_bench: Workbench) -> Ablation:
    return ablation.study(toy_bench)


def test_a_variant_changes_one_thing() -> None:
    best = Polynomials()
    table = variants(best)
    changed = {
        label: {key for key, value in recipe.model_dump().items() if value != getattr(best, key)}
        for label, recipe in table.items()
    }
    assert changed.pop("without symmetry and stress") == {"symmetry", "slopes"}
    assert all(changed.pop(f"degree {degree} alone") == {"degree", "blend"} for degree in (4, 5, 6))
    assert all(len(keys) == 1 for keys in changed.values()) and changed["without stress"] == {"slopes"}
    assert set.union(*changed.values()) == {"symmetry", "slopes", "lengths", "modes", "members", "blend"}
    assert len({recipe.model_dump_json() for recipe in table.values()}) == len(table)
    assert "degree 7 alone" not in table and "degree 6 alone" in table


def test_every_variant_has_its_row(toy_bench: Workbench, found: Ablation) -> None:
    labels = [row.label for row in found.rows]
    assert labels[:5] == [
        PAPER,
        f"{PAPER} + 3 steps of L-BFGS",
        f"{PAPER}, without images",
        "paper's networks on a quadratic trend (taylor)",
        BEST,
    ]
    assert labels[5:] == list(variants(toy_bench.plan.best))
    assert (found.training, found.test) == (12, 4)
    rows = {row.label: row for row in found.rows}
    judged, seconds = toy_bench.judged(BEST, toy_bench.plan.best, toy_bench.training, toy_bench.test)
    assert rows[BEST].errors["free_energy"] == judged.summary("free_energy")["mean"]
    assert rows[BEST].seconds == seconds
    assert rows["without symmetry"].errors["free_energy"] > rows[BEST].errors["free_energy"]
    assert rows[labels[1]].seconds > rows[PAPER].seconds  # both trainings


def test_second_order_steps_lower_the_loss_they_are_taken_for(toy_bench: Workbench) -> None:
    states = toy_bench.training_states_with_images(toy_bench.training)[0]
    before = toy_bench.surrogate(toy_bench.plan.paper, toy_bench.training, PAPER)
    told: list[str] = []
    after, seconds = refine(before, states, 5, lambda name, done, total: told.append(name))
    assert seconds > 0 and told == list(before.regressors)
    encoded = before.encoding.encode(states)
    strains = np.array([state.deformation.as_array() for state in states])
    for name, (rows, outputs) in encoded.items():
        old, new = before.regressors[name], after.regressors[name]
        np.testing.assert_array_equal(old.output_scale, new.output_scale)
        z = (strains[rows] - old.input_mean) * old.input_scale
        targets = (outputs - old.output_mean) / np.where(old.output_scale > 0, old.output_scale, np.inf)
        losses = [float(loss(r.network, z, targets, np.ones(len(z)), 1e-4)) for r in (old, new)]
        assert losses[1] < losses[0], name


def test_a_polynomial_has_nothing_to_refine(toy_bench: Workbench) -> None:
    best = toy_bench.surrogate(toy_bench.plan.best, toy_bench.training, BEST)
    states = toy_bench.training_states_with_images(toy_bench.training)[0]
    refined, _ = refine(best, states, 2)
    assert isinstance(refined, Surrogate)
    assert refined.solve(states[0].deformation).free_energy == best.solve(states[0].deformation).free_energy
