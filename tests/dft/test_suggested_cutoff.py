"""Suggested cutoffs against crystals, and what is said of a study far below them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import builtin_pseudopotential, suggested_cutoff
from cellfields.dft.pseudopotential.suggested_cutoff import (
    ERROR,
    FAR_BELOW,
    _Atom,
    atomic_error,
    warn_of_low_cutoff,
)
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import PhysicsWarning

FCC = 0.5 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def energy_error(crystal: Crystal, cutoff: float, dense: float) -> float:
    """F at a cutoff minus F at a dense one, Hartree an atom."""

    def energy(at: float) -> float:
        settings = PlaneWaveSettings(cutoff=at, kmesh=(2, 2, 2), smearing="fermi-dirac", basis="full")
        state = PlaneWaveEngine(crystal, settings).evaluate(Deformation.identity(crystal), np.zeros(crystal.n_internal))
        return state.free_energy / crystal.n_atoms

    return energy(cutoff) - energy(dense)


@pytest.mark.parametrize(("symbol", "edge", "count", "dense"), [("Si", 10.2, 2, 24.0), ("Al", 7.5, 1, 20.0)])
def test_a_suggestion_leaves_about_a_milli_hartree_in_a_crystal(
    symbol: str, edge: float, count: int, dense: float
) -> None:
    crystal = Crystal(FCC * edge, [symbol] * count, [[0, 0, 0], [0.25] * 3][:count])
    cutoff = suggested_cutoff(builtin_pseudopotential(symbol))
    assert 0.1 * ERROR < energy_error(crystal, cutoff, dense) < 3 * ERROR


@pytest.mark.parametrize(
    ("symbol", "s_level", "p_level"),
    [("C", -0.500866, -0.199186), ("O", -0.871362, -0.338381), ("Si", -0.398139, -0.153293)],
)
def test_levels_are_those_of_the_all_electron_atom(symbol: str, s_level: float, p_level: float) -> None:
    """NIST's atomic reference data (LDA, 1997); without correlation both levels lie some 0.05 Hartree higher."""
    atom = _Atom(builtin_pseudopotential(symbol), 400.0)
    found_s, found_p = (float(levels[0]) for levels in atom.energies[:2])
    assert found_p - found_s == pytest.approx(p_level - s_level, abs=0.005)
    assert 0.02 < found_s - s_level < 0.07
    electrons = builtin_pseudopotential(symbol).valence
    filled = [float(filling.sum()) for filling in atom.occupations[:2]]
    assert filled == pytest.approx([2, electrons - 2], abs=0.02)


@pytest.mark.parametrize("symbol", ["H", "O", "Si", "Cu"])
def test_errors_fall_with_the_cutoff(symbol: str) -> None:
    ion = builtin_pseudopotential(symbol)
    cutoff = suggested_cutoff(ion)
    found = atomic_error(ion, np.array([0.3, 0.6, 1.0, 1.5]) * cutoff)
    assert (np.diff(found) < 0).all()
    assert found[1] > ERROR >= found[2] > found[3] > 0


def test_harder_ions_need_more() -> None:
    order = [suggested_cutoff(builtin_pseudopotential(s)) for s in ("Mg", "Si", "C", "O")]
    assert order == sorted(order)
    assert suggested_cutoff(builtin_pseudopotential("Na", valence=9)) > 20 * suggested_cutoff(
        builtin_pseudopotential("Na", valence=1)
    )


def test_far_below_is_said() -> None:
    ions = {"Mg": builtin_pseudopotential("Mg"), "O": builtin_pseudopotential("O")}
    needed = suggested_cutoff(ions["O"])
    with pytest.warns(PhysicsWarning, match=rf"cutoff = 30 Ha .* {needed:g} Ha .* of O"):
        warn_of_low_cutoff(30.0, ions)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_low_cutoff(1.01 * FAR_BELOW * needed, ions)
