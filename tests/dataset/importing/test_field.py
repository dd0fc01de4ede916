"""A grid becomes coefficients; what it loses by symmetry and by the cutoff is measured, and adds up."""

from __future__ import annotations

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dataset.importing.projection import project
from cellfields.errors import InputError
from cellfields.formats.grid_field import GridField, Structure
from cellfields.state.fields import FIELD_NAMES, FourierBasis
from tests.toy import ToyEngine, magnesium

CUTOFF = 3.0
SHAPE = (20, 36, 32)
CRYSTAL = magnesium()
STATE = ToyEngine(CRYSTAL, CUTOFF).solve(Deformation((1.02, 0.97, 1.01), (91.0, 88.5, 90.7)))
BASIS = FourierBasis.for_crystal(CRYSTAL, CUTOFF)


def grid(values: np.ndarray, origin: tuple[float, float, float] = (0, 0, 0)) -> GridField:
    return GridField(Structure(STATE.lattice, CRYSTAL.species, STATE.positions), values, np.array(origin))


def projected(name: str, field: GridField, shift: tuple[float, float, float] = (0, 0, 0)):  # type: ignore[no-untyped-def]
    return project(name, field, np.array(shift), STATE.volume, BASIS, CRYSTAL, CUTOFF)


@pytest.mark.parametrize("name", FIELD_NAMES)
def test_every_field_comes_back_from_a_grid_about_another_origin(name: str) -> None:
    assert STATE.fields is not None
    shift, origin = (0.13, -0.2, 0.05), (0.02, 0.03, 0.01)
    values = STATE.fields.on_grid(name, SHAPE, tuple(np.array(origin) - shift))
    if name == "coulomb_potential":
        values = values + 0.7  # another zero of the potential
    coefficients, loss = projected(name, grid(values, origin), shift)
    np.testing.assert_allclose(coefficients, STATE.fields.coefficients[name], atol=1e-13)
    assert max(loss.asymmetry, loss.cutoff) < 1e-7


def test_losses_are_parts_of_the_norm() -> None:
    assert STATE.fields is not None
    x = np.broadcast_to(np.arange(SHAPE[0])[:, None, None] / SHAPE[0], SHAPE)
    good = STATE.fields.on_grid("density", SHAPE)
    x0 = BASIS.origin[0]
    waves = {
        "odd": np.sin(2 * np.pi * (2 * (x - x0))),  # breaks the inversion
        "other period": np.cos(2 * np.pi * (x - x0)),  # breaks the translation by (½, ½, 0)
        "short": np.cos(2 * np.pi * 4 * (x - x0)),  # ½|G⁰|² = 9.1 Ha
    }
    norm = float(np.sqrt(np.mean(good**2)))
    for kind, wave in waves.items():
        part = 0.01 * norm * np.sqrt(2) * wave  # 1 % of the norm
        _, loss = projected("density", grid(good + part))
        lost, kept = (loss.cutoff, loss.asymmetry) if kind == "short" else (loss.asymmetry, loss.cutoff)
        assert lost == pytest.approx(0.01, rel=1e-3)
        assert kept < 1e-7


def test_a_coarse_grid_gives_what_it_resolves() -> None:
    assert STATE.fields is not None
    coefficients, loss = projected("density", grid(STATE.fields.on_grid("density", (4, 6, 5))))
    assert loss.asymmetry < 1e-7
    resolved = (2 * np.abs(BASIS.indices) < (4, 6, 5)).all(axis=1)
    assert 0 < resolved.sum() < BASIS.size
    assert not coefficients[~resolved].any()


def test_values_that_are_none() -> None:
    with pytest.raises(InputError, match="not finite"):
        projected("density", grid(np.full(SHAPE, np.nan)))
    with pytest.raises(InputError, match="zero everywhere"):
        projected("density", grid(np.zeros(SHAPE)))
