"""An ensemble of networks, for what polynomials cannot follow: the entropy density of a coarse k mesh.

    y = ȳ + σ_y ⊙ (1/M) Σ_m N_m(z)          N_m learns from all strains but a tenth, another one for each m

A state at the Fermi level counts only within the smearing width of it, so that with few k points the entropy jumps up
and down as bands pass: smooth on a scale that no polynomial of the whole domain resolves. A member's errors on the
tenth that it never saw are errors on strains left out: they say whether the ensemble is worth more than a polynomial,
and how far to trust it. (Four members that each leave out a quarter are worse than one that leaves out nothing.)

Widths and optimiser were chosen on the fields of magnesium at the paper's settings (docs/surrogate.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.surrogate.network import Network, Regressor
from cellfields.surrogate.recipe import Recipe
from cellfields.surrogate.training import minimise, spread

WIDTHS = (250, 250)
FOLDS = 10
FEWEST = 400  # states; fewer teach a network nothing that the mean does not know
_PROTOCOL = Recipe(epochs=1000, learning_rate=1e-3, l2=2e-4)


@dataclass(frozen=True, eq=False)
class EnsembleFit:
    """A fitted ensemble.

    Attributes:
        regressor: D to outputs.
        judged: (n,) which of the N strains some member did not learn from.
        left_out: (n, k) errors of that member there.
    """

    regressor: Regressor
    judged: IntArray
    left_out: FloatArray


def fit_ensemble(
    quantity: str,
    z: FloatArray,
    outputs: FloatArray,
    input_mean: FloatArray,
    input_scale: FloatArray,
    recipe: Recipe,
    on_progress: Callable[[int, int], None] | None = None,
) -> EnsembleFit:
    """Train ``recipe.members`` networks.

    Args:
        quantity: its name; with ``recipe.seed`` it decides the initial weights.
        z: (N, b, 6) standardised inputs: b images of each of N strains.
        outputs: (N, b, k).
        input_mean, input_scale: how z follows from D.
        recipe: number of members, ten at most, and the seed.
        on_progress: called with (members done, members in all).
    """
    strains, _, k = outputs.shape
    flat = outputs.reshape(-1, k)
    output_mean = flat.mean(axis=0)
    output_std, inverse_std = spread(flat - output_mean, flat)
    targets = (outputs - output_mean) * inverse_std
    fold = np.arange(strains) % FOLDS
    left_out = np.empty((strains, k))
    members = []
    for member in range(recipe.members):
        learned = fold != member
        rng = np.random.default_rng([recipe.seed, crc32(quantity.encode()), member])
        network = Network.initialise((z.shape[2], *WIDTHS, k), rng)
        inputs, wanted = (x[learned].reshape(-1, x.shape[2]).astype(np.float32) for x in (z, targets))
        members.append(minimise(network, inputs, wanted, _PROTOCOL, rng, None))
        unseen = z[~learned, 0]
        left_out[~learned] = outputs[~learned, 0] - (output_mean + output_std * members[-1](unseen))
        if on_progress is not None:
            on_progress(member + 1, recipe.members)
    network = Network.ensemble(members)
    regressor = Regressor(input_mean, input_scale, output_mean, output_std, np.zeros((0, k)), network)
    judged = np.flatnonzero(fold < recipe.members)
    return EnsembleFit(regressor, judged, left_out[judged])
