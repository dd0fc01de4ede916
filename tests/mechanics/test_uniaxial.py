"""Uniaxial tests: the equations they solve, how many solves they take, and that a killed one goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import ConvergenceError, CorruptFileError, InputError, SettingsMismatchError
from cellfields.mechanics import Stress, UniaxialTable, stress_free, uniaxial_test
from cellfields.mechanics.coordinates import conjugate_stress, coordinates_of, deformation_of
from cellfields.mechanics.uniaxial_path import UniaxialPoint
from cellfields.state import CellState
from tests.mechanics.engines import HEXAGONAL, HyperelasticEngine
from tests.toy import magnesium

STRAINS = [-0.06, -0.04, -0.02, 0.02, 0.04, 0.06]
RESIDUAL = 1e-5 * np.array([1.0, -0.5, 0.5, 0, 0, 0])


def engine(**options: Any) -> HyperelasticEngine:
    return HyperelasticEngine(magnesium(), residual=RESIDUAL, **options)


def tilted_constants() -> np.ndarray:
    """No symmetry at all: axial strains and shears are coupled."""
    noise = np.random.default_rng(3).normal(size=(6, 6))
    return HyperelasticEngine(magnesium()).constants + 4e-5 * (noise + noise.T)


@pytest.mark.parametrize("direction", [1, 2, 3])
def test_axial_test_leaves_one_stress_component(direction):
    curve = uniaxial_test(engine(), direction, STRAINS, tolerance=1e-9)
    assert [point.strain for point in curve.points] == sorted([0.0, *STRAINS])
    axis = direction - 1
    for point in curve.points:
        assert point.deformation.angles == (90.0, 90.0, 90.0)
        assert point.deformation.stretches[axis] == pytest.approx(1 + point.strain, abs=1e-12)
        others = np.delete(np.diagonal(point.stress), axis)
        assert np.abs(others).max() < 2e-9
    table = curve.table()
    np.testing.assert_allclose(table.stress, [point.stress[axis, axis] for point in curve.points], rtol=1e-12)
    slope = (table.stress[4] - table.stress[2]) / 0.04
    young = 1 / np.linalg.inv(HyperelasticEngine(magnesium()).constants)[axis, axis]
    assert slope == pytest.approx(young, rel=0.05)


def test_general_test_is_uniaxial_along_the_deformed_line():
    """All five others relaxed in a crystal without symmetry: σ = s f fᵀ, f the direction of the stretched line."""
    skew = engine(constants=tilted_constants())
    for crystal_direction in (1, 2):
        curve = uniaxial_test(skew, crystal_direction, [0.03, -0.03], components="all", tolerance=1e-10)
        for point, stress in zip(curve.points, curve.table().stress, strict=True):
            gradient = point.deformation.deformation_gradient(skew.crystal)
            line = gradient[:, crystal_direction - 1]
            assert np.linalg.norm(line) == pytest.approx(1 + point.strain, abs=1e-12)
            line = line / np.linalg.norm(line)
            np.testing.assert_allclose(point.stress, stress * np.outer(line, line), atol=1e-9)
            assert np.abs(np.array(point.deformation.angles) - 90).max() > 1e-3  # it did shear


def test_coordinates_and_their_stress():
    crystal = Crystal(5.13 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Si", "Si"], [[0, 0, 0], [0.25] * 3])
    law = HyperelasticEngine(crystal, residual=RESIDUAL)
    x = np.array([0.02, -0.01, 0.03, 0.02, -0.03, 0.01])
    np.testing.assert_allclose(coordinates_of(deformation_of(x, crystal), crystal), x, atol=1e-12)
    step = 1e-4
    numerical = [
        (
            law.solve(deformation_of(x + step * e, crystal)).free_energy
            - law.solve(deformation_of(x - step * e, crystal)).free_energy
        )
        / (2 * step * crystal.volume_ref)
        for e in np.eye(6)
    ]
    np.testing.assert_allclose(conjugate_stress(law.solve(deformation_of(x, crystal)), crystal), numerical, atol=1e-9)
    with pytest.raises(InputError, match="close no cell"):
        deformation_of(np.array([0, 0, 0, 0, 0, 1.5]), crystal)


def test_few_solves_a_point():
    """The parabola and the carried stiffness: about one solve a point, where the paper's method takes four."""
    quick, slow = engine(), engine()
    fast = uniaxial_test(quick, 1)
    descent = uniaxial_test(slow, 1, method="barzilai-borwein")
    assert len(fast.points) == 21 and not fast.failures
    assert quick.solves == fast.evaluations <= 32
    assert slow.solves == descent.evaluations >= 2.5 * fast.evaluations
    np.testing.assert_allclose(fast.table().strains, descent.table().strains, atol=2e-4)


def test_solves_are_warm_started_where_the_engine_can():
    law = engine(fields=True)
    uniaxial_test(law, 1, [0.01])
    assert law.starts[0] is None
    assert all(start is not None and "density" in start.fields for start in law.starts[1:])


class Continuing(HyperelasticEngine):
    """Hands over more than a density: the number of the solve."""

    def solve_and_continue(self, deformation: Deformation, *, start: Any = None) -> tuple[CellState, Any]:
        return self.solve(deformation, start=start), ("after", self.solves)


def test_a_branch_begins_where_zero_ended():
    law = Continuing(magnesium(), residual=RESIDUAL)
    at_zero: list[int] = []
    uniaxial_test(law, 1, [-0.02, 0.02], on_point=lambda p, s: at_zero.append(law.solves) if p.strain == 0 else None)
    after_zero = ("after", at_zero[0])
    assert law.starts.count(after_zero) == 2  # the first strain on each side


def test_residual_stress_and_strains_are_subtracted():
    table = uniaxial_test(engine(), 1, [-0.02, 0.02]).table()
    stress, strains = table.residual()
    assert abs(stress) > 1e-6 and strains[0] == 0 and np.abs(strains[1:]).max() > 1e-4
    clean = table.subtracted()
    assert clean.stress[1] == 0 and np.abs(clean.strains[1]).max() == 0
    np.testing.assert_allclose(clean.strain, clean.strains[:, 0])
    other = UniaxialTable(1, table.strain, table.stress + 1e-5, table.strains)
    np.testing.assert_allclose(other.subtracted(table).stress, clean.stress + 1e-5)


def test_turning_points_of_the_stress():
    strain = np.linspace(-0.1, 0.1, 21)
    stress = -((strain + 0.073) ** 2) * (strain < 0) + 1e-3 * strain * (strain >= 0)
    assert UniaxialTable(2, strain, stress, np.zeros((21, 3))).turning_points()[0] == pytest.approx(-0.073)
    assert UniaxialTable(2, strain, strain, np.zeros((21, 3))).turning_points() == []


def test_equation_14_is_offered_beside_cauchy():
    curve = uniaxial_test(engine(), 2, [0.05])
    point = curve.at(0.05)
    paper = curve.table("small-strain").stress[-1]
    assert paper == pytest.approx(curve.table().stress[-1] / 1.05, rel=1e-9)
    assert paper == Stress(curve.crystal, point.deformation, point.stress).small_strain[1, 1]


# -- a kill -------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


def test_a_killed_test_goes_on(tmp_path):
    record = tmp_path / "points.jsonl"
    whole = uniaxial_test(engine(), 1, STRAINS)

    def kill(point: Any, state: Any) -> None:
        if point.strain == 0.04:
            raise Killed

    with pytest.raises(Killed):
        uniaxial_test(engine(), 1, STRAINS, record=record, on_point=kill)
    with record.open("ab") as file:
        file.write(b'{"strain": 0.06, "defor')  # the kill came in the middle of a line
    law = engine()
    seen: list[float] = []
    resumed = uniaxial_test(law, 1, STRAINS, record=record, on_point=lambda p, s: seen.append(p.strain))
    assert seen == [0.06, -0.02, -0.04, -0.06]
    assert law.solves <= 2 * len(seen)
    np.testing.assert_allclose(resumed.table().stress, whole.table().stress, atol=2e-7)
    again = engine()
    final = uniaxial_test(again, 1, STRAINS, record=record)
    assert again.solves == 0
    np.testing.assert_array_equal(final.table().stress, resumed.table().stress)
    assert all(json.loads(line) for line in record.read_text().splitlines())


def test_a_record_of_another_test_is_refused(tmp_path):
    record = tmp_path / "points.jsonl"
    uniaxial_test(engine(), 1, [0.01], record=record)
    with pytest.raises(SettingsMismatchError, match="direction differ"):
        uniaxial_test(engine(), 2, [0.01], record=record)
    with pytest.raises(SettingsMismatchError, match="engine differ"):
        uniaxial_test(engine(cubic=(0.0, 0.0)), 1, [0.01], record=record)
    for somebodys in ("something else\n", "something else", '{"precious": 1}', "a = 1\nb = 2"):
        record.write_text(somebodys)
        with pytest.raises(CorruptFileError):
            uniaxial_test(engine(), 1, [0.01], record=record)
        assert record.read_text() == somebodys
    with pytest.raises(InputError, match="not a file"):
        uniaxial_test(engine(), 1, [0.01], record=tmp_path)
    with pytest.raises(InputError, match="folder"):
        uniaxial_test(engine(), 1, [0.01], record=tmp_path / "nowhere" / "points.jsonl")


def test_a_record_needs_an_engine_that_says_what_it_is(tmp_path):
    class Anonymous:
        def __init__(self, engine: HyperelasticEngine) -> None:
            self.crystal, self.solve = engine.crystal, engine.solve

    anonymous = Anonymous(HyperelasticEngine(magnesium()))
    with pytest.raises(InputError, match="only engines with an identity"):
        uniaxial_test(anonymous, 1, [0.01], record=tmp_path / "points.jsonl")


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": 4}, "1, 2 or 3"),
        ({"direction": 1, "strains": [0.5]}, "0.5 is outside"),
        ({"direction": 1, "strains": [float("nan")]}, "nan is outside"),
        ({"direction": 1, "components": "some"}, "'axial'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        uniaxial_test(engine(), **arguments)


class Fragile(HyperelasticEngine):
    """Does not converge beyond a strain."""

    def solve(self, deformation: Deformation, *, start: Any = None) -> CellState:
        if deformation.stretches[0] > 1.025:
            raise ConvergenceError("no self-consistency")
        return super().solve(deformation, start=start)


def test_a_failing_branch_ends_and_the_other_is_finished():
    curve = uniaxial_test(Fragile(magnesium()), 1, STRAINS)
    assert [point.strain for point in curve.points] == [-0.06, -0.04, -0.02, 0.0, 0.02]
    assert curve.failures == {0.04: "no self-consistency"}


class Picky(HyperelasticEngine):
    """Has no answer beyond a strain, or none at all."""

    largest = 1.025

    def solve(self, deformation: Deformation, *, start: Any = None) -> CellState:
        if deformation.stretches[0] > self.largest:
            raise InputError("no such thing")
        return super().solve(deformation, start=start)


def test_what_an_engine_refuses_ends_a_branch_and_at_zero_the_test():
    picky = Picky(magnesium())
    curve = uniaxial_test(picky, 1, STRAINS)
    assert [point.strain for point in curve.points] == [-0.06, -0.04, -0.02, 0.0, 0.02]
    assert "no such thing" in curve.failures[0.04]
    picky.largest = 0.9
    with pytest.raises(InputError, match=r"^no such thing"):
        uniaxial_test(picky, 1, STRAINS)
    with pytest.raises(InputError, match=r"^no such thing"):
        stress_free(picky)


def test_a_component_without_stiffness_is_left_where_it_is():
    """As in a model whose training strains held the third edge."""
    sheet = HEXAGONAL.copy()
    sheet[2] = sheet[:, 2] = 0
    curve = uniaxial_test(HyperelasticEngine(magnesium(), constants=sheet), 1, [-0.02, 0.02])
    assert not curve.failures
    np.testing.assert_allclose(curve.table().strains[:, 2], 0, atol=1e-12)
    assert np.all(np.diff(curve.table().strains[:, 1]) < 0)


def test_atoms_that_are_not_known_are_null_in_json():
    class Blind(HyperelasticEngine):
        def solve(self, deformation: Deformation, *, start: Any = None) -> CellState:
            state = super().solve(deformation, start=start)
            return replace(state, internal=np.full_like(state.internal, np.nan), unknown=frozenset({"internal"}))

    curve = uniaxial_test(Blind(magnesium()), 1, [0.01])
    table = json.loads(json.dumps(curve.to_dict(), allow_nan=False))["points"][0]
    assert table["internal"] is None and UniaxialPoint.from_dict(table).internal is None
    known = UniaxialPoint.from_dict(table | {"internal": []}).internal  # of a crystal without free coordinates
    assert known is not None and known.shape == (0,)


def test_no_patience():
    with pytest.raises(ConvergenceError, match="after 2 evaluations"):
        uniaxial_test(engine(), 1, [], max_evaluations=2)


def test_the_curve_as_json():
    table = json.loads(json.dumps(uniaxial_test(engine(), 3, [0.01]).to_dict()))
    assert table["strain"] == [0.0, 0.01]
    assert set(table["points"][0]) >= {"deformation", "stress", "free_energy", "evaluations"}


@pytest.mark.slow
def test_the_embedded_engine():
    """From first principles, coarsely: the other stresses vanish, and solves continue from one another."""
    dft = PlaneWaveEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(3, 2, 2)))
    curve = uniaxial_test(dft, 3, [0.01], tolerance=5e-7)
    assert not curve.failures
    for point in curve.points:
        assert np.abs(np.diagonal(point.stress)[:2]).max() < 6e-7
    stress = curve.table().stress
    assert 2e-5 < stress[1] - stress[0] < 6e-5  # Young's modulus of 60 to 180 GPa
