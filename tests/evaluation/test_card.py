"""The card of a model says what its metadata and its evaluation say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.engines.identity import EngineIdentity
from cellfields.evaluation.card import model_card
from cellfields.evaluation.evaluate import HeldOutStates
from cellfields.evaluation.report import number
from cellfields.state import CellState
from cellfields.surrogate import Recipe, Surrogate
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
ENGINE = ToyEngine(CRYSTAL, field_cutoff=1.0)
TABLE = {"engine": "toy", "settings": {"cutoff": 7.5, "kmesh": [3, 2, 1], "smearing": "cold"}}


@pytest.fixture(scope="module")
def states() -> list[CellState]:
    from cellfields.crystal.deformation import sample_deformations

    return [
        ENGINE.solve(strain) for strain in sample_deformations(CRYSTAL, 24, seed=1, stretch_sigma=0.02, angle_sigma=1.0)
    ]


def rows(card: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def test_every_part_is_there_and_right(states: list[CellState]) -> None:
    model = Surrogate.train(
        CRYSTAL, states[:20], Recipe(name="best", degree=2, modes=5), identity=EngineIdentity(TABLE)
    )
    model = replace(model, outside="flag")
    wide = ENGINE.solve(Deformation((1.2, 1, 1), (90, 90, 90)))
    held_out = HeldOutStates.of(CRYSTAL, [*states[20:], wide])
    errors = held_out.judge(model)
    card = model_card(model, held_out.truth, errors, title="it", data="From here.", remarks=["**Preliminary.**"])
    assert card.startswith("# it\n\n**Preliminary.**\n\nDeformation of a cell of Mg (4 atoms) in")
    assert 'Recipe "best", 20 training states, 5 modes a field' in card and "From here." in card
    outside = sum(not model.in_domain(Deformation.from_array(d)) for d in held_out.truth.deformations)
    assert outside >= 1 and f"{outside} of them lie outside the domain below" in card
    table = rows(card)
    assert (table["cutoff"], table["kmesh"], table["engine"]) == (["7.5"], ["3 × 2 × 1"], ["toy"])
    mean, largest = errors.errors["free_energy"].mean(), errors.errors["free_energy"].max()
    assert table["free energy F, mHa"][1] == number(1e3 * mean) and table["free energy F, mHa"][4] == number(
        1e3 * largest
    )
    assert table["λa"] == [f"{model.domain.lower[0]:g}", f"{model.domain.upper[0]:g}"]
    assert table["θc (°)"] == [f"{model.domain.lower[5]:g}", f"{model.domain.upper[5]:g}"]


def test_what_it_does_not_know_is_said(states: list[CellState]) -> None:
    bare = [replace(state, fields=None, fermi_energy=None) for state in states]
    model = replace(Surrogate.train(CRYSTAL, bare[:20], Recipe(name="best", degree=2)), outside="flag")
    held_out = HeldOutStates.of(CRYSTAL, bare[20:])
    card = model_card(model, held_out.truth, held_out.judge(model), title="it", data="")
    assert "It does not predict density, coulomb_potential" in card and "modes a field" not in card
    assert "engine | unknown" in card
