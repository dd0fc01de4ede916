"""Baselines: exact where they should be, engines like the others, and what the networks have to beat."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.engines.contract import Engine
from cellfields.errors import InputError
from cellfields.evaluation.baselines import BASELINES, BaselineEngine, ReductionLimit
from cellfields.evaluation.metrics import position_error, relative_l2
from cellfields.state import CellState
from cellfields.state.axis_operations import axis_operations
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate import Recipe, Surrogate
from cellfields.surrogate.images import images_of
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
ENGINE = ToyEngine(CRYSTAL, field_cutoff=2.0)


def strains(count: int, seed: int, size: float = 1.0) -> list[Deformation]:
    return sample_deformations(CRYSTAL, count, seed=seed, stretch_sigma=0.015 * size, angle_sigma=1.0 * size)


def with_density_only(state: CellState) -> CellState:
    """Fewer networks to train."""
    fields = state.fields
    kept = dataclasses.replace(fields, coefficients={"density": fields.coefficients["density"]})
    return dataclasses.replace(state, fields=kept)


@pytest.fixture(scope="module")
def states() -> list[CellState]:
    return [ENGINE.solve(strain) for strain in strains(60, 0)]


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_an_engine_with_complete_states(states, name):
    engine = BaselineEngine.train(CRYSTAL, states, Recipe(modes=10), name=name)
    assert isinstance(engine, Engine) and engine.crystal is CRYSTAL
    (state,) = map(engine.solve, strains(1, 1))
    assert state.provenance["engine"] == f"baseline {name}"
    assert state.fields.integral("density") == 8.0
    assert state.internal.shape == (3,) and state.positions.shape == (4, 3)
    assert state.band_energy == pytest.approx(state.fields.integral("band_energy_density"), rel=1e-13)
    assert np.isfinite([state.free_energy, state.fermi_energy, state.entropic_energy]).all()


def test_mean_is_the_mean_of_the_training_states(states):
    state = BaselineEngine.train(CRYSTAL, states, name="mean").solve(strains(1, 1)[0])
    assert state.free_energy == pytest.approx(np.mean([s.free_energy for s in states]), rel=1e-13)
    np.testing.assert_allclose(state.internal, np.mean([s.internal for s in states], axis=0), rtol=1e-12)
    mean_density = np.mean([s.fields.vector("density") for s in states], axis=0)
    np.testing.assert_allclose(state.fields.vector("density"), mean_density, atol=1e-12)


def test_linear_is_least_squares(states):
    deformation = strains(1, 1)[0]
    design = np.c_[np.ones(len(states)), [s.deformation.as_array() for s in states]]
    solution = np.linalg.lstsq(design, [s.free_energy for s in states], rcond=None)[0]
    state = BaselineEngine.train(CRYSTAL, states, name="linear").solve(deformation)
    assert state.free_energy == pytest.approx(solution[0] + deformation.as_array() @ solution[1:], abs=1e-10)


def test_quadratic_finds_a_quadratic_map(states):
    """The toy's atoms move by a quadratic polynomial of the strain."""
    engine = BaselineEngine.train(CRYSTAL, states, name="quadratic")
    for deformation in strains(3, 1):
        assert position_error(engine.solve(deformation), ENGINE.solve(deformation)) < 1e-8


def test_the_nearest_training_state_is_given_back(states):
    engine = BaselineEngine.train(CRYSTAL, states, Recipe(modes=59), name="nearest")
    deformation = strains(1, 1)[0]
    scale = np.array([s.deformation.as_array() for s in states]).std(axis=0)
    distance = [np.linalg.norm((s.deformation.as_array() - deformation.as_array()) / scale) for s in states]
    nearest = states[int(np.argmin(distance))]
    state = engine.solve(deformation)
    assert state.free_energy == nearest.free_energy
    np.testing.assert_allclose(state.fields.vector("density"), nearest.fields.vector("density"), atol=1e-9)


@pytest.mark.parametrize("name", ["kernel ridge", "gaussian process"])
def test_kernels_learn_what_a_line_cannot(states, name):
    training = [with_density_only(state) for state in states]
    kernel, linear = (BaselineEngine.train(CRYSTAL, training, Recipe(modes=5), name=n) for n in (name, "linear"))
    truth = [ENGINE.solve(strain) for strain in strains(10, 1)]

    def error(engine):
        return np.mean([abs(engine.solve(s.deformation).free_energy - s.free_energy) for s in truth])

    assert error(kernel) < 0.2 * error(linear)


def test_the_reduction_limit_is_what_the_modes_leave_out(states):
    engine = BaselineEngine.train(CRYSTAL, states, Recipe(modes=4))
    truth = [ENGINE.solve(strain) for strain in strains(3, 1)]
    limit = ReductionLimit(engine.encoding, truth)
    assert isinstance(limit, Engine) and limit.crystal is CRYSTAL
    for true, state in zip(truth, map(limit.solve, [s.deformation for s in truth]), strict=True):
        for name in FIELD_NAMES:
            reduction = engine.encoding.reductions[name]
            expected = reduction.truncation_error(true.fields.vector(name))
            assert relative_l2(state.fields, true.fields, name) == pytest.approx(expected, rel=1e-9)
        assert not state.knows("free_energy") and not state.knows("internal")
        assert state.band_energy == pytest.approx(state.fields.integral("band_energy_density"))
    with pytest.raises(InputError, match="only for states"):
        limit.solve(strains(1, 7)[0])


def test_an_unknown_baseline_is_refused_by_name(states):
    with pytest.raises(InputError, match="'forest' is unknown; there are mean, nearest, linear"):
        BaselineEngine.train(CRYSTAL, states, name="forest")


@pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")
@pytest.mark.parametrize(
    ("name", "size", "count", "factor"),
    [("taylor", 1.0, 60, 5), ("taylor", 3.0, 60, 5), ("paper", 3.0, 200, 1.5)],
    ids=["taylor, weakly nonlinear", "taylor, strongly nonlinear", "paper, strongly nonlinear"],
)
def test_the_surrogate_clearly_beats_linear_regression_on_unseen_strains(name, size, count, factor):
    training = [with_density_only(state) for state in map(ENGINE.solve, strains(count, 0, size))]
    recipe = Recipe(name=name, field_widths=(50, 50), epochs=300)
    surrogate = Surrogate.train(CRYSTAL, training, recipe)
    linear = BaselineEngine.train(CRYSTAL, training, recipe, name="linear")
    errors: dict[str, dict[str, list[float]]] = {}
    for true in map(ENGINE.solve, strains(20, 1, size)):
        for engine in (surrogate, linear):
            state = engine.solve(true.deformation)
            kind = errors.setdefault(type(engine).__name__, {"energy": [], "density": [], "position": []})
            kind["energy"].append(abs(state.free_energy - true.free_energy))
            kind["density"].append(relative_l2(state.fields, true.fields, "density"))
            kind["position"].append(position_error(state, true))
    for quantity in ("energy", "density", "position"):
        ours, theirs = (np.mean(errors[kind][quantity]) for kind in ("Surrogate", "BaselineEngine"))
        assert ours < theirs / factor, f"{quantity}: {ours:.2e} against {theirs:.2e}"


def test_without_internal_coordinates_or_fields():
    crystal = Crystal(3.75 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Al"], [[0, 0, 0]])
    engine = ToyEngine(crystal, field_cutoff=2.0)
    draws = sample_deformations(crystal, 12, seed=0, stretch_sigma=0.02, angle_sigma=1)
    state = BaselineEngine.train(crystal, map(engine.solve, draws)).solve(draws[0])
    assert state.internal.shape == (0,) and np.isfinite(state.free_energy)


def test_a_baseline_learns_from_what_the_surrogate_learns_from(states: list[CellState]) -> None:
    """With "best": the images too, and the surrogate's own principal components; so it is as symmetric as the map."""
    few = [with_density_only(state) for state in states[:20]]
    recipe = Recipe(name="best", degree=2, blend=1, modes=5, members=0)
    surrogate = Surrogate.train(CRYSTAL, few, recipe)
    shared = BaselineEngine.train(CRYSTAL, few, recipe, encoding=surrogate.encoding)
    fitted = BaselineEngine.train(CRYSTAL, few, recipe)
    assert shared.encoding is surrogate.encoding
    modes, same = (e.encoding.reductions["density"] for e in (shared, fitted))
    assert modes.size == same.size == 5
    images, count = images_of(CRYSTAL, few, recipe, None)
    assert count == 4
    mean = np.mean([image.free_energy for image in images])
    assert BaselineEngine.train(CRYSTAL, few, recipe, name="mean").solve(strains(1, 1)[0]).free_energy == (
        pytest.approx(mean, rel=1e-13)
    )
    for engine in (shared, fitted):
        seen = engine.solve(few[0].deformation)
        for operation in axis_operations(CRYSTAL)[1:]:
            image = operation.state(CRYSTAL, seen)
            direct = engine.solve(image.deformation)
            assert direct.free_energy == pytest.approx(seen.free_energy, abs=1e-10)
            difference = direct.fields.vector("density") - image.fields.vector("density")
            assert np.linalg.norm(difference) < 1e-8 * np.linalg.norm(image.fields.vector("density"))
    alone = BaselineEngine.train(CRYSTAL, few, Recipe(modes=5))  # the paper's recipe has no images: neither has this
    image = axis_operations(CRYSTAL)[1].state(CRYSTAL, alone.solve(few[0].deformation))
    assert abs(alone.solve(image.deformation).free_energy - image.free_energy) > 1e-6
