"""The examples' crystals are the ones they speak of, their settings solve, and their scripts measure what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cellfields.config import load_configuration
from cellfields.deformation import Deformation
from cellfields.planewave import PlaneWaveEngine

EXAMPLES = Path(__file__).parents[1] / "examples"
# study → atoms, primitive cells, internal coordinates, and settings so coarse that a solve takes a second
STUDIES: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    "02_silicon/silicon": (8, 4, 3, {"cutoff": 3, "kmesh": (1, 1, 1)}),
    "03_aluminium/aluminium": (4, 4, 0, {"cutoff": 3, "kmesh": (1, 1, 1), "smearing_width": 0.1}),
    "05_graphene/graphene": (2, 1, 3, {"cutoff": 4, "kmesh": (2, 2, 1), "smearing_width": 0.05}),
}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", STUDIES)
def test_crystal_and_a_tiny_solve(name: str) -> None:
    atoms, copies, internal, coarse = STUDIES[name]
    study = load_configuration(EXAMPLES / f"{name}.toml")
    crystal = study.crystal.build()
    assert (crystal.n_atoms, crystal.n_translations, crystal.n_internal) == (atoms, copies, internal)
    engine = PlaneWaveEngine(crystal, study.engine.model_copy(update={**coarse, "basis": "full"}))
    state = engine.evaluate(Deformation.identity(crystal), np.zeros(internal))
    assert state.forces is not None and np.abs(state.forces).max() < 1e-5  # by symmetry
    assert np.isfinite(state.free_energy)


class SoftSilicon:
    """Sublattices that follow a shear as ζ says; nothing else."""

    def __init__(self, zeta: float) -> None:
        self.crystal = load_configuration(EXAMPLES / "02_silicon/silicon.toml").crystal.build()
        self.zeta = zeta

    def solve(self, deformation: Deformation) -> SimpleNamespace:
        crystal = self.crystal
        strain, a = deformation.green_strain(crystal), crystal.lattice_ref[0, 0]
        u = -self.zeta * a / 2 * np.array([strain[1, 2], strain[0, 2], strain[0, 1]])
        second = np.isclose((4 * crystal.positions_ref).sum(axis=1) % 2, 1)  # sites ¼¼¼, ¾¾¼ …
        moved = np.where(second[:, None], 0.5, -0.5) * (u @ np.linalg.inv(crystal.lattice_ref))
        return SimpleNamespace(positions=(crystal.positions_ref + moved) % 1)


@pytest.mark.parametrize("zeta", [0.0, 0.53, 1.0])
def test_kleinman_parameter(zeta: float) -> None:
    engine = SoftSilicon(zeta)
    assert script("02_silicon/kleinman.py").kleinman(engine) == pytest.approx(zeta, abs=1e-3)


class Sheet:
    """A linear sheet whose size without stress is 1.01 of the reference; stress per volume of the box."""

    def __init__(self, c11: float, c12: float, unit: float) -> None:
        self.crystal = load_configuration(EXAMPLES / "05_graphene/graphene.toml").crystal.build()
        self.matrix = np.array([[c11, c12], [c12, c11]]) / unit

    def solve(self, deformation: Deformation) -> SimpleNamespace:
        gradient, lattice = deformation.deformation_gradient(self.crystal), deformation.lattice(self.crystal)
        strain = np.diag(gradient)[:2] / 1.01 - 1
        stress = np.zeros((3, 3))
        stress[[0, 1], [0, 1]] = self.matrix @ strain / lattice[2, 2]
        return SimpleNamespace(stress=stress, lattice=lattice)


def test_stiffness_of_a_sheet() -> None:
    module = script("05_graphene/stiffness.py")
    size, c11, c12 = module.stiffness(Sheet(350.0, 60.0, module.NEWTON_A_METRE))
    assert size == pytest.approx(1.01, abs=1e-5)
    assert (c11, c12) == pytest.approx((350.0, 60.0), rel=1e-4)
    assert pytest.approx(1556.893, rel=1e-5) == module.NEWTON_A_METRE  # Hartree/Bohr² in N/m
