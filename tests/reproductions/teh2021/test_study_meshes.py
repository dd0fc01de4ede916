"""Other labels of the same strains: a finer mesh with the atoms held, and another smearing."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellfields.engines.contract import Remedy
from cellfields.errors import InputError
from cellfields.reproductions.teh2021 import converged, smearing
from cellfields.reproductions.teh2021.accuracy import RECIPE_LABELS
from cellfields.reproductions.teh2021.converged import LINEAR, HeldAtoms
from cellfields.reproductions.teh2021.workbench import Workbench
from tests.reproductions.teh2021.toy_plan import ToyLabels, draw, toy_plan
from tests.toy import magnesium

CRYSTAL = magnesium()


@pytest.fixture(scope="module")
def solving(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    bench = Workbench(toy_plan(), tmp_path_factory.mktemp("meshes"))
    bench.labels("dataset", bench.plan.engine, [*bench.plan.train, *bench.plan.test])
    return bench


@pytest.fixture(autouse=True)
def quick_baselines(few_baselines: None) -> Iterator[None]:
    yield


def test_atoms_are_held_where_they_are_put() -> None:
    strains = draw(2, 3)
    places = {strains[0]: np.array([0.01, -0.02, 0.03])}
    held = HeldAtoms(ToyLabels(CRYSTAL), places, "abc")
    for engine in (held, pickle.loads(pickle.dumps(held))):
        state = engine.solve(strains[0])
        np.testing.assert_array_equal(state.internal, places[strains[0]])
        np.testing.assert_array_equal(state.positions, CRYSTAL.positions(places[strains[0]]))
        with pytest.raises(InputError, match="no positions are known"):
            engine.solve(strains[1])
    assert held.crystal is CRYSTAL


def test_where_the_atoms_come_from_is_a_setting() -> None:
    tables = [HeldAtoms(ToyLabels(CRYSTAL), {}, origin).identity.table for origin in ("abc", "abd")]
    assert tables[0] != tables[1] and tables[0]["engine"] == "toy"


def test_remedies_hold_the_atoms_too() -> None:
    class Careful(ToyLabels):
        def remedies(self) -> tuple[Remedy, ...]:
            return (Remedy("slower", ToyLabels(self.crystal, shift=0.5)),)

    strain = draw(1, 3)[0]
    place = np.array([0.01, -0.02, 0.03])
    (remedy,) = HeldAtoms(Careful(CRYSTAL), {strain: place}, "abc").remedies()
    assert remedy.name == "slower"
    np.testing.assert_array_equal(remedy.engine.solve(strain).internal, place)
    assert HeldAtoms(ToyLabels(CRYSTAL), {}, "abc").remedies() == ()


def test_nothing_but_the_mesh_differs(solving: Workbench) -> None:
    found = converged.study(solving)
    assert found is not None
    assert (found.training, found.test) == (10, 3)
    assert list(found.errors) == ["paper's mesh", "converged mesh"]
    assert all(list(table) == [*RECIPE_LABELS, LINEAR] for table in found.errors.values())
    assert found.differences["free_energy"] == pytest.approx(1e-3)  # the toy's finer mesh shifts F
    assert found.differences["density.relative_l2"] < 1e-14 and "position" not in found.differences
    assert found.largest_force < 1e-14  # its minimum is where the coarser one's is
    for engine in (*RECIPE_LABELS, LINEAR):  # a shift of F is learned as well as F
        coarse, fine = (found.errors[mesh][engine]["density.relative_l2"]["mean"] for mesh in found.errors)
        assert coarse == pytest.approx(fine, rel=1e-6)
    solves = solving.plan.converged[0].solved
    assert solves == 13
    converged.study(solving)
    assert solving.plan.converged[0].solved == solves  # resumed: nothing left to solve


def test_another_smearing_on_the_same_strains(solving: Workbench) -> None:
    found = smearing.study(solving)
    assert found is not None
    assert (found.training, found.test) == (9, 2) and list(found.errors) == ["cold", "Fermi–Dirac"]
    ratio = found.spread["Fermi–Dirac"]["entropic_energy"] / found.spread["cold"]["entropic_energy"]
    assert ratio == pytest.approx(50)
    assert found.spread["cold"]["free_energy"] == found.spread["Fermi–Dirac"]["free_energy"]
    assert solving.plan.smearing[0].solved == 11


@pytest.mark.parametrize("study", [converged, smearing])
def test_without_labels_there_is_no_result(solving: Workbench, toy_bench: Workbench, study: Any) -> None:
    assert study.study(toy_bench) is None  # may solve nothing, and there is no folder
    assert not (toy_bench.directory / study.__name__.split(".")[-1]).exists()


@pytest.mark.parametrize(("study", "name"), [(converged, "converged"), (smearing, "smearing")])
def test_with_too_few_labels_neither(study: Any, name: str, tmp_path: Path) -> None:
    """Of the other engine's strains some failed, or have not been reached."""
    plan = toy_plan(**{name: (ToyLabels(CRYSTAL, shift=2e-3), 7, 2)})
    bench = Workbench(plan, tmp_path)
    bench.labels("dataset", plan.engine, [*plan.train, *plan.test])
    assert study.study(bench) is None
    enough = replace(plan, **{name: (ToyLabels(CRYSTAL, shift=2e-3), 8, 2)})
    assert study.study(Workbench(enough, tmp_path)) is not None
