"""Ensembles: the mean of their members, errors on strains that a member never saw, and where "best" takes them."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields
from cellfields.surrogate import Recipe, Surrogate, closed_form, ensemble
from cellfields.surrogate.ensemble import fit_ensemble
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.surrogate.network import Network
from tests.surrogate.samples import draw
from tests.toy import ToyEngine, magnesium

BEST = Recipe(name="best", degree=2, modes=4, members=2, symmetry=False)  # the toy has no symmetry


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "WIDTHS", (16, 16))
    monkeypatch.setattr(ensemble, "_PROTOCOL", (Recipe(epochs=400, learning_rate=3e-3, l2=1e-5),))


def networks(count: int = 3) -> list[Network]:
    rng = np.random.default_rng(0)
    return [Network.initialise((6, 5, 7, 2), rng) for _ in range(count)]


def test_an_ensemble_is_the_mean_of_its_members_for_one_and_for_many() -> None:
    members, rows = networks(), np.random.default_rng(1).normal(size=(4, 6))
    together = Network.ensemble(members)
    mean = np.mean([member(rows) for member in members], axis=0)
    assert together.sizes == (6, 2)
    np.testing.assert_allclose(together(rows), mean, rtol=1e-6)
    np.testing.assert_allclose(together(rows[1]), mean[1], rtol=1e-6)
    np.testing.assert_allclose(together(rows.reshape(2, 2, 6)), mean.reshape(2, 2, 2), rtol=1e-6)
    with double_precision():
        traced = np.asarray(jax.jit(lambda x: together(x))(jnp.asarray(rows)))
    np.testing.assert_allclose(traced, mean, rtol=1e-6)


def test_members_of_different_widths_do_not_fit_together() -> None:
    whole = Network.ensemble(networks())
    with pytest.raises(InputError, match="do not fit together"):
        Network((whole.kernels[0][:2], *whole.kernels[1:]), whole.biases)
    with pytest.raises(InputError, match="do not fit together"):
        Network((whole.kernels[0][0], *whole.kernels[1:]), whole.biases)


def test_what_members_share_is_kept_once() -> None:
    first, rows = networks()[0], np.random.default_rng(1).normal(size=(4, 6))
    second = Network((-first.kernels[0], *first.kernels[1:]), first.biases)
    whole = Network.ensemble([first, second])
    assert [len(kernel) for kernel in whole.kernels] == [2, 1, 1]
    np.testing.assert_allclose(whole(rows), 0.5 * (first(rows) + second(rows)), rtol=1e-6)


def test_each_member_is_judged_on_strains_that_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, (60, 2, 6))
    outputs = np.stack([np.tanh(4 * z[..., 0]), z[..., 1] ** 2], axis=-1)
    fitted = fit_ensemble("entropy_density", z, outputs, np.zeros(6), np.ones(6), BEST)
    again = fit_ensemble("entropy_density", z, outputs, np.zeros(6), np.ones(6), BEST)
    np.testing.assert_array_equal(fitted.left_out, again.left_out)
    network = fitted.regressor.network
    assert network is not None and network.kernels[0].shape == (2, 6, 16)
    for member in range(2):  # one image each: outputs of these "images" do not follow them
        own = Network(tuple(k[member] for k in network.kernels), tuple(b[member] for b in network.biases))
        predicted = fitted.regressor.output_mean + fitted.regressor.output_scale * own(z[member::10, 0])
        mine = fitted.judged % 10 == member
        np.testing.assert_allclose(outputs[member::10, 0] - predicted, fitted.left_out[mine], atol=1e-12)
    changed = outputs.copy()
    changed[0] += 100.0  # a strain of fold 0: the member that is judged on it does not know
    other = fit_ensemble("entropy_density", z, changed, np.zeros(6), np.ones(6), BEST)
    assert np.abs(other.left_out[0]).min() > 90
    assert np.abs(fitted.left_out).max() < 3
    assert len(fitted.left_out) == len(fitted.judged) == 12


def test_networks_are_as_symmetric_as_what_they_learn() -> None:
    half = np.random.default_rng(0).uniform(-1, 1, (60, 6))
    flip = np.array([1, 1, 1, -1, -1, 1])
    z = np.stack([half, half * flip], axis=1)
    outputs = np.stack([np.cos(4 * z[..., 0]) * z[..., 3] ** 2, np.sin(3 * z[..., 3])], axis=-1)  # even, odd
    fitted = fit_ensemble("entropy_density", z, outputs, np.zeros(6), np.ones(6), BEST)
    network = fitted.regressor.network
    assert network is not None and network.kernels[0].shape == (4, 6, 16)  # two members, two images each
    unseen = np.random.default_rng(1).uniform(-1, 1, (20, 6))
    np.testing.assert_allclose(fitted.regressor(unseen * flip), fitted.regressor(unseen) * [1, -1], atol=1e-5)
    own = Network(tuple(k[0] for k in network.kernels), tuple(b[0] for b in network.biases))
    by_itself = fitted.regressor.output_mean + fitted.regressor.output_scale * own(unseen)
    assert np.abs(by_itself - fitted.regressor(unseen)).max() > 1e-3
    few = fit_ensemble("entropy_density", z[:3], outputs[:3], np.zeros(6), np.ones(6), BEST).regressor.network
    assert few is not None and len(few.kernels[0]) == 2  # three strains say nothing about symmetry


class Wavy(ToyEngine):
    """An entropy that goes up and down with one stretch: no polynomial of low degree follows it."""

    def solve(self, deformation, *, start=None):  # type: ignore[no-untyped-def]
        state = super().solve(deformation)
        wave = 1 + 0.5 * np.cos(150 * (deformation.as_array()[2] - 1))
        fields = dict(state.fields.coefficients)
        fields["entropy_density"] = fields["entropy_density"] * wave
        return replace(
            state,
            fields=ElectronicFields(state.fields.basis, fields, state.fields.volume),
            entropic_energy=state.entropic_energy * wave,
        )


@pytest.fixture(scope="module")
def wavy() -> list[CellState]:
    crystal = magnesium()
    return list(map(Wavy(crystal, field_cutoff=0.8).solve, draw(crystal, 180)))


def test_best_takes_networks_where_polynomials_fail_and_only_there(
    wavy: list[CellState], monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(closed_form, "FEWEST", 150)
    known, unseen = wavy[:150], wavy[150:]
    told: list[tuple[str, int, int]] = []
    with_networks = Surrogate.train(magnesium(), known, BEST, on_progress=lambda *args: told.append(args))
    alone = Surrogate.train(magnesium(), known, BEST.model_copy(update={"members": 0}))
    assert [name for name, r in with_networks.regressors.items() if r.network is not None] == ["entropy_density"]
    assert all(r.network is None for r in alone.regressors.values())
    assert ("entropy_density", 2, 2) in told

    def error(surrogate: Surrogate) -> float:
        return float(np.mean([abs(surrogate.solve(s.deformation).entropic_energy - s.entropic_energy) for s in unseen]))

    assert error(with_networks) < 0.8 * error(alone)
    with_networks.save(tmp_path / "model.safetensors")
    read = Surrogate.load(tmp_path / "model.safetensors")
    for state in unseen[:3]:
        assert read.solve(state.deformation).entropic_energy == with_networks.solve(state.deformation).entropic_energy
