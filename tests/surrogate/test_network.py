"""Networks: initial weights, shapes, and the derivative of Appendix B."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cellfields.errors import InputError
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.surrogate.network import Network, Regressor


def regressor(sizes: tuple[int, ...] = (6, 7, 9, 5, 1), terms: int = 0) -> Regressor:
    rng = np.random.default_rng(0)
    network = Network.initialise(sizes, rng)
    biases = tuple(rng.normal(size=bias.shape) for bias in network.biases)
    kernels = tuple(kernel.astype(float) for kernel in network.kernels)
    k = sizes[-1]
    return Regressor(
        rng.normal(size=6), rng.uniform(0.5, 2, 6), rng.normal(size=k), rng.uniform(0.5, 2, k),
        rng.normal(size=(terms, k)), Network(kernels, biases),
    )  # fmt: skip


def test_initial_weights_are_glorot_uniform_and_biases_zero():
    network = Network.initialise((6, 400, 300, 50), np.random.default_rng(0))
    for kernel, (n_in, n_out) in zip(network.kernels, [(6, 400), (400, 300), (300, 50)], strict=True):
        limit = np.sqrt(6 / (n_in + n_out))
        assert kernel.shape == (n_in, n_out) and kernel.dtype == np.float32
        assert 0.99 * limit < np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert all((bias == 0).all() for bias in network.biases)


def test_penalty_counts_hidden_kernels_only():
    network = Network((np.full((6, 2), 2.0), np.full((2, 3), 3.0), np.full((3, 1), 100.0)),
                      (np.full(2, 50.0), np.full(3, 60.0), np.full(1, 70.0)))  # fmt: skip
    assert network.penalty() == 12 * 4 + 6 * 9


@pytest.mark.parametrize("terms", [0, 6, 27])
def test_numpy_and_jax_give_the_same_numbers_for_one_and_for_many(terms):
    model, rows = regressor(terms=terms), np.random.default_rng(1).normal(size=(4, 6))
    with double_precision():
        traced = np.asarray(jax.jit(lambda x: model(x))(jnp.asarray(rows)))
    np.testing.assert_allclose(model(rows), traced, rtol=1e-13)
    np.testing.assert_allclose(model(rows)[2], model(rows[2]), rtol=1e-13)


def test_derivative_is_the_backpropagation_of_appendix_b():
    model, d = regressor(), np.random.default_rng(2).normal(size=6)
    kernels, biases = model.network.kernels, model.network.biases
    hidden = [(d - model.input_mean) * model.input_scale]
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        hidden.append(np.tanh(kernel.T @ hidden[-1] + bias))
    gradient = model.output_scale[0] * kernels[-1][:, 0]
    for kernel, after in zip(kernels[-2::-1], hidden[:0:-1], strict=True):
        gradient = kernel @ (gradient * (1 - after**2))
    gradient = gradient * model.input_scale
    with double_precision():
        by_jax = jax.grad(lambda x: model(x)[0])(jnp.asarray(d))
    np.testing.assert_allclose(by_jax, gradient, rtol=1e-12)


def test_parts_that_do_not_fit_are_refused():
    good = regressor()
    with pytest.raises(InputError, match="do not fit together"):
        Network((np.zeros((6, 3)), np.zeros((4, 1))), (np.zeros(3), np.zeros(1)))
    with pytest.raises(InputError, match="do not fit together"):
        Network((np.zeros((6, 3)),), (np.zeros(4),))
    for part, value in {"input_mean": np.zeros(5), "output_scale": np.zeros(2), "trend": np.zeros((4, 1))}.items():
        parts = {name: getattr(good, name) for name in Regressor.__dataclass_fields__} | {part: value}
        with pytest.raises(InputError, match="do not fit a network"):
            Regressor(**parts)


def test_double_precision_ends_with_its_block():
    before = jnp.ones(1).dtype
    with double_precision():
        assert jnp.ones(1).dtype == jnp.float64
    assert jnp.ones(1).dtype == before
