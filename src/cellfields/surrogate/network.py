"""Fully connected tanh networks between standardised numbers (paper, sec. 4.2 and Appendix B).

    h⁰ = (D − D̄)/σ_D ,   hᵏ = tanh(Wᵏᵀ hᵏ⁻¹ + bᵏ) ,   y = ȳ + σ_y ⊙ (Wᵀ h + b)    [ + polynomial trend in h⁰ ]

Kernels start Glorot-uniform and biases at zero, as in Keras, which the authors used. The paper has no trend. Kernels
with a third axis in front are those of an ensemble, N(z) = (1/M) Σ_m N_m(z).
Leaves may be NumPy or JAX arrays: one formula predicts with the former and is differentiated with the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import equinox as eqx
import numpy as np

from cellfields.crystal.kinematics import array_namespace
from cellfields.errors import InputError
from cellfields.surrogate.trend import degrees, monomials


class Network(eqx.Module):
    """A network or an ensemble N(z), with tanh after every layer but the last.

    Attributes:
        kernels: one (n_in, n_out) for each layer; of an ensemble (M, n_in, n_out) for its M members, or (1, n_in,
            n_out) where they share it.
        biases: one (n_out,) for each layer; of an ensemble (M, n_out), or (1, n_out) where they share it.
    """

    kernels: tuple[Any, ...]
    biases: tuple[Any, ...]

    def __check_init__(self) -> None:
        sizes = [np.shape(kernel) for kernel in self.kernels]
        after = [np.shape(bias) for bias in self.biases]
        leading = {shape[:-2] for shape in sizes} | {shape[:-1] for shape in after}
        counts = {axes[0] for axes in leading if len(axes) == 1}
        members = leading == {()} or (len(counts) == len(leading) and len(counts - {1}) <= 1)
        chained = all(len(shape) >= 2 for shape in sizes) and all(a[-1] == b[-2] for a, b in pairwise(sizes))
        if not (sizes and members and chained and [b[-1:] for b in after] == [shape[-1:] for shape in sizes]):
            raise InputError(f"layers of a network do not fit together: kernels of shapes {sizes}")

    @classmethod
    def initialise(cls, sizes: Sequence[int], rng: np.random.Generator) -> Network:
        """Random network of sizes (n_in, hidden …, n_out), in single precision."""
        shapes = list(pairwise(sizes))
        limits = [np.sqrt(6 / (n_in + n_out)) for n_in, n_out in shapes]  # Glorot and Bengio 2010
        kernels = (rng.uniform(-limit, limit, shape) for limit, shape in zip(limits, shapes, strict=True))
        return cls(
            tuple(kernel.astype(np.float32) for kernel in kernels),
            tuple(np.zeros(n_out, np.float32) for _, n_out in shapes),
        )

    @classmethod
    def ensemble(cls, members: Sequence[Network]) -> Network:
        """The mean of networks of equal widths, as one network."""
        kernels, biases = (zip(*(getattr(m, part) for m in members), strict=True) for part in ("kernels", "biases"))
        return cls(tuple(_stacked(layer) for layer in kernels), tuple(_stacked(layer) for layer in biases))

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of inputs n_in and of outputs n_out."""
        return np.shape(self.kernels[0])[-2], np.shape(self.kernels[-1])[-1]

    def __call__(self, inputs: Any) -> Any:
        """Outputs (…, n_out) at inputs (…, n_in), both standardised."""
        xp = array_namespace(inputs)
        if np.ndim(self.kernels[0]) == 3:
            hidden = inputs.reshape(-1, inputs.shape[-1])
            for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
                hidden = xp.tanh(hidden @ kernel + bias[:, None])
            mean = (hidden @ self.kernels[-1] + self.biases[-1][:, None]).mean(axis=0)
            return mean.reshape(*inputs.shape[:-1], -1)
        hidden = inputs
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            hidden = xp.tanh(hidden @ kernel + bias)
        return hidden @ self.kernels[-1] + self.biases[-1]

    def penalty(self) -> Any:
        """Σw² over the kernels of the hidden layers, without biases and without the output layer."""
        return sum((kernel**2).sum() for kernel in self.kernels[:-1])


def _stacked(layer: Sequence[Any]) -> Any:
    """The arrays of all members in one layer, stacked (M, …), or (1, …) where they are equal."""
    return np.stack(layer[:1] if all(np.array_equal(part, layer[0]) for part in layer) else layer)


class Regressor(eqx.Module):
    """D → one quantity, in the quantity's own units: a network between two standardisations, on a polynomial trend.

    Attributes:
        input_mean: (6,) D̄.
        input_scale: (6,) 1/σ_D; 0 for a component that did not vary in training, which is then ignored.
        output_mean: (k,) ȳ, or the constant of the trend.
        output_scale: (k,) σ_y; 0 for an output that did not vary, which is then predicted without the network.
        trend: (T, k) coefficients of ``monomials(z, degree)``: T is 0 (none, the paper), 6 (linear), 27 (quadratic) …
        network: 6 → k, or None: the polynomial alone.
    """

    input_mean: Any
    input_scale: Any
    output_mean: Any
    output_scale: Any
    trend: Any
    network: Network | None

    def __check_init__(self) -> None:
        d, k = np.shape(self.input_mean)[0], np.shape(self.output_mean)[0]
        if self.network is not None:
            d, k = self.network.sizes
        shapes = [np.shape(x) for x in (self.input_mean, self.input_scale, self.output_mean, self.output_scale)]
        terms = np.shape(self.trend)[0] if np.ndim(self.trend) == 2 else -1
        if shapes != [(d,), (d,), (k,), (k,)] or np.shape(self.trend) != (terms, k) or terms not in degrees(d):
            raise InputError(f"standardisation {shapes} and trend of {terms} terms do not fit a network {d} → {k}")

    def __call__(self, deformation: Any) -> Any:
        """Outputs (…, k), in the quantity's unit, at D (…, 6) in (λ, λ, λ, degrees, degrees, degrees)."""
        z = (deformation - self.input_mean) * self.input_scale
        outputs = self.output_mean
        if self.network is not None:
            outputs = outputs + self.output_scale * self.network(z)
        degree = degrees(z.shape[-1])[self.trend.shape[0]]
        return outputs + monomials(z, degree) @ self.trend
