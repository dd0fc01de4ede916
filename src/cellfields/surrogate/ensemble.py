"""Networks as symmetric as the crystal, for what polynomials cannot follow: the entropy density of a coarse k mesh.

    y = ȳ + 1/(M |G|) Σ_m Σ_g R_g⁻¹ [σ_y ⊙ N_m(P_g z)]          N_m learns from nine tenths of the strains

A state at the Fermi level counts only within the smearing width of it, so that with few k points the entropy jumps up
and down as bands pass: smooth on a scale that no polynomial of the whole domain resolves. A network that has learned
from all images of a strain (z → P_g z, y → R_g y) is not symmetric yet, and its errors at the images differ: the mean
over the images has smaller ones, by as much as a mean of several networks, and needs no further training. Each image is
a network with kernels P_g W and W R_g⁻¹, so that M |G| of them are evaluated side by side.

A member's errors on the tenth that it did not learn from are errors on strains left out: they decide between networks
and a polynomial, and give the uncertainty of the prediction. Widths, epochs and penalty were chosen on the entropy
of magnesium at the paper's settings (docs/surrogate.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.surrogate.network import Network, Regressor
from cellfields.surrogate.recipe import PaperNetworks, Polynomials
from cellfields.surrogate.training import minimise, spread

WIDTHS = (250, 250)
FOLDS = 10
FEWEST = 400  # states; trained on fewer, a network predicts no better than the mean
_PROTOCOL = (  # two trainings, one after the other
    PaperNetworks(epochs=2000, learning_rate=1e-3, l2=1e-4),
    PaperNetworks(epochs=200, learning_rate=2e-4, l2=1e-4),
)
_EXACT = 1e-6  # largest relative error of outputs that follow a symmetry; modes cut within a multiplet do not follow it


@dataclass(frozen=True, eq=False)
class EnsembleFit:
    """An ensemble of fitted networks, and their errors on strains left out.

    Attributes:
        regressor: map from D to outputs.
        judged: (n,) indices of those of the N strains that one member did not learn from.
        left_out: (n, k) true minus predicted outputs of that member at these strains.
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
    recipe: Polynomials,
    on_progress: Callable[[int, int], None] | None = None,
) -> EnsembleFit:
    """Train ``recipe.members`` networks, and join them with their images under the crystal's symmetry.

    Args:
        quantity: name of the quantity; with ``recipe.seed`` it decides the initial weights.
        z: (N, b, 6) standardised inputs: b images of each of N strains, the strain itself first.
        outputs: (N, b, k) outputs at z, in the quantity's unit.
        input_mean, input_scale: (6,) each: how z follows from D.
        recipe: number of members, ten at most, and the seed.
        on_progress: called with (members done, members in all).
    """
    strains, _, k = outputs.shape
    flat = outputs.reshape(-1, k)
    output_mean = flat.mean(axis=0)
    output_std, inverse_std = spread(flat - output_mean, flat)
    targets = (outputs - output_mean) * inverse_std
    symmetries = _symmetries(z, targets)
    fold = np.arange(strains) % FOLDS
    left_out = np.empty((strains, k))
    networks: list[Network] = []
    for member in range(recipe.members):
        learned = fold != member
        rng = np.random.default_rng([recipe.seed, crc32(quantity.encode()), member])
        network = Network.initialise((z.shape[2], *WIDTHS, k), rng)
        inputs, sample_targets = (x[learned].reshape(-1, x.shape[2]).astype(np.float32) for x in (z, targets))
        for protocol in _PROTOCOL:
            network = minimise(network, inputs, sample_targets, protocol, rng, None)
        images = [_at_image(network, *symmetry) for symmetry in symmetries]
        predicted = output_mean + output_std * Network.ensemble(images)(z[~learned, 0])
        left_out[~learned] = outputs[~learned, 0] - predicted
        networks += images
        if on_progress is not None:
            on_progress(member + 1, recipe.members)
    network = Network.ensemble(networks)
    regressor = Regressor(input_mean, input_scale, output_mean, output_std, np.zeros((0, k)), network)
    judged = np.flatnonzero(fold < recipe.members)
    return EnsembleFit(regressor, judged, left_out[judged])


def _symmetries(z: FloatArray, targets: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """(P_g, R_g⁻¹) of each image g, as they act on rows; the identity alone where the outputs do not follow them."""
    symmetries = []
    identity = [(np.eye(z.shape[2]), np.eye(targets.shape[2]))]
    if len(z) < 2 * targets.shape[2]:  # too few strains to tell a symmetry from a coincidence
        return identity
    for image in range(z.shape[1]):
        to_image, error_in = _linear(z[:, 0], z[:, image])
        from_image, error_out = _linear(targets[:, image], targets[:, 0])
        if max(error_in, error_out) > _EXACT:
            return identity
        symmetries.append((to_image, from_image))
    return symmetries


def _linear(x: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Matrix A with x A = y by least squares, and its relative error ‖x A − y‖ / ‖y‖."""
    matrix: FloatArray = np.linalg.lstsq(x, y, rcond=None)[0].astype(np.float64)
    norm = float(np.linalg.norm(y))
    return matrix, float(np.linalg.norm(x @ matrix - y)) / norm if norm else 0.0


def _at_image(network: Network, to_image: FloatArray, from_image: FloatArray) -> Network:
    """The map z → N(P_g z) R_g⁻¹ as a network, with P_g ``to_image`` and R_g⁻¹ ``from_image``."""
    kernels, biases = list(network.kernels), list(network.biases)
    kernels[0] = (to_image @ kernels[0]).astype(np.float32)
    kernels[-1] = (kernels[-1] @ from_image).astype(np.float32)
    biases[-1] = (biases[-1] @ from_image).astype(np.float32)
    return Network(tuple(kernels), tuple(biases))
