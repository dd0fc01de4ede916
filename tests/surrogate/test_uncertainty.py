"""Standard deviations of predictions: the posterior variance they grow with, and whether they cover what they say."""

from __future__ import annotations

from dataclasses import replace
from math import factorial

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.evaluation.evaluate import evaluate
from cellfields.evaluation.metrics import energy_error, position_error, relative_l2
from cellfields.state import CellState
from cellfields.state.axis_operations import axis_operations
from cellfields.surrogate import Recipe, Surrogate, _file
from cellfields.surrogate.closed_form import fit_closed_form
from cellfields.surrogate.images import images_of
from cellfields.surrogate.polynomial import leverage
from cellfields.surrogate.state_encoding import StateEncoding
from cellfields.surrogate.trend import monomials
from cellfields.surrogate.uncertainty import Uncertainty, left_out_errors
from tests.surrogate.samples import draw
from tests.toy import ToyEngine

RNG = np.random.default_rng(8)
BEST = Recipe(name="best", degree=3, modes=10)


@pytest.fixture(scope="module")
def best(crystal: Crystal, states: list[CellState]) -> Surrogate:
    return Surrogate.train(crystal, states, BEST)


def test_leverage_is_the_posterior_variance_of_the_kernel() -> None:
    """k(x,x) − k(x,X) (K + λ)⁻¹ k(X,x) = λ φᵀ (AᵀA + λ)⁻¹ φ, and so for strains left out with their images."""
    degree, length, ridge = 3, 1.8, 1e-2
    z = RNG.normal(size=(7, 2, 3))

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return sum((a @ b.T / length**2) ** n / factorial(n) for n in range(degree + 1))

    def variance(x: np.ndarray, known: np.ndarray) -> np.ndarray:
        across = kernel(x, known)
        explained = across @ np.linalg.solve(kernel(known, known) + ridge * np.eye(len(known)), across.T)
        return np.diag(kernel(x, x) - explained) / ridge

    root, left_out = leverage(z, degree=degree, length=length, ridge=ridge)
    new = RNG.normal(size=(5, 3))
    rows = np.concatenate([np.ones((5, 1)), monomials(new, degree)], axis=1) @ root
    assert np.allclose((rows**2).sum(axis=1), variance(new, z.reshape(-1, 3)), rtol=1e-8)
    for out in range(len(z)):
        assert np.allclose(left_out[out], variance(z[out, :1], np.delete(z, out, axis=0).reshape(-1, 3)), rtol=1e-6)


def test_two_of_three_errors_are_below_one_standard_deviation() -> None:
    z = RNG.normal(size=(600, 1, 6))
    mean, scale = np.zeros(6), np.ones(6)
    _, left_out = leverage(z, degree=3, length=4.5, ridge=1e-4)
    errors = np.abs(RNG.normal(size=600)) * 3e-4 * left_out**0.7
    law = Uncertainty.fit(z, mean, scale, {"e": (np.arange(600), errors)}, 3)
    assert law.exponent["e"] == pytest.approx(0.7, abs=0.15)
    within = errors < law.factor["e"] * left_out ** law.exponent["e"]
    assert within.mean() == pytest.approx(0.683, abs=0.01)
    assert (errors < 2 * law.factor["e"] * left_out ** law.exponent["e"]).mean() == pytest.approx(0.954, abs=0.02)


def test_left_out_errors_are_the_measures_of_an_evaluation(crystal: Crystal, states: list[CellState]) -> None:
    few = states[:14]
    images, count = images_of(crystal, few, BEST, None)
    encoding = StateEncoding.fit(crystal, images, BEST.modes)
    fit = fit_closed_form(encoding, images, count, encoding.encode(images), BEST)
    encoded = encoding.encode(few)
    errors = left_out_errors(encoding, few, encoded, fit.residuals)
    for row, true in enumerate(few):
        outputs = {name: values[row] - fit.residuals[name][row] for name, (_, values) in encoded.items()}
        guess = encoding.decode(true.deformation, outputs, provenance={})
        for name in ("free_energy", "band_energy", "entropic_energy", "fermi_energy"):
            assert errors[name][1][row] == pytest.approx(energy_error(guess, true, name), abs=1e-12)
        assert errors["position"][1][row] == pytest.approx(position_error(guess, true), rel=1e-9)
        for name in ("density", "entropy_density"):
            expected = relative_l2(guess.fields, true.fields, name)
            assert errors[f"{name}.relative_l2"][1][row] == pytest.approx(expected, rel=1e-6)


def test_it_covers_unseen_strains(best: Surrogate, engine: ToyEngine) -> None:
    unseen = [engine.solve(strain) for strain in draw(engine.crystal, 60, seed=1)]
    judged = evaluate({"best": replace(best, outside="flag")}, unseen).engines["best"]
    sigma = [best.uncertainty(state.deformation) for state in unseen]
    assert judged.errors.keys() >= sigma[0].keys() - {"fermi_energy"}
    for name in sigma[0].keys() & judged.errors.keys():
        ratio = judged.errors[name] / np.array([s[name] for s in sigma])
        assert 0.45 <= (ratio < 1).mean() <= 0.9, name
        assert (ratio < 2).mean() >= 0.8, name


def test_it_is_as_symmetric_as_the_crystal_and_grows_outwards(best: Surrogate, crystal: Crystal) -> None:
    deformation = draw(crystal, 1, seed=9)[0]
    here = best.uncertainty(deformation)
    for operation in axis_operations(crystal)[1:]:
        assert best.uncertainty(operation.deformation(crystal, deformation)) == pytest.approx(here, rel=1e-6)
    centre = best.uncertainty(Deformation.identity(crystal))
    far = best.uncertainty(Deformation((1.1, 0.9, 1.1), (84, 96, 96)))
    assert all(centre[name] <= far[name] for name in here)
    assert far["density.relative_l2"] > 3 * centre["density.relative_l2"]


def test_outside_it_grows_with_the_distance_from_the_training_strains(best: Surrogate) -> None:
    """At λa = 1.3, twenty times outside what was trained on, no digit of a prediction is left."""
    table = [best.uncertainty(Deformation((x, 1.0, 1.0), (90.0, 90.0, 90.0))) for x in (1.0, 1.05, 1.1, 1.2, 1.3)]
    assert (
        best.domain.excess(np.array([1.0, 1, 1, 90, 90, 90]))
        == 1.0
        < best.domain.excess(np.array([1.05, 1, 1, 90, 90, 90]))
    )
    for name in table[0]:
        values = [entry[name] for entry in table]
        assert values == sorted(values) and values[-1] > 1e3 * values[0] > 0, name


def test_it_survives_its_file_and_old_files_have_none(best: Surrogate, crystal: Crystal, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "model.safetensors"
    best.save(path)
    deformation = draw(crystal, 1, seed=9)[0]
    assert Surrogate.load(path).uncertainty(deformation) == best.uncertainty(deformation)
    tensors, content = _file.read_model(path)
    del content["uncertainty"]
    _file.write_model(path, tensors, content)
    assert Surrogate.load(path).uncertainties is None


def test_networks_know_none(crystal: Crystal, states: list[CellState]) -> None:
    network = Surrogate.train(crystal, states[:8], Recipe(epochs=1, field_widths=(4,), small_widths=(4,)))
    with pytest.raises(InputError, match='recipe "paper" knows no uncertainties'):
        network.uncertainty(Deformation.identity(crystal))


def test_what_was_never_wrong_is_certain() -> None:
    law = Uncertainty.fit(RNG.normal(size=(9, 1, 6)), np.ones(6), np.ones(6), {"e": (np.arange(9), np.zeros(9))}, 2)
    assert law(Deformation((1, 1, 1), (90, 90, 90))) == {"e": 0.0}
