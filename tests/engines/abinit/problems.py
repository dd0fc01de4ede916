"""Cells that both engines solve in a second or two, and how far two states are apart."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES

needs_abinit = pytest.mark.skipif(
    shutil.which("abinit") is None, reason="ABINIT is not installed (Debian, Ubuntu: apt install abinit)"
)

STRAIN = Deformation((0.98, 1.03, 1.01), (91.5, 87.0, 92.0))
INTERNAL = np.array([0.012, 0.018, -0.006])
# The grid is one that both FFTs know; one sphere of plane waves a k point.
MG_SETTINGS = PlaneWaveSettings(
    smearing="cold",
    cutoff=6,
    kmesh=(2, 1, 1),
    smearing_width=0.02,
    bands=7,
    basis="full",
    fft_grid=(16, 16, 24),
    scf_tolerance=1e-11,
)
SI_STRAIN = Deformation((1.012, 0.994, 1.003), (60.6, 59.2, 60.3))
SI_INTERNAL = np.array([0.004, -0.003, 0.002])
SI_SETTINGS = MG_SETTINGS.model_copy(
    update={"kmesh": (2, 2, 2), "fft_grid": (20, 20, 20), "smearing": "none", "bands": None}
)


def differences(state: CellState, other: CellState) -> dict[str, float]:
    """Largest difference of each quantity (atomic units; positions in Bohr); relative L² of each field."""
    result = {
        name: abs(getattr(state, name) - getattr(other, name))
        for name in ("free_energy", "band_energy", "entropic_energy", "fermi_energy")
    }
    result["energy_terms"] = max(abs(state.energy_terms[k] - x) for k, x in other.energy_terms.items())
    result["forces"] = float(np.abs(state.forces - other.forces).max())
    result["stress"] = float(np.abs(state.stress - other.stress).max())
    shift = state.positions - other.positions
    result["positions"] = float(np.linalg.norm((shift - np.rint(shift)) @ other.lattice, axis=1).max())
    for name in FIELD_NAMES:
        theirs = other.fields.vector(name)
        result[name] = float(np.linalg.norm(state.fields.vector(name) - theirs) / (np.linalg.norm(theirs) or 1.0))
    return result
