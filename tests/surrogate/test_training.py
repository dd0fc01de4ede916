"""The optimiser does, step for step, what the paper's Keras does; nothing varies that should not."""

from __future__ import annotations

from zlib import crc32

import jax
import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.surrogate import Recipe
from cellfields.surrogate.network import Network
from cellfields.surrogate.training import fit_regressor

RNG = np.random.default_rng(0)
D = np.array([1, 1, 1, 90, 90, 90]) + RNG.normal(size=(23, 6)) * [0.05, 0.05, 0.05, 3, 3, 3]
Y = np.c_[np.sin(20 * D[:, 0]), D[:, 3] * D[:, 1], D[:, 2] ** 2]


def keras(recipe: Recipe, quantity: str, z: np.ndarray, y: np.ndarray) -> Network:
    """Adam with an l2 kernel regulariser in plain NumPy, gradients by hand, from the same weights and shuffles."""
    rng = np.random.default_rng([recipe.seed, crc32(quantity.encode())])
    start = Network.initialise((z.shape[1], *recipe.small_widths, y.shape[1]), rng)
    w = [np.array(kernel, dtype=float) for kernel in start.kernels]
    b = [np.array(bias, dtype=float) for bias in start.biases]
    parameters = [*w, *b]
    first, second = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    step = 0
    for _ in range(recipe.epochs):
        order = rng.permuted(np.arange(len(z), dtype=np.int32)[None], axis=1)[0]
        for rows in np.split(order, range(recipe.batch_size, len(z), recipe.batch_size)):
            hidden = [z[rows]]
            for kernel, bias in zip(w[:-1], b[:-1], strict=True):
                hidden.append(np.tanh(hidden[-1] @ kernel + bias))
            delta = 2 * (hidden[-1] @ w[-1] + b[-1] - y[rows]) / (len(rows) * y.shape[1])
            gw, gb = [None] * len(w), [None] * len(b)
            for layer in reversed(range(len(w))):
                gw[layer], gb[layer] = hidden[layer].T @ delta, delta.sum(axis=0)
                if layer < len(w) - 1:
                    gw[layer] = gw[layer] + 2 * recipe.l2 * w[layer]
                delta = (delta @ w[layer].T) * (1 - hidden[layer] ** 2)
            step += 1
            for p, g, m, v in zip(parameters, [*gw, *gb], first, second, strict=True):
                m += 0.1 * (g - m)
                v += 0.001 * (g**2 - v)
                p -= recipe.learning_rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-7)
    return Network(tuple(w), tuple(b))


@pytest.mark.parametrize("batch_size", [10, 23, 128])  # 10: two whole batches and one of three
def test_training_is_adam_on_the_papers_loss(batch_size):
    recipe = Recipe(small_widths=(8, 5), epochs=30, batch_size=batch_size, l2=1e-2, learning_rate=1e-2)
    model, error = fit_regressor("free_energy", D, Y, recipe.small_widths, recipe)
    z, y = (D - D.mean(axis=0)) / D.std(axis=0), (Y - Y.mean(axis=0)) / Y.std(axis=0)
    expected = keras(recipe, "free_energy", z, y)
    for ours, theirs in zip(jax.tree.leaves(model.network), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert error == pytest.approx(np.sqrt(np.mean((expected(z) - y) ** 2)), rel=1e-4)
    np.testing.assert_allclose(model(D), Y.mean(axis=0) + Y.std(axis=0) * model.network(z), rtol=1e-10)


def test_same_seed_same_network_other_seed_other_network():
    recipe = Recipe(small_widths=(8,), epochs=5)
    one, two, other = (
        fit_regressor("internal", D, Y, (8,), r)[0](D) for r in (recipe, recipe, recipe.model_copy(update={"seed": 1}))
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("name", ["paper", "taylor"])
def test_constant_outputs_are_predicted_exactly_and_constant_inputs_are_ignored(name):
    d = D.copy()
    d[:, 4] = 90.0
    y = np.c_[Y[:, 0], np.full(len(Y), 8.0)]
    model, error = fit_regressor("density", d, y, (8,), Recipe(name=name, epochs=5))
    assert np.isfinite(error) and np.isfinite(model(d)).all()
    np.testing.assert_allclose(model(D)[:, 1], 8.0, rtol=1e-14)
    np.testing.assert_array_equal(model(D)[:, 0], model(d)[:, 0])


@pytest.mark.parametrize("epochs", [1, 7, 100, 101, 250])
def test_progress_counts_up_to_the_epochs(epochs):
    seen = []
    fit_regressor("u", D, Y, (4,), Recipe(epochs=epochs), lambda *event: seen.append(event))
    assert seen[-1] == ("u", epochs, epochs)
    assert {event[2] for event in seen} == {epochs}
    assert np.all(np.diff([event[1] for event in seen]) > 0)
    assert len(seen) <= 100


def test_the_trend_takes_what_is_quadratic_and_leaves_the_network_the_rest():
    d = np.array([1, 1, 1, 90, 90, 90]) + np.random.default_rng(1).normal(size=(60, 6)) * 0.01
    z = (d - d.mean(axis=0)) / d.std(axis=0)
    y = (z[:, :1] * z[:, 1:2] + 3 * z[:, 2:3]) * [1.0, 2.0] + 5
    model, _ = fit_regressor("free_energy", d, y, (8,), Recipe(name="taylor", epochs=3))
    np.testing.assert_allclose(model(d), y, rtol=1e-9)
    assert (model.output_scale == 0).all()  # nothing but rounding errors was left


@pytest.mark.parametrize(
    "wrong",
    [{"name": "small"}, {"modes": 0}, {"epochs": 0}, {"learning_rate": 0}, {"l2": -1}, {"batch_size": 0},
     {"field_widths": ()}, {"small_widths": (0,)}, {"seed": -1}, {"momentum": 0.9}],
)  # fmt: skip
def test_recipes_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=rf"^(unknown key )?{next(iter(wrong))}\b"):
        Recipe(**wrong)


def test_the_default_recipe_is_the_papers():
    recipe = Recipe()
    assert (recipe.name, recipe.modes, recipe.field_widths, recipe.small_widths) == (
        "paper",
        50,
        (500, 500),
        (50, 100, 50),
    )
    assert (recipe.learning_rate, recipe.l2, recipe.batch_size, recipe.epochs) == (1e-3, 1e-4, 128, 4000)
    assert recipe.trend_degree == 0
