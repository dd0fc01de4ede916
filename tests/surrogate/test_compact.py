"""A compact model is the same to a tolerance, smaller, and as exact where models are exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate import Surrogate
from cellfields.surrogate.compact import compacted
from tests.surrogate.samples import TINY, draw
from tests.toy import ToyEngine

pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")


def far(a: CellState, b: CellState, name: str) -> float:
    assert a.fields is not None and b.fields is not None
    truth = a.fields.vector(name)
    return float(np.linalg.norm(b.fields.vector(name) - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_fields_change_by_the_tolerance_and_numbers_not(
    surrogate: Surrogate, states: list[CellState], unseen: list[Deformation], tolerance: float
) -> None:
    small = compacted(surrogate, states, tolerance)
    for strain in unseen:
        a, b = surrogate.solve(strain), small.solve(strain)
        assert all(far(a, b, name) < 2 * tolerance for name in FIELD_NAMES)
        assert a.free_energy == b.free_energy
        np.testing.assert_array_equal(a.internal, b.internal)
        np.testing.assert_array_equal(a.stress, b.stress)
        assert b.fields is not None
        assert b.fields.integral("density") == 8.0 and b.fields.integral("coulomb_potential") == 0.0
        assert b.band_energy == pytest.approx(b.fields.integral("band_energy_density"), rel=1e-13)
        assert b.band_energy == pytest.approx(a.band_energy, rel=1e-6)


def test_a_coarser_tolerance_keeps_fewer_plane_waves(surrogate: Surrogate, states: list[CellState]) -> None:
    full = surrogate.encoding.reductions["density"].reach
    reaches = [compacted(surrogate, states, t).encoding.reductions["density"].reach for t in (1e-2, 1e-4, 1e-7)]
    assert 0 < reaches[0] < reaches[1] <= reaches[2] <= full == len(surrogate.encoding.reductions["density"].mean)
    with pytest.raises(InputError, match="tolerance = 0 must be positive"):
        compacted(surrogate, states, 0)


def test_its_file_is_smaller_and_says_the_same(
    surrogate: Surrogate, states: list[CellState], unseen: list[Deformation], tmp_path: Path
) -> None:
    small = compacted(surrogate, states, 1e-3)
    surrogate.save(tmp_path / "full.safetensors")
    small.save(tmp_path / "small.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("small", "full")]
    assert sizes[0] < 0.95 * sizes[1]
    loaded = Surrogate.load(tmp_path / "small.safetensors")
    for name, reduction in small.encoding.reductions.items():
        np.testing.assert_array_equal(loaded.encoding.reductions[name].modes, reduction.modes)
        assert loaded.encoding.reductions[name].modes.dtype == np.float64
    a, b = small.solve(unseen[0]), loaded.solve(unseen[0])
    assert a.free_energy == pytest.approx(b.free_energy, rel=1e-14)
    for name in FIELD_NAMES:
        assert far(a, b, name) == 0.0
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "small.safetensors").read_bytes()


def test_complex_fields_keep_all_plane_waves() -> None:
    """Their folded vectors hold imaginary parts behind the real ones: no order of |G| to cut by."""
    carbide = Crystal(4.12 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Si", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    states = list(map(ToyEngine(carbide, field_cutoff=1.5).solve, draw(carbide, 12)))
    full = Surrogate.train(carbide, states, TINY)
    small = compacted(full, states, 1e-2)
    assert small.encoding.reductions["density"].reach == full.encoding.reductions["density"].reach
    a, b = full.solve(states[0].deformation), small.solve(states[0].deformation)
    assert all(far(a, b, name) < 1e-6 for name in FIELD_NAMES)
