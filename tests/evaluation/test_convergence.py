"""Ladders of settings: known laws of convergence are found again, and the recommendation is what they allow."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.identity import EngineIdentity
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError, SCFNotConverged
from cellfields.evaluation.convergence import Convergence, converge, ladder_values, strained_cell, toml_lines
from cellfields.evaluation.figures.convergence import convergence_figure
from cellfields.state import CellState
from tests.toy import ToyEngine, magnesium

SETTINGS = PlaneWaveSettings(cutoff=10, kmesh=(6, 4, 1), smearing="fermi-dirac", smearing_width=0.02)
CRYSTAL = magnesium()
STRAINED = strained_cell(CRYSTAL)


class Law:
    """F = F_toy + 4 e^{−cutoff} + 4/N_k − 8σ²,  −TS = −16σ²,  σ_xx shifted by e^{−cutoff}: four atoms a cell."""

    solves = 0

    def __init__(self, settings: PlaneWaveSettings, crystal: Crystal = CRYSTAL) -> None:
        self.settings, self.crystal, self.toy = settings, crystal, ToyEngine(crystal)

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity({"engine": "law", **self.settings.identity()})

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: Any | None = None) -> CellState:
        s = self.settings
        if s.cutoff < 7:
            raise InputError("cutoff: too low")
        Law.solves += 1
        state = self.toy.solve(deformation)
        low, coarse = math.exp(-s.cutoff), 1 / math.prod(s.kmesh)
        assert state.stress is not None and (internal == 0).all()
        return replace(
            state,
            free_energy=state.free_energy + 4 * low + 4 * coarse - 8 * s.smearing_width**2,
            entropic_energy=-16 * s.smearing_width**2,
            stress=state.stress + np.diag([low, 0, 0]),
            provenance={"k_points": math.prod(s.kmesh), "cpu_seconds": 1.0},
        )

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        return self.evaluate(deformation, np.zeros(3))


@pytest.fixture(scope="module")
def found() -> Convergence:
    return converge(CRYSTAL, SETTINGS, Law, STRAINED)


def test_ladders_lie_about_the_settings() -> None:
    values = ladder_values(SETTINGS)
    assert values["cutoff"] == [6.0, 8.0, 10.0, 12.5, 16.0]
    assert values["kmesh"] == [(3, 2, 1), (4, 3, 1), (6, 4, 1), (9, 6, 1)]
    assert values["smearing_width"] == [0.04, 0.02, 0.01, 0.005]
    own = ladder_values(SETTINGS, cutoffs=[20, 30], meshes=[(8, 8, 1)])
    assert own["cutoff"] == [10, 20, 30] and own["kmesh"] == [(6, 4, 1), (8, 8, 1)]
    odd = SETTINGS.model_copy(update={"cutoff": 10.3, "kmesh": (1, 1, 1), "smearing": "none"})
    assert list(ladder_values(odd)) == ["cutoff"]
    assert 10.3 in ladder_values(odd)["cutoff"]


def test_the_strained_cell_holds_what_is_held() -> None:
    held = strained_cell(CRYSTAL, 0.03, 2.0, ("lambda_c", "theta_a"))
    assert held.stretches == (1.03, 0.97, 1.0)
    assert held.angles == (90.0, 88.0, 91.0)


def test_changes_follow_the_law(found: Convergence) -> None:
    lowest, *others = found.ladders["cutoff"]
    assert lowest.change is None and lowest.reason == "cutoff: too low"
    for rung in others:
        assert rung.change is not None and isinstance(rung.value, float)
        expected = math.exp(-rung.value) - math.exp(-16)
        assert rung.change.free_energy == pytest.approx(expected, abs=1e-12)
        assert rung.change.stress == pytest.approx(expected, abs=1e-12)
        assert rung.change.strain_energy < 1e-12  # both cells alike
        assert rung.seconds == 2.0
    for rung in found.ladders["kmesh"]:
        assert rung.change is not None and isinstance(rung.value, tuple)
        assert rung.change.free_energy == pytest.approx(1 / math.prod(rung.value) - 1 / 54, abs=1e-12)
    for rung in found.ladders["smearing_width"]:
        assert rung.change is not None and isinstance(rung.value, float)
        assert rung.points[0].k_points == 54  # on the densest mesh
        assert rung.change.free_energy == pytest.approx(2 * (rung.value**2 - 0.005**2), abs=1e-12)
        assert rung.change.extrapolated < 1e-12  # ½(E + F) has no term of second order


def test_the_cheapest_members_are_recommended(found: Convergence) -> None:
    best = found.recommend(1e-3)
    values = {name: None if rung is None else rung.value for name, rung in best.items()}
    assert values == {"cutoff": 8.0, "kmesh": None, "smearing": "cold", "smearing_width": 0.02}  # all kinds alike
    assert toml_lines(best) == ["cutoff = 8", 'smearing = "cold"', "smearing_width = 0.02"]
    assert found.recommend(0.03)["kmesh"] == found.ladders["kmesh"][2]
    strict = found.recommend(1e-3, stress_tolerance=1e-5)["cutoff"]
    assert strict is not None and strict.value == 12.5
    assert found.recommend(1e-9)["cutoff"] is None  # the densest has nothing to be compared with


def test_solves_are_kept_and_damage_is_solved_again(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "convergence"
    seen: list[tuple[int, int]] = []
    Law.solves = 0
    first = converge(CRYSTAL, SETTINGS, Law, STRAINED, folder=folder, on_point=lambda *n: seen.append(n))
    solves = Law.solves
    # The study's settings are members of three ladders, the densest mesh with its width of three too: solved once.
    assert solves == len(list(folder.iterdir())) == 2 * 4 + 6 * (3 + 3 + 2) + 4
    assert seen[-1] == (2 + 2 * 5 + 6 * (4 + 4 + 4), 84)
    again = converge(CRYSTAL, SETTINGS, Law, STRAINED, folder=folder)
    assert Law.solves == solves and again == first
    for path, content in zip(
        sorted(folder.iterdir())[:3], (b"", b"[1, 2]", b'{"format": "cellfields-point"}'), strict=True
    ):
        path.write_bytes(content)
    assert converge(CRYSTAL, SETTINGS, Law, STRAINED, folder=folder) == first
    assert Law.solves == solves + 3


def test_the_studys_own_settings_must_work() -> None:
    class Fails(Law):
        def evaluate(self, *_: Any, **__: Any) -> CellState:
            raise SCFNotConverged("no", [])

    with pytest.raises(SCFNotConverged):
        converge(CRYSTAL, SETTINGS, Fails, STRAINED)
    with pytest.raises(InputError, match="holds atoms in place; a ToyEngine cannot"):
        converge(CRYSTAL, SETTINGS, lambda settings: ToyEngine(CRYSTAL), STRAINED)  # type: ignore[arg-type,return-value]


def test_figure(found: Convergence) -> None:
    figure = convergence_figure(found, 1e-3, 1e-5)
    assert len(figure.axes) == 6
    shown = figure.axes[2].get_lines()[0].get_xdata()
    assert list(shown) == [0.04, 0.02, 0.01]
    convergence_figure(found)


def test_ladders_of_the_plane_wave_engine() -> None:
    """Aluminium, tiny: F falls as the cutoff rises (variational), and all members share one kind of basis."""
    crystal = Crystal.from_lengths_and_angles([5.4] * 3, [60] * 3, ["Al"], [[0, 0, 0]])
    settings = PlaneWaveSettings(cutoff=3, kmesh=(2, 2, 2), smearing="gaussian", smearing_width=0.05)
    measured = converge(crystal, settings, lambda s: PlaneWaveEngine(crystal, s), strained_cell(crystal))
    for cell in range(2):
        energies = [rung.points[cell].free_energy for rung in measured.ladders["cutoff"] if rung.points]
        assert len(energies) >= 4 and (np.diff(energies) < 0).all()
    widths = measured.ladders["smearing_width"]
    assert all(rung.change is not None for rung in widths)
    wide = widths[0].change
    assert wide is not None and wide.extrapolated < 0.3 * wide.free_energy


class Kinked(Law):
    """A shear stiffness C = C∞ − a/n² whose sign turns on coarse meshes, with cold smearing sooner than otherwise."""

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: Any | None = None) -> CellState:
        state = super().evaluate(deformation, internal, start=start)
        gradient = deformation.deformation_gradient(self.crystal)
        strain = 0.5 * (gradient + gradient.T) - np.eye(3)
        error = {"cold": 40.0, "gaussian": 20.0, "fermi-dirac": 4.0}[self.settings.smearing]
        stiffness = 1e-3 * (1 - error / self.settings.kmesh[0] ** 2)
        shear = np.diag([strain[0, 0] - strain[1, 1], strain[1, 1] - strain[0, 0], 0.0])
        shear[1, 2] = shear[2, 1] = 2 * strain[1, 2]
        return replace(state, stress=stiffness * shear)


def test_stiffnesses_are_what_the_law_says_and_a_wrong_sign_is_never_recommended() -> None:
    cube = Crystal(8.0 * np.eye(3), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    settings = PlaneWaveSettings(cutoff=20, kmesh=(6, 6, 6), smearing="cold", smearing_width=0.01)
    measured = converge(
        cube, settings, lambda s: Kinked(s, cube), strained_cell(cube), meshes=[(4, 4, 4), (8, 8, 8), (12, 12, 12)]
    )
    rungs = measured.ladders["kmesh"]
    for rung in rungs:
        expected = 1e-3 * (1 - 40 / rung.value[0] ** 2)
        assert rung.stiffness == pytest.approx((expected, expected), rel=1e-2)
    assert [rung.wrong_sign for rung in rungs] == [True, True, False, False]
    best = measured.recommend(1e9, 1e9)["kmesh"]  # however loose the other tolerances are
    assert best is not None and best.value == (8, 8, 8)
    assert measured.recommend(1e9, 1e9, stiffness_tolerance=1e-5)["kmesh"] is None
    kinds = {rung.value: rung.wrong_sign for rung in measured.ladders["smearing"]}
    assert kinds == {"cold": True, "gaussian": False, "fermi-dirac": False, "fermi-dirac, 12×12×12": False}
    chosen = measured.recommend(1e9)["smearing"]
    assert chosen is not None and chosen.value in ("gaussian", "fermi-dirac")
    assert all(rung.stiffness == () for rung in measured.ladders["cutoff"])
    # Wrong on the densest mesh too, as cold smearing is for sodium on 8³ and 12³: no member is right by comparison.
    coarse = converge(cube, settings, lambda s: Kinked(s, cube), strained_cell(cube), meshes=[(4, 4, 4), (5, 5, 5)])
    assert all(rung.wrong_sign for rung in coarse.ladders["kmesh"])
    assert coarse.recommend(1e9, 1e9)["kmesh"] is None and coarse.recommend(1e9)["smearing"] is not None
