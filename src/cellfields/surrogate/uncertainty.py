"""Uncertainty of predictions of "best": errors on strains left out, which grow with the distance from the others.

    v(D) = φ(z)ᵀ (AᵀA + λ)⁻¹ φ(z)          posterior variance of a polynomial of degree 4, in units of its noise
    σ_q(D) = a_q v(D)^{c_q} ,  c_q ≥ 0      chosen so that 68.3 % of left-out errors lie below σ, 95.4 % below 2σ

A holds the training strains with their images. One v serves all quantities: it separates the middle of the training
strains from their rim, which matters more than the quantity. Exponent and factor of each quantity are fitted to errors
that the closed form gives for every strain, predicted from the others; no second model is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.surrogate.polynomial import leverage
from cellfields.surrogate.state_encoding import StateEncoding, field_vectors
from cellfields.surrogate.trend import degrees, monomials

_DEGREE, _LENGTH, _RIDGE = 4, 4.5, 1e-4
_COVERED = {1: 0.683, 2: 0.954}  # of a normal distribution; errors have longer tails, and the larger factor is used
_STEEPEST = 2.0  # an exponent fitted to a narrow range of v must not explode far outside it
_FLOOR = 0.01  # of the median error; smaller errors are raised to it, because their logarithms are accidental


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations σ_q(D) of predictions.

    Attributes:
        input_mean: (6,) D̄ of z.
        input_scale: (6,) 1/σ_D.
        root: (T + 1, T + 1) R with v = |φ R|².
        factor: quantity → a, in the unit of the errors.
        exponent: quantity → c, not negative.
    """

    input_mean: FloatArray
    input_scale: FloatArray
    root: FloatArray
    factor: Mapping[str, float]
    exponent: Mapping[str, float]

    def __post_init__(self) -> None:
        shapes = [np.shape(x) for x in (self.input_mean, self.input_scale)]
        if shapes != [(6,), (6,)] or self.root.shape != (len(self.root),) * 2 or len(self.root) - 1 not in degrees(6):
            raise InputError(f"an uncertainty of shapes {shapes} and {self.root.shape} does not fit together")
        if self.factor.keys() != self.exponent.keys():
            raise InputError("an uncertainty needs a factor and an exponent for the same quantities")

    @classmethod
    def fit(
        cls,
        z: FloatArray,
        input_mean: FloatArray,
        input_scale: FloatArray,
        errors: Mapping[str, tuple[IntArray, FloatArray]],
        degree: int,
    ) -> Uncertainty:
        """Fit the factors and exponents to the errors at left-out strains.

        Args:
            z: (N, b, 6) standardised strains, b images of each.
            input_mean, input_scale: (6,) each: how z follows from D.
            errors: quantity → indices (n,) of strains that know it, and its errors there (n,), not negative.
            degree: highest degree of the polynomials that the errors are of; that of v is no higher.
        """
        root, distance = leverage(z, degree=min(_DEGREE, degree), length=_LENGTH, ridge=_RIDGE)
        laws = {name: _law(distance[rows], values) for name, (rows, values) in errors.items()}
        factor, exponent = ({name: law[i] for name, law in laws.items()} for i in (0, 1))
        return cls(input_mean, input_scale, root, factor, exponent)

    def __call__(self, deformation: Deformation) -> dict[str, float]:
        """Quantity → standard deviation at D, in the unit of its errors."""
        z = (deformation.as_array() - self.input_mean) * self.input_scale
        row = np.concatenate([np.ones(1), monomials(z, degrees(6)[len(self.root) - 1])]) @ self.root
        distance = float(row @ row)
        return {name: a * distance ** self.exponent[name] for name, a in self.factor.items()}


def _law(distance: FloatArray, errors: FloatArray) -> tuple[float, float]:
    """Factor a and exponent c of σ = a v^c, from v (n,) and errors (n,)."""
    if not errors.any():
        return 0.0, 0.0
    x = np.log(distance)
    y = np.log(np.maximum(errors, _FLOOR * np.median(errors) + np.finfo(float).tiny))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float((x - x.mean()) @ (y - y.mean())) / spread if spread > 0 else 0.0
    exponent = min(max(slope, 0.0), _STEEPEST)
    scaled = errors / distance**exponent
    return max(float(np.quantile(scaled, share)) / k for k, share in _COVERED.items()), exponent


def left_out_errors(
    encoding: StateEncoding,
    states: Sequence[CellState],
    encoded: Mapping[str, tuple[IntArray, FloatArray]],
    residuals: Mapping[str, FloatArray],
) -> dict[str, tuple[IntArray, FloatArray]]:
    """Left-out residuals of outputs converted to the error measures of :mod:`cellfields.evaluation.evaluate`.

    Args:
        encoding: the encoding of the outputs.
        states: N training states, without their images.
        encoded: quantity → indices (n,) of states that know it, and its outputs there (n, k).
        residuals: quantity → true minus predicted outputs (n, k) there, each predicted by a fit to other strains.

    Returns:
        Quantity → indices (n,) of states, and errors (n,): energies in Hartree, ``position`` in Bohr, and
        ``<field>.relative_l2``, which includes what the modes leave out.
    """
    integrals = {field: (energy, factor) for energy, (field, factor) in encoding.integrals.items()}
    errors: dict[str, tuple[IntArray, FloatArray]] = {}
    for name, (rows, outputs) in encoded.items():
        residual = residuals[name]
        if name in encoding.reductions:
            vectors = field_vectors([states[row] for row in rows], name)
            square = encoding.reductions[name].lost(vectors) ** 2 + (residual**2).sum(axis=1)
            errors[f"{name}.relative_l2"] = rows, np.sqrt(square) / np.linalg.norm(vectors, axis=1)
            energy, factor = integrals.get(name, ("", 0.0))
            if energy and all(states[row].knows(energy) for row in rows):
                predicted = factor * encoding.reductions[name].cell_mean(outputs - residual)
                true = np.array([getattr(states[row], energy) for row in rows], dtype=float)
                errors[energy] = rows, np.abs(predicted - true)
        elif name == "internal":
            lattices = np.array([states[row].lattice for row in rows])
            moved = np.einsum("nax,nxy->nay", residual.reshape(len(rows), -1, 3), lattices)
            errors["position"] = rows, np.sqrt((moved**2).sum(axis=2).mean(axis=1))
        else:
            errors[name] = rows, np.abs(residual[:, 0])
    return errors
