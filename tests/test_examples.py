"""The examples' crystals are the ones they speak of, their settings solve, and their scripts measure what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.pipeline.configuration import load_configuration

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


class Springs:
    """Strontium titanate in which titanium is bound to its place by k (z) and everything else stiffly."""

    def __init__(self, inversion: str, k: float) -> None:
        self.crystal = load_configuration(EXAMPLES / "04_srtio3/srtio3.toml").crystal.build().with_inversion(inversion)
        self.k = k

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: object = None) -> SimpleNamespace:
        lattice = deformation.lattice(self.crystal)
        u = (self.crystal.positions(internal) - self.crystal.positions_ref) @ lattice
        titanium = self.crystal.species.index("Ti")
        u = u - np.delete(u, titanium, axis=0).mean(axis=0)  # only distances have an energy
        stiff = np.full(5, 0.5)
        stiff[titanium] = self.k
        forces = -stiff[:, None] * u
        forces[np.arange(5) != titanium] += stiff[titanium] * u[titanium] / 4
        energy = float(0.5 * (stiff[:, None] * u**2).sum())
        return SimpleNamespace(
            deformation=deformation, lattice=lattice, positions=self.crystal.positions(internal), forces=forces,
            free_energy=energy,
        )  # fmt: skip


def test_the_softest_polar_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script("04_srtio3/polar.py")
    monkeypatch.setattr(module, "DensityStart", SimpleNamespace(of=lambda state: None))
    imposed, free = Springs("impose", -0.04), Springs("free", -0.04)
    cell = module.biaxial(imposed, -0.02, 0.5)
    assert cell.stretches == pytest.approx((0.98, 0.98, 1.01))
    state = imposed.evaluate(cell, np.zeros(0))
    curvature, pattern = module.softest(free, imposed, state, 2)
    # Titanium moves by 4/√20, the others by −1/√20: the distance is √5/2 times the length of the mode.
    assert curvature == pytest.approx(-0.04 * 5 / 4, abs=1e-9)
    assert np.abs(pattern[:, 2]) == pytest.approx(np.array([1, 4, 1, 1, 1]) / np.sqrt(20), abs=1e-9)
    assert module.gain(free, state, pattern, [0.3]) == pytest.approx([0.5 * curvature * 0.09], abs=1e-9)
