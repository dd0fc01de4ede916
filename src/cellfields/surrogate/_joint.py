"""All maps of a surrogate at one strain or many, in NumPy and double precision.

    y = ȳ + M(z) [T_ρ T_φ T_u T_s T_R T_F …]            polynomials of one z share their monomials: one product

Maps with a network are evaluated one by one. Results differ from separate evaluation by rounding only. Where F is one
of the polynomials, its derivatives are six more columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cellfields._typing import FloatArray
from cellfields.surrogate._slopes import derivative
from cellfields.surrogate.network import Network, Regressor
from cellfields.surrogate.trend import degrees, monomials

_AT_ONCE = 64  # strains whose monomials stay in the cache


@dataclass(frozen=True, eq=False)
class JointMaps:
    """The maps of a surrogate, with its polynomials joined so that they are evaluated together.

    Attributes:
        places: quantity of the joint polynomial → its columns.
        mean, scale: (6,) standardisation of its input.
        constant: (k,) ȳ.
        trend: (T, k) coefficients of the monomials of z.
        slopes: columns of ∂F/∂z, where F is one of these polynomials.
        others: the remaining maps, by quantity.
        order: all quantities, in the order of the results.
    """

    places: Mapping[str, slice]
    mean: FloatArray
    scale: FloatArray
    constant: FloatArray
    trend: FloatArray
    slopes: slice | None
    others: Mapping[str, Regressor]
    order: tuple[str, ...]

    @classmethod
    def of(cls, regressors: Mapping[str, Regressor]) -> JointMaps:
        """Join the polynomials with the input of the first one; regressors must hold NumPy arrays."""
        polynomials = {name: r for name, r in regressors.items() if r.network is None}
        first = next(iter(polynomials.values()), None)
        joined = {name: r for name, r in polynomials.items() if first is not None and _same_input(r, first)}
        places, at = {}, 0
        for name, regressor in joined.items():
            places[name] = slice(at, at + len(regressor.output_mean))
            at = places[name].stop
        constants = [r.output_mean for r in joined.values()]
        trends = [r.trend for r in joined.values()]
        slopes = None
        if "free_energy" in joined:
            trend = joined["free_energy"].trend
            constant, columns = derivative(trend[:, 0], degrees(6)[len(trend)])
            constants.append(constant)
            trends.append(columns)
            slopes = slice(at, at + 6)
        return cls(
            places=places,
            mean=np.zeros(6) if first is None else first.input_mean,
            scale=np.zeros(6) if first is None else first.input_scale,
            constant=np.concatenate(constants) if constants else np.zeros(0),
            trend=np.concatenate(trends, axis=1) if trends else np.zeros((0, 0)),
            slopes=slopes,
            others={name: _double(r) for name, r in regressors.items() if name not in joined},
            order=tuple(regressors),
        )

    def __call__(self, deformations: FloatArray) -> dict[str, FloatArray]:
        """Quantity → outputs (…, k) at D (…, 6)."""
        return self.with_slopes(deformations)[0]

    def with_slopes(self, deformations: FloatArray) -> tuple[dict[str, FloatArray], FloatArray | None]:
        """Quantity → outputs (…, k) at D (…, 6), and ∂F/∂D (…, 6), Hartree, where F is a polynomial (else None)."""
        outputs = {name: np.asarray(regressor(deformations)) for name, regressor in self.others.items()}
        slopes = None
        if self.places:
            values = self._polynomials(deformations)
            outputs |= {name: values[..., place] for name, place in self.places.items()}
            slopes = None if self.slopes is None else values[..., self.slopes] * self.scale
        return {name: outputs[name] for name in self.order}, slopes

    def _polynomials(self, deformations: FloatArray) -> FloatArray:
        z = (deformations - self.mean) * self.scale
        degree = degrees(6)[len(self.trend)]
        if z.ndim == 1:
            return np.asarray(self.constant + monomials(z, degree) @ self.trend)
        rows = z.reshape(-1, 6)
        values = np.empty((len(rows), len(self.constant)))
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            values[part] = self.constant + monomials(rows[part], degree) @ self.trend
        return values.reshape(*z.shape[:-1], len(self.constant))


def _double(regressor: Regressor) -> Regressor:
    """The regressor with kernels in double precision, so that NumPy need not convert them at every call."""
    if regressor.network is None:
        return regressor
    kernels, biases = regressor.network.kernels, regressor.network.biases
    network = Network(tuple(k.astype(np.float64) for k in kernels), tuple(b.astype(np.float64) for b in biases))
    return replace(regressor, network=network)


def _same_input(first: Regressor, second: Regressor) -> bool:
    return (
        first.trend.shape[0] == second.trend.shape[0]
        and np.array_equal(first.input_mean, second.input_mean)
        and np.array_equal(first.input_scale, second.input_scale)
    )
