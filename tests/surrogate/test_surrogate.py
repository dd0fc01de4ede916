"""The surrogate as an engine: what it predicts, what it refuses, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import Engine, FirstPrinciplesEngine
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate import Surrogate
from tests.surrogate.samples import QUICK, QUICK_RECIPES, TINY, TINY_RECIPES, draw
from tests.toy import ToyEngine

# What lies outside the domain is warned of (test_domain.py); here it does not matter.
pytestmark = pytest.mark.filterwarnings("ignore::cellfields.surrogate.OutsideDomainWarning")


def aluminium() -> Crystal:
    return Crystal(3.75 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Al"], [[0, 0, 0]])


def silicon_carbide() -> Crystal:
    """No inversion centre: complex Fourier coefficients."""
    return Crystal(4.12 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), ["Si", "C"], [[0, 0, 0], [0.25, 0.25, 0.25]])


def test_it_is_an_engine_but_not_one_from_first_principles(surrogate):
    assert isinstance(surrogate, Engine)
    assert not isinstance(surrogate, FirstPrinciplesEngine)


def test_predictions_are_complete(surrogate, engine, unseen):
    for deformation, state in zip(unseen, map(surrogate.solve, unseen), strict=True):
        true = engine.solve(deformation)
        assert state.deformation == deformation
        np.testing.assert_array_equal(state.lattice, true.lattice)
        np.testing.assert_allclose(state.positions, engine.crystal.positions(state.internal))
        assert state.internal.shape == true.internal.shape
        assert set(state.fields.coefficients) == set(FIELD_NAMES)
        assert state.stress.shape == (3, 3)
        assert state.to_dict()["provenance"]["engine"] == "surrogate"
        assert state.provenance["in_domain"] == surrogate.in_domain(deformation)


FIELDS_AND_ATOMS = (*FIELD_NAMES, "internal")
EVERYTHING = (*FIELDS_AND_ATOMS, "free_energy", "fermi_energy", "band_energy", "entropic_energy")


# The toy's atoms and stress do not have the crystal's symmetry and are no derivative of its energy, so "best" is judged
# without images and slopes. Networks of the paper's kind do not learn the toy's energies from forty states.
@pytest.mark.parametrize(
    ("name", "changes", "names", "share"),
    [
        ("paper", {"epochs": 600}, FIELDS_AND_ATOMS, 0.5),
        ("taylor", {}, EVERYTHING, 0.2),
        ("best", {"symmetry": False, "slopes": False}, EVERYTHING, 0.2),
    ],
    ids=["paper", "taylor", "best"],
)
def test_errors_are_a_small_share_of_those_that_the_training_mean_makes(
    crystal, states, unseen, name, changes, names, share
):
    surrogate = Surrogate.train(crystal, states, QUICK_RECIPES[name].model_copy(update=changes))
    for quantity, ratio in errors_over_those_of_the_mean(surrogate, states, unseen, names).items():
        assert ratio < share, quantity


def errors_over_those_of_the_mean(surrogate, states, unseen, names):
    def values(many: list[CellState], name: str) -> np.ndarray:
        return np.array([s.fields.vector(name) if name in FIELD_NAMES else getattr(s, name) for s in many])

    predicted = [surrogate.solve(d) for d in unseen]
    true = [ToyEngine(surrogate.crystal, 2.0).solve(d) for d in unseen]
    return {
        name: np.linalg.norm(values(predicted, name) - values(true, name))
        / np.linalg.norm(values(states, name).mean(axis=0) - values(true, name))
        for name in names
    }


def test_density_integrates_to_the_electron_number_exactly(surrogate, unseen):
    far = Deformation((1.2, 0.8, 1.1), (80.0, 95.0, 100.0))
    for deformation in [*unseen, far]:
        assert surrogate.solve(deformation).fields.integral("density") == 8.0


def test_energies_are_the_integrals_of_the_predicted_fields(surrogate, unseen):
    state = surrogate.solve(unseen[0])
    assert state.band_energy == pytest.approx(state.fields.integral("band_energy_density"), rel=1e-13)
    assert surrogate.encoding.smearing_width == pytest.approx(0.01, rel=1e-12)
    assert state.entropic_energy == pytest.approx(-0.01 * state.fields.integral("entropy_density"), rel=1e-12)


def test_numbers_do_not_need_the_fields(surrogate, unseen):
    state = surrogate.solve(unseen[0])
    state.to_dict()
    assert "density" in state.fields
    assert state.fields.coefficients._lifted == {}


def test_energy_and_gradient_agree_with_solve_and_with_finite_differences(surrogate, unseen):
    strains = np.array([deformation.as_array() for deformation in unseen])
    energy, gradient = surrogate.energy_and_gradient(strains)
    assert energy.dtype == gradient.dtype == np.float64
    np.testing.assert_allclose(energy, [surrogate.solve(d).free_energy for d in unseen], rtol=1e-14)
    step = np.diag([1e-4] * 3 + [1e-2] * 3)
    for component in range(6):
        up, down = (surrogate.energy_and_gradient(strains + s * step[component])[0] for s in (1, -1))
        up2, down2 = (surrogate.energy_and_gradient(strains + s * step[component])[0] for s in (2, -2))
        numerical = (8 * (up - down) - (up2 - down2)) / (12 * step[component, component])
        np.testing.assert_allclose(gradient[:, component], numerical, atol=1e-7 * np.abs(gradient).max())


@pytest.mark.parametrize("n", [0, 1, 3, 4])
def test_any_number_of_strains_may_be_asked_for(surrogate, n):
    energy, gradient = surrogate.energy_and_gradient(np.tile([1, 1, 1, 90, 90, 90.0], (n, 1)))
    assert energy.shape == (n,) and gradient.shape == (n, 6)


@pytest.mark.parametrize("wrong", [np.ones(6), np.ones((2, 5)), np.full((1, 6), np.nan)])
def test_malformed_strains_are_refused(surrogate, wrong):
    with pytest.raises(InputError, match=r"\(n, 6\)"):
        surrogate.energy_and_gradient(wrong)


def test_training_again_gives_the_same_surrogate(crystal, states, unseen):
    one, two = (Surrogate.train(crystal, states[:20], TINY).solve(unseen[0]) for _ in range(2))
    assert one.free_energy == two.free_energy
    np.testing.assert_array_equal(one.fields.vector("density"), two.fields.vector("density"))


def test_it_can_be_pickled_and_works_on(surrogate, unseen):
    expected = surrogate.solve(unseen[0])
    state = pickle.loads(pickle.dumps(surrogate)).solve(unseen[0])
    assert state.free_energy == expected.free_energy
    np.testing.assert_array_equal(state.stress, expected.stress)


def test_the_users_own_jax_precision_is_left_alone(surrogate, unseen):
    before = jnp.ones(1).dtype
    surrogate.solve(unseen[0])
    surrogate.energy_and_gradient([unseen[0].as_array()])
    assert jnp.ones(1).dtype == before


def test_a_recipe_does_not_load_jax():
    """Configurations are read, and engine workers start, without it."""
    code = "import sys, cellfields.surrogate as s; s.Recipe(); assert 'jax' not in sys.modules; s.Surrogate"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modes_are_bounded_by_the_training_states(crystal, states):
    trained = Surrogate.train(crystal, states[:5], TINY.model_copy(update={"modes": 50}))
    assert {reduction.size for reduction in trained.encoding.reductions.values()} == {4}
    assert trained.metadata["n_train"] == 5


def test_progress_names_every_quantity(crystal, states):
    events = []
    Surrogate.train(crystal, states[:10], TINY, on_progress=lambda *event: events.append(event))
    assert list(dict.fromkeys(event[0] for event in events)) == [
        *FIELD_NAMES,
        "internal",
        "free_energy",
        "fermi_energy",
    ]


def test_truncated_fields_are_the_floor_of_what_can_be_predicted(surrogate, engine, unseen):
    true = engine.solve(unseen[0]).fields
    floor = surrogate.encoding.truncate(true)
    predicted = surrogate.solve(unseen[0]).fields
    for name in FIELD_NAMES:
        best = np.linalg.norm(floor.vector(name) - true.vector(name))
        assert best <= np.linalg.norm(predicted.vector(name) - true.vector(name))


def test_a_crystal_without_internal_coordinates(unseen):
    crystal = aluminium()
    engine = ToyEngine(crystal, field_cutoff=2.0)
    trained = Surrogate.train(crystal, map(engine.solve, draw(crystal, 12)), TINY)
    assert "internal" not in trained.regressors
    state = trained.solve(draw(crystal, 1, seed=3)[0])
    assert state.internal.shape == (0,)
    np.testing.assert_array_equal(state.positions, crystal.positions_ref)
    assert state.fields.integral("density") == pytest.approx(2.0, abs=1e-14)


def test_a_crystal_without_inversion_has_complex_fields():
    crystal = silicon_carbide()
    engine = ToyEngine(crystal, field_cutoff=2.0)
    trained = Surrogate.train(crystal, map(engine.solve, draw(crystal, 12)), TINY)
    deformation = draw(crystal, 1, seed=3)[0]
    state, true = trained.solve(deformation), engine.solve(deformation)
    assert np.iscomplexobj(state.fields.coefficients["density"])
    assert state.fields.integral("density") == pytest.approx(4.0, abs=1e-14)
    assert state.fields.vector("density").shape == true.fields.vector("density").shape


def lacking(state, *names):
    """The state without these fields, energies or stress; without ``internal``, without its atoms."""
    coefficients = {} if state.fields is None else state.fields.coefficients
    kept = {name: values for name, values in coefficients.items() if name not in names}
    fields = dataclasses.replace(state.fields, coefficients=kept) if kept else None
    changes = dict.fromkeys(n for n in names if n not in (*FIELD_NAMES, "internal", "free_energy"))
    unknown = state.unknown | frozenset(names) & {"internal", "free_energy"}
    if "internal" in unknown:
        changes |= {
            "internal": np.full_like(state.internal, np.nan),
            "positions": np.full_like(state.positions, np.nan),
        }
    if "free_energy" in unknown:
        changes["free_energy"] = np.nan
    return dataclasses.replace(state, fields=fields, unknown=unknown, **changes)


def test_states_with_numbers_only(crystal, states, unseen):
    bare = [lacking(state, *FIELD_NAMES, "fermi_energy") for state in states]
    trained = Surrogate.train(crystal, bare, TINY_RECIPES["taylor"])
    state = trained.solve(unseen[0])
    assert trained.unknown == (*FIELD_NAMES, "fermi_energy")
    assert state.fields is None and state.fermi_energy is None
    assert np.isfinite(state.free_energy) and state.stress is not None
    # U and −TS have no field to be the integral of: they are learned as numbers.
    ratios = errors_over_those_of_the_mean(trained, states, unseen, ("band_energy", "entropic_energy"))
    assert ratios["band_energy"] < 0.01 and ratios["entropic_energy"] < 0.3


def test_free_energy_and_positions_alone(crystal, states, unseen, tmp_path):
    names = ("band_energy", "entropic_energy", "fermi_energy", "stress")
    trained = Surrogate.train(crystal, [lacking(s, *FIELD_NAMES, *names) for s in states[:12]], TINY)
    assert trained.unknown == (*FIELD_NAMES, *names[:3])  # the stress is the derivative of F
    assert trained.metadata["unknown"] == list(trained.unknown)
    assert trained.metadata["states_used"] == {"internal": 12, "free_energy": 12}
    state = trained.solve(unseen[0])
    assert state.fields is None and state.stress is not None and state.knows("internal")
    trained.save(tmp_path / "m.safetensors")
    loaded = Surrogate.load(tmp_path / "m.safetensors")
    assert loaded.unknown == trained.unknown
    assert loaded.solve(unseen[0]).free_energy == pytest.approx(state.free_energy, rel=1e-14)


def test_the_best_recipe_learns_from_images_of_states_without_atoms(crystal, states, unseen):
    bare = [lacking(s, *FIELD_NAMES, "internal", "band_energy", "entropic_energy", "stress") for s in states[:20]]
    trained = Surrogate.train(crystal, bare, TINY_RECIPES["best"].model_copy(update={"blend": 1}))
    assert trained.metadata["states_used"]["free_energy"] == 20
    state, true = trained.solve(unseen[0]), ToyEngine(crystal, 2.0).solve(unseen[0])
    assert not state.knows("internal") and state.stress is not None
    assert abs(state.free_energy - true.free_energy) < np.std([s.free_energy for s in states])


def test_images_do_not_make_strains_out_of_few(crystal, states):
    best = TINY_RECIPES["best"].model_copy(update={"blend": 1})
    with pytest.raises(InputError, match="at least 2 states, got 1"):
        Surrogate.train(crystal, states[:1], best)
    few = [lacking(s, "entropy_density") if i > 5 else s for i, s in enumerate(states[:15])]
    assert "entropy_density" in Surrogate.train(crystal, few, best).unknown


@pytest.mark.parametrize("recipe", ["paper", "best"])
def test_a_stress_that_is_no_number_is_refused(crystal, states, recipe):
    spoilt = dataclasses.replace(states[0], stress=np.full((3, 3), np.nan))
    with pytest.raises(InputError, match="not finite"):
        Surrogate.train(crystal, [spoilt, *states[1:10]], TINY_RECIPES[recipe])


def test_a_density_alone(crystal, states, unseen, tmp_path):
    names = ("internal", "free_energy", "band_energy", "entropic_energy", "fermi_energy", "stress", *FIELD_NAMES[1:])
    trained = Surrogate.train(crystal, [lacking(s, *names) for s in states[:12]], TINY)
    trained.save(tmp_path / "m.safetensors")
    for surrogate in (trained, Surrogate.load(tmp_path / "m.safetensors")):
        assert set(surrogate.unknown) == set(names)
        state = surrogate.solve(unseen[0])
        assert list(state.fields.coefficients) == ["density"]
        assert state.fields.integral("density") == 8.0
        assert not any(state.knows(name) for name in names)
        assert state.unknown == {"internal", "free_energy"}
        assert state.to_dict().keys() == {"deformation", "lattice", "energy_terms", "provenance", "units"}
        with pytest.raises(InputError, match="does not know the free energy"):
            surrogate.energy_and_gradient([unseen[0].as_array()])


def test_each_quantity_is_learned_from_the_states_that_know_it(crystal, states, unseen):
    """The networks of the others are those that a training on the complete states alone would give."""
    some = [lacking(s, "density", "free_energy") if i % 3 == 0 else s for i, s in enumerate(states[:15])]
    few = [lacking(s, "entropy_density") if i > 5 else s for i, s in enumerate(some)]
    trained = Surrogate.train(crystal, few, TINY)
    used = trained.metadata["states_used"]
    assert (used["density"], used["free_energy"], used["internal"]) == (10, 10, 15)
    assert trained.unknown == ("entropy_density",)  # six are too few; −TS is then a number of its own
    assert used["entropic_energy"] == 15
    complete = Surrogate.train(crystal, [s for i, s in enumerate(states[:15]) if i % 3], TINY)
    one, two = trained.solve(unseen[0]), complete.solve(unseen[0])
    assert one.free_energy == two.free_energy
    np.testing.assert_array_equal(one.fields.vector("density"), two.fields.vector("density"))


def test_nothing_to_learn_is_said(crystal, states):
    names = ("internal", "free_energy", "band_energy", "entropic_energy", "fermi_energy", *FIELD_NAMES)
    with pytest.raises(InputError, match="nothing to learn"):
        Surrogate.train(crystal, [lacking(s, *names) for s in states[:9]], TINY)


def test_entropic_energies_of_another_smearing_are_learned_by_themselves(crystal, states):
    hotter = dataclasses.replace(states[0], entropic_energy=2 * states[0].entropic_energy)
    trained = Surrogate.train(crystal, [hotter, *states[1:10]], TINY)
    assert trained.encoding.smearing_width is None
    assert "entropic_energy" in trained.regressors


def test_useless_training_states_are_refused(crystal, states):
    with pytest.raises(InputError, match="at least 2 states, got 1"):
        Surrogate.train(crystal, states[:1], QUICK)
    with pytest.raises(InputError, match="internal coordinates"):
        Surrogate.train(aluminium(), states[:3], QUICK)
    with pytest.raises(InputError, match="not finite"):
        Surrogate.train(crystal, [dataclasses.replace(states[0], free_energy=np.nan), *states[1:3]], QUICK)
    with pytest.raises(InputError, match="field_cutoff"):
        Surrogate.train(crystal, [ToyEngine(crystal, 3.0).solve(states[0].deformation), *states[1:3]], QUICK)
    broken = states[0].fields.coefficients | {"density": np.full(states[0].fields.basis.size, np.inf)}
    fields = dataclasses.replace(states[0].fields, coefficients=broken)
    with pytest.raises(InputError, match="not finite"):
        Surrogate.train(crystal, [dataclasses.replace(states[0], fields=fields), *states[1:3]], QUICK)


def test_networks_that_do_not_belong_to_the_crystal_are_refused(surrogate):
    fewer = {name: model for name, model in surrogate.regressors.items() if name != "internal"}
    with pytest.raises(InputError, match="do not fit the quantities"):
        dataclasses.replace(surrogate, regressors=fewer)
