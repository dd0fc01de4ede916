"""Fitting one network to one quantity: the paper's protocol (sec. 4.2), step for step what Keras does.

    loss = mean over batch and outputs of (y − N(z))²  +  l2 · Σ w²        w: kernels of the hidden layers

Adam; the samples are shuffled every epoch, and the last batch of an epoch may be smaller than the others. The penalty
is part of the loss (this is not AdamW). Inputs, and the outputs less the recipe's trend (in the paper: less their
mean), are standardised to zero mean and unit variance before.

Training runs in single precision: on a CPU it is 2 to 2.5 times as fast as double, and its rounding errors (1e-7 of an
output's standard deviation) lie far below what a network reaches. Predictions run in double (see ``jax_arrays``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]

from cellfields._typing import Array, FloatArray
from cellfields.surrogate.network import Network, Regressor
from cellfields.surrogate.recipe import Networks
from cellfields.surrogate.trend import fit_trend, monomials

KERAS_EPSILON = 1e-7  # of Adam; optax's own default is 1e-8
_REPORTS = 100  # how often progress is reported over a training
_ROUNDING = 1e-10  # what varies by less than this fraction of itself does not vary

Progress = Callable[[str, int, int], None]


def fit_regressor(
    quantity: str,
    deformations: FloatArray,
    outputs: FloatArray,
    widths: Sequence[int],
    recipe: Networks,
    on_progress: Progress | None = None,
) -> tuple[Regressor, float]:
    """Train the network of one quantity.

    Args:
        quantity: name of the quantity; with ``recipe.seed`` it decides the initial weights.
        deformations: (n, 6) D of the training states.
        outputs: (n, k) outputs at these states.
        widths: widths of the hidden layers.
        recipe: trend, seed and settings of the training.
        on_progress: called with (quantity, epochs done, epochs in all).

    Returns:
        The regressor, and its root-mean-square error over training states and outputs, in units of the standard
        deviation of each output.
    """
    input_mean = deformations.mean(axis=0)
    _, input_scale = spread(deformations - input_mean, deformations)
    z = (deformations - input_mean) * input_scale
    output_mean, trend = fit_trend(z, outputs, recipe.trend_degree)
    remainder = outputs - output_mean - monomials(z, recipe.trend_degree) @ trend
    output_std, inverse_std = spread(remainder, outputs)
    target = remainder * inverse_std

    rng = np.random.default_rng([recipe.seed, crc32(quantity.encode())])
    network = Network.initialise((z.shape[1], *widths, outputs.shape[1]), rng)
    report = None if on_progress is None else partial(on_progress, quantity)
    network = minimise(network, z.astype(np.float32), target.astype(np.float32), recipe, rng, report)
    error = float(np.sqrt(np.mean((network(z) - target) ** 2)))
    return Regressor(input_mean, input_scale, output_mean, output_std, trend, network), error


def spread(centred: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Standard deviation (k,) of ``centred`` (n, k), and its inverse; both 0 where it is rounding of ``values``."""
    std = np.sqrt(np.mean(centred**2, axis=0))
    varies = std > _ROUNDING * np.abs(values).max(axis=0)
    std = np.where(varies, std, 0.0)
    return std, np.divide(1.0, std, out=np.zeros_like(std), where=varies)


def minimise(
    network: Network,
    inputs: Array,
    targets: Array,
    recipe: Networks,
    rng: np.random.Generator,
    on_progress: Callable[[int, int], None] | None,
) -> Network:
    """Train a network on standardised inputs (n, n_in) and targets (n, n_out) in single precision; ``rng`` shuffles."""
    optimiser_state = _initial_state(network)
    chunk = -(-recipe.epochs // _REPORTS)
    for start in range(0, recipe.epochs, chunk):
        stop = min(start + chunk, recipe.epochs)
        # Always one whole chunk of shuffles, even if the last is not used up: one compilation for any number of epochs.
        orders = rng.permuted(np.tile(np.arange(len(inputs), dtype=np.int32), (chunk, 1)), axis=1)
        network, optimiser_state = _advance(
            network,
            optimiser_state,
            inputs,
            targets,
            orders,
            stop - start,
            batch_size=min(recipe.batch_size, len(inputs)),
            learning_rate=recipe.learning_rate,
            l2=recipe.l2,
        )
        network.kernels[0].block_until_ready()
        if on_progress is not None:
            on_progress(stop, recipe.epochs)
    trained: Network = jax.tree.map(np.asarray, network)
    return trained


@jax.jit
def _initial_state(network: Network) -> optax.OptState:
    return _adam(1.0).init(network)


def _adam(learning_rate: float) -> optax.GradientTransformation:
    return optax.adam(learning_rate, eps=KERAS_EPSILON)


def loss(network: Network, inputs: jax.Array, targets: jax.Array, weights: jax.Array, l2: float) -> jax.Array:
    """Mean square error over the samples of weight 1 (the others are padding) plus the penalty."""
    square = jnp.mean((network(inputs) - targets) ** 2, axis=1)
    return jnp.sum(weights * square) / jnp.sum(weights) + l2 * jnp.asarray(network.penalty())


@partial(jax.jit, static_argnames=("batch_size", "learning_rate", "l2"))
def _advance(
    network: Network,
    optimiser_state: optax.OptState,
    inputs: jax.Array,
    targets: jax.Array,
    orders: jax.Array,
    epochs: int,
    *,
    batch_size: int,
    learning_rate: float,
    l2: float,
) -> tuple[Network, optax.OptState]:
    """Train in the first ``epochs`` rows of ``orders`` (…, n), orders of the samples, in one compiled call."""
    optimiser = _adam(learning_rate)
    n = len(inputs)
    batches = -(-n // batch_size)
    padding = jnp.zeros(batches * batch_size - n, orders.dtype)
    weights = (jnp.arange(batches * batch_size) < n).astype(inputs.dtype).reshape(batches, batch_size)

    def step(carry: Any, batch: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
        network, optimiser_state = carry
        rows, weight = batch
        gradient = jax.grad(loss)(network, inputs[rows], targets[rows], weight, l2)
        updates, optimiser_state = optimiser.update(gradient, optimiser_state)
        return (optax.apply_updates(network, updates), optimiser_state), None

    def epoch(index: jax.Array, carry: Any) -> Any:
        rows = jnp.concatenate([orders[index], padding]).reshape(batches, batch_size)
        return jax.lax.scan(step, carry, (rows, weights))[0]

    result: tuple[Network, optax.OptState] = jax.lax.fori_loop(0, epochs, epoch, (network, optimiser_state))
    return result
