"""Measures of error, on numbers that can be worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.evaluation.metrics import (
    PAPER_GRID,
    displacement,
    energy_error,
    field_nrmse,
    nrmse,
    position_error,
    relative_l2,
)
from cellfields.state.fields import ElectronicFields, FourierBasis
from tests.toy import ToyEngine, magnesium

BASIS = FourierBasis(np.array([[0, 0, 0], [1, 0, 0], [0, 0, 2]]), np.zeros(3), True)


def wave(constant: float, along_a: float, along_c: float = 0.0) -> ElectronicFields:
    """constant + 2·along_a·cos(2πx) + 2·along_c·cos(4πz), as a potential."""
    return ElectronicFields(BASIS, {"coulomb_potential": np.array([constant, along_a, along_c])}, 10.0)


def test_nrmse_is_rms_over_range():
    true = np.array([[0.0, 4.0], [1.0, 3.0]])
    assert nrmse(true + np.array([[1, -1], [1, -1]]), true) == pytest.approx(0.25)
    assert nrmse(true, true) == 0
    with pytest.raises(InputError, match="shape"):
        nrmse(true, true[0])
    with pytest.raises(InputError, match="all the same"):
        nrmse(true, np.ones((2, 2)))


def test_field_nrmse_of_a_cosine():
    # truth 2·cos(2πx): range 4; error 2·0.1·cos(4πz): rms 0.2/√2
    true, predicted = wave(0, 1.0), wave(0, 1.0, 0.1)
    assert field_nrmse(predicted, true, "coulomb_potential") == pytest.approx(0.2 / np.sqrt(2) / 4)
    assert PAPER_GRID == (36, 64, 60)


def test_field_nrmse_sees_the_grid_and_its_origin_where_the_range_does():
    true, predicted = wave(0, 1.0), wave(0, 1.1)
    on_extrema = field_nrmse(predicted, true, "coulomb_potential", shape=(4, 4, 4))
    between = field_nrmse(predicted, true, "coulomb_potential", shape=(4, 4, 4), origin=(0.125, 0, 0))
    assert between == pytest.approx(on_extrema * np.sqrt(2))  # the sampled range is 2√2, not 4


def test_relative_l2_is_exact_and_agrees_with_any_grid():
    true, predicted = wave(0.5, 1.0, 0.2), wave(0.6, 0.9, 0.1)
    expected = np.sqrt((0.1**2 + 2 * 0.1**2 + 2 * 0.1**2) / (0.5**2 + 2 + 2 * 0.2**2))
    assert relative_l2(predicted, true, "coulomb_potential") == pytest.approx(expected, rel=1e-14)
    shape = (5, 5, 7)
    one, two = (fields.on_grid("coulomb_potential", shape) for fields in (predicted, true))
    assert relative_l2(predicted, true, "coulomb_potential") == pytest.approx(
        np.linalg.norm(one - two) / np.linalg.norm(two)
    )


def test_relative_l2_refuses_what_cannot_be_compared():
    other = FourierBasis(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 2]]), np.zeros(3), True)
    stranger = ElectronicFields(other, {"coulomb_potential": np.ones(3)}, 10.0)
    with pytest.raises(InputError, match="same Fourier basis"):
        relative_l2(stranger, wave(0, 1), "coulomb_potential")
    with pytest.raises(InputError, match="zero everywhere"):
        relative_l2(wave(0, 1), wave(0, 0), "coulomb_potential")


def test_position_error_is_the_error_of_each_atom_seen_from_the_centre():
    crystal = magnesium()
    true = ToyEngine(crystal).solve(Deformation((1.02, 0.97, 1.01), (91.0, 88.0, 92.0)))
    internal = true.internal + np.array([0.001, -0.002, 0.003])
    predicted = dataclasses.replace(true, internal=internal, positions=crystal.positions(internal))
    by_atom = np.linalg.norm((predicted.positions - true.positions) @ true.lattice, axis=1)
    np.testing.assert_allclose(position_error(predicted, true), by_atom, rtol=1e-12)
    moved = np.linalg.norm((true.positions - crystal.positions_ref) @ true.lattice, axis=1)
    np.testing.assert_allclose(displacement(true), moved, rtol=1e-12)


def test_position_error_of_several_free_atoms_is_their_root_mean_square():
    positions = [[0.1, 0, 0.1], [-0.1, 0, -0.1], [0.2, 0.4, 0.3], [-0.2, -0.4, -0.3]]
    crystal = Crystal(np.diag([6.0, 6.0, 12.0]), ["Mg", "Mg", "Al", "Al"], positions)
    assert crystal.n_internal == 6
    true = ToyEngine(crystal).solve(Deformation.identity(crystal))
    predicted = dataclasses.replace(true, internal=true.internal + np.array([0.01, 0, 0, 0, 0, 0.02]))
    assert position_error(predicted, true) == pytest.approx(np.sqrt((0.06**2 + 0.24**2) / 2))


def test_no_free_atoms_no_position_error():
    crystal = Crystal(3.75 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Al"], [[0, 0, 0]])
    state = ToyEngine(crystal).solve(Deformation.identity(crystal))
    assert position_error(state, state) == 0 == displacement(state)


def test_energy_error_is_absolute_and_needs_both():
    true = ToyEngine(magnesium()).solve(Deformation.identity(magnesium()))
    predicted = dataclasses.replace(true, free_energy=true.free_energy - 0.25, band_energy=None)
    assert energy_error(predicted, true) == pytest.approx(0.25)
    assert energy_error(predicted, true, "fermi_energy") == 0
    with pytest.raises(InputError, match="band_energy is not known"):
        energy_error(predicted, true, "band_energy")
