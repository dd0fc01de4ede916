"""Engines are what they were made with: numbers under a dataset's key come from the settings that the key names."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from cellfields import CellFieldsCalculator
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit import AbinitEngine
from cellfields.engines.planewave import PlaneWaveEngine
from tests.toy import ToyEngine, magnesium

SETTINGS = PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 2, 2))
DENSER = PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(4, 4, 4))


@pytest.mark.parametrize("kind", [PlaneWaveEngine, AbinitEngine])
def test_an_engine_cannot_be_changed(kind: Any) -> None:
    engine = kind(magnesium(), SETTINGS)
    before, basis = engine.identity.table, engine.field_basis
    for name, value in (
        ("settings", DENSER),
        ("crystal", magnesium()),
        ("pseudopotentials", {}),
        ("field_basis", None),
    ):
        with pytest.raises(AttributeError, match=f"{name} of a {kind.__name__} cannot be changed, make another one"):
            setattr(engine, name, value)
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del engine.field_basis
    assert engine.identity.table == before
    assert engine.field_basis is basis
    again = pickle.loads(pickle.dumps(engine))
    assert again.identity.table == before


def test_what_an_engine_keeps_can_still_be_computed() -> None:
    engine = PlaneWaveEngine(magnesium(), SETTINGS)
    assert engine.kmesh is engine.kmesh
    with pytest.raises(AttributeError, match="kmesh of a PlaneWaveEngine"):
        engine.kmesh = PlaneWaveEngine(magnesium(), DENSER).kmesh


def test_the_remedy_of_abinit_has_its_own_settings_and_the_same_files() -> None:
    engine = AbinitEngine(magnesium(), SETTINGS)
    (remedy,) = engine.remedies()
    assert isinstance(remedy.engine, AbinitEngine)
    assert remedy.engine.settings.mixing == pytest.approx(engine.settings.mixing / 3)
    assert remedy.engine.pseudopotentials == engine.pseudopotentials
    assert remedy.engine.identity.table == engine.identity.table


def test_a_calculator_keeps_its_engine() -> None:
    """ASE keeps results, and the calculator a start: both belong to the engine that made them."""
    calculator = CellFieldsCalculator(ToyEngine(magnesium()))
    with pytest.raises(AttributeError, match="engine"):
        calculator.engine = ToyEngine(magnesium())
    with pytest.raises(AttributeError, match="atoms_are"):
        calculator.atoms_are = "held"
