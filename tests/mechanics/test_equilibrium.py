"""The stress-free cell: it keeps the crystal's symmetry, stays where a model knows, and says where it came."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import ConvergenceError, LeftDomainError, OutsideDomainError, PhysicsWarning
from cellfields.mechanics import stress_free
from cellfields.mechanics._symmetric_cell import SymmetricCell, lost_to_the_mesh
from cellfields.state import CellState
from tests.mechanics.engines import HyperelasticEngine
from tests.mechanics.test_uniaxial import RESIDUAL, engine, tilted_constants
from tests.toy import magnesium


def without_symmetry() -> Crystal:
    return Crystal(
        np.diag([5.9, 10.2, 9.6]), ["Mg", "Al", "Si"], [[0.01, 0.02, 0.03], [0.4, 0.53, 0.11], [0.2, 0.81, 0.57]]
    )


def test_the_stress_free_cell():
    law = HyperelasticEngine(without_symmetry(), residual=RESIDUAL, constants=tilted_constants())
    state = stress_free(law, tolerance=1e-10)
    assert np.abs(state.stress).max() < 1e-9
    assert np.abs(np.array(state.deformation.angles) - 90).max() > 1e-4
    boxed = stress_free(law, components="axial", begin=Deformation((1.02, 0.99, 1.0), (90, 90, 90)), tolerance=1e-10)
    assert np.abs(np.diagonal(boxed.stress)).max() < 1e-9
    assert boxed.deformation.angles == (90.0, 90.0, 90.0)


CUBIC_CRYSTALS = {
    "cube": Crystal(8.0 * np.eye(3), ["Na", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "primitive bcc": Crystal(4.0 * (np.ones((3, 3)) - 2 * np.eye(3)), ["Na"], [[0, 0, 0]]),
    "primitive fcc": Crystal(4.0 * (np.ones((3, 3)) - np.eye(3)), ["Al"], [[0, 0, 0]]),
}


class Noisy(HyperelasticEngine):
    """An isotropic law with a stress that is noisy in every component, as a self-consistent one is; on a k mesh."""

    def __init__(self, crystal: Crystal, kmesh: tuple[int, int, int] | None) -> None:
        isotropic = 1e-3 * (np.diag([0.4, 0.4, 0.4, 0.2, 0.2, 0.2]) + np.pad(np.ones((3, 3)), (0, 3)))
        super().__init__(crystal, constants=isotropic, residual=np.array([4e-5] * 3 + [0.0] * 3), cubic=(0.0, 0.0))
        self.kmesh = kmesh

    @property
    def identity(self) -> EngineIdentity:
        table = super().identity.table
        return EngineIdentity(table if self.kmesh is None else {**table, "settings": {"kmesh": list(self.kmesh)}})

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: Any | None = None) -> CellState:
        state = super().evaluate(deformation, internal, start=start)
        noise = np.random.default_rng(self.solves).normal(size=(3, 3)) * 1e-6
        return replace(state, stress=state.stress + noise + noise.T)


@pytest.mark.parametrize("name", CUBIC_CRYSTALS)
def test_a_cubic_crystal_on_a_cubic_mesh_stays_cubic(name: str) -> None:
    """Noise in the stress makes it neither tetragonal nor triclinic; without symmetry it would."""
    crystal = CUBIC_CRYSTALS[name]
    state = stress_free(Noisy(crystal, (4, 4, 4)), tolerance=2e-6)
    assert np.ptp(state.deformation.stretches) < 1e-12
    np.testing.assert_allclose(state.deformation.angles, Deformation.identity(crystal).angles, atol=1e-9)
    assert state.deformation.stretches[0] == pytest.approx(1 - 4e-5 / (0.4e-3 + 3e-3), abs=1e-3)


def test_a_mesh_that_is_not_told_or_not_cubic_keeps_less_symmetry() -> None:
    cube = CUBIC_CRYSTALS["cube"]
    counts = [len(SymmetricCell.of(Noisy(cube, mesh), "all", None).patterns) for mesh in ((4, 4, 4), (4, 4, 2), None)]
    assert counts == [1, 2, 3]
    assert [lost_to_the_mesh(Noisy(cube, mesh)) for mesh in ((4, 4, 4), (4, 4, 2), None)] == [False, True, False]
    strained = Deformation((1.01, 1.0, 1.0), (90.0, 90.0, 90.0))
    assert (
        len(SymmetricCell.of(Noisy(cube, (4, 4, 4)), "all", strained).patterns) == 2
    )  # a tetragonal strain to begin with


def test_a_law_without_the_crystals_symmetry_is_told() -> None:
    with pytest.warns(PhysicsWarning, match="stress is left that this symmetry forbids"):
        stress_free(engine(constants=tilted_constants()), tolerance=1e-10)


class Bounded(HyperelasticEngine):
    """Knows where it may be believed: within two per cent."""

    labelled_by = None
    domain = SimpleNamespace(lower=np.array([0.98] * 3 + [88.0] * 3), upper=np.array([1.02] * 3 + [92.0] * 3))

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        state, values = super().solve(deformation, start=start), deformation.as_array()
        inside = bool((values >= self.domain.lower).all() and (values <= self.domain.upper).all())
        return replace(state, provenance={"in_domain": inside})


def test_a_search_that_leaves_what_a_model_knows_fails_by_name() -> None:
    far = Bounded(magnesium(), residual=np.array([2e-4, 0, 0, 0, 0, 0]))
    with pytest.raises(LeftDomainError, match=r"λa = 0\.9\d+ \(trained on 0\.98 … 1\.02\), λb") as caught:
        stress_free(far)
    assert caught.value.history[0]["λa"] == 1.0 and caught.value.history[0]["inside"] == 1.0
    assert "the last state inside was D = (" in str(caught.value)
    assert stress_free(far, outside="flag").provenance["in_domain"] is False
    assert stress_free(Bounded(magnesium(), residual=RESIDUAL / 100)).provenance["in_domain"] is True


def test_a_search_without_an_end_says_where_it_came() -> None:
    with pytest.raises(ConvergenceError, match=r"The nearest was D = \(.*go on from there") as caught:
        stress_free(engine(), tolerance=1e-12, max_evaluations=6)
    assert {"λa", "θc", "residual"} <= caught.value.history[-1].keys()


class Refusing(Bounded):
    """Refuses to answer outside, as a model opened with outside="raise" does."""

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        state = super().solve(deformation, start=start)
        if not state.provenance["in_domain"]:
            raise OutsideDomainError("D lies outside the strains that the model was trained on")
        return state


def test_a_model_that_refuses_ends_the_search_by_the_same_name() -> None:
    with pytest.raises(LeftDomainError, match="the last state inside was D"):
        stress_free(Refusing(magnesium(), residual=np.array([2e-4, 0, 0, 0, 0, 0])))


def test_a_search_may_go_on_from_what_was_printed_without_losing_symmetry() -> None:
    """Angles of 109.4712… degrees in six digits are those of a cubic crystal all the same."""
    bcc = CUBIC_CRYSTALS["primitive bcc"]
    for digits in (6, 12):
        angles = tuple(float(f"{x:.{digits}g}") for x in Deformation.identity(bcc).angles)
        begin = Deformation((0.99, 0.99, 0.99), angles)
        cell = SymmetricCell.of(Noisy(bcc, (4, 4, 4)), "all", begin)
        assert len(cell.patterns) == 1
        np.testing.assert_allclose(cell.base, 0.99**2 * np.eye(3), atol=1e-4)


def test_a_mesh_that_breaks_the_symmetry_is_told_by_the_library() -> None:
    with pytest.warns(PhysicsWarning, match="the k mesh does not have the crystal's symmetry"):
        stress_free(Noisy(CUBIC_CRYSTALS["cube"], (4, 4, 2)), tolerance=2e-6)
