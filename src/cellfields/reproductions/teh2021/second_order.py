"""Continues the training of the paper's networks with L-BFGS, to measure how much of their error it removes.

min_w  mean (y − N_w(z))² + l2 Σ w²        the loss of the first training, over all samples, in double precision
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from cellfields._typing import FloatArray
from cellfields.state import CellState
from cellfields.surrogate import Networks, Surrogate
from cellfields.surrogate.jax_arrays import double_precision
from cellfields.surrogate.network import Regressor
from cellfields.surrogate.training import loss


def refine(
    surrogate: Surrogate,
    states: Sequence[CellState],
    steps: int,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Surrogate, float]:
    """Continue the training of a surrogate's networks.

    Args:
        surrogate: a trained surrogate.
        states: the states that it was trained on, with their images.
        steps: largest number of L-BFGS steps for each network.
        on_progress: called with a quantity, the number of networks done, and the number of networks.

    Returns:
        The surrogate with refined networks, and the wall time in seconds. A surrogate of polynomials has no networks
        and is returned unchanged.
    """
    if not isinstance(surrogate.recipe, Networks):
        return surrogate, 0.0
    started = time.perf_counter()
    deformations = np.array([state.deformation.as_array() for state in states])
    regressors: dict[str, Regressor] = {}
    encoded = surrogate.encoding.encode(states)
    for done, (name, (rows, outputs)) in enumerate(encoded.items(), start=1):
        regressors[name] = _refined(surrogate.regressors[name], deformations[rows], outputs, surrogate.recipe.l2, steps)
        if on_progress is not None:
            on_progress(name, done, len(encoded))
    return replace(surrogate, regressors=regressors), time.perf_counter() - started


def _refined(regressor: Regressor, deformations: FloatArray, outputs: FloatArray, l2: float, steps: int) -> Regressor:
    if regressor.network is None:
        return regressor
    z = (deformations - regressor.input_mean) * regressor.input_scale
    without = eqx.tree_at(lambda r: r.output_scale, regressor, np.zeros_like(regressor.output_scale))
    scale = np.where(regressor.output_scale > 0, regressor.output_scale, np.inf)
    targets = (outputs - without(deformations)) / scale
    with double_precision():
        start, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), regressor.network))
        inputs, wanted, weights = jnp.asarray(z), jnp.asarray(targets), jnp.ones(len(z))
        slope = jax.jit(jax.value_and_grad(lambda flat: loss(unravel(flat), inputs, wanted, weights, l2)))

        def value_and_slope(flat: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = slope(flat)
            return float(value), np.asarray(gradient, dtype=float)

        options: Any = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 20, "gtol": 1e-12, "ftol": 0.0}
        minimum = minimize(value_and_slope, np.asarray(start), jac=True, method="L-BFGS-B", options=options)
        network = jax.tree.map(np.asarray, unravel(jnp.asarray(minimum.x)))
    refined: Regressor = eqx.tree_at(lambda r: r.network, regressor, network)
    return refined
