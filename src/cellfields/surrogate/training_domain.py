"""The strains that a surrogate was trained on, where its predictions are no extrapolation.

    inside:   min_n D_n ≤ D ≤ max_n D_n  for each component,  and  |W (D − D̄)| ≤ 1.1 max_n |W (D_n − D̄)|

The box alone keeps corners that no training strain comes near; the Mahalanobis distance (W: inverse root of the
covariance) cuts them. 1.1 allows for the mean and covariance having been fitted to the very strains they are compared
with. A component that did not vary in training must keep its value.

What happens outside is the user's choice: ``outside = "flag"`` marks the state alone, ``"warn"`` (the default) gives
a Python warning too, ``"raise"`` raises an error.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.errors import InputError, OutsideDomainError

Outside = Literal["flag", "warn", "raise"]
_MARGIN = 1.1
_ROUNDING = 1e-9


class OutsideDomainWarning(UserWarning):
    """A prediction is an extrapolation."""


def check_choice(outside: str) -> None:
    """Check that ``outside`` is one of :data:`Outside`.

    Raises:
        InputError: it is not; the message names the choices.
    """
    if outside not in get_args(Outside):
        raise InputError(f"outside = {outside!r} must be one of {', '.join(get_args(Outside))}")


def report_outside(outside: Outside, deformations: FloatArray) -> None:
    """Warn of or refuse strains (n, 6) that lie outside a training domain; with ``"flag"`` or n = 0 do nothing.

    Raises:
        OutsideDomainError: ``outside`` is ``"raise"``, and n is not 0.
    """
    if outside == "flag" or not len(deformations):
        return
    explanation = "outside the strains that the model was trained on; the prediction is an extrapolation"
    if outside == "raise":
        values = ", ".join(f"{x:g}" for x in deformations[0])
        raise OutsideDomainError(f"D = ({values}) lies {explanation}")
    # One text for all strains: Python shows it once for each place in the code, not for each strain.
    warnings.warn(f"a deformation lies {explanation}", OutsideDomainWarning, stacklevel=3)


@dataclass(frozen=True, eq=False)
class TrainingDomain:
    """Box and ellipsoid around the training strains.

    Attributes:
        lower: (6,) smallest training values.
        upper: (6,) largest training values.
        mean: (6,) mean D̄ of the training strains.
        whitening: (6, 6) W, inverse root of their covariance.
        reach: largest distance |W (D − D̄)| that is inside.
    """

    lower: FloatArray
    upper: FloatArray
    mean: FloatArray
    whitening: FloatArray
    reach: float

    def __post_init__(self) -> None:
        if [x.shape for x in (self.lower, self.upper, self.mean, self.whitening)] != [(6,), (6,), (6,), (6, 6)]:
            raise InputError("a training domain needs lower, upper and mean of 6 numbers and a 6 × 6 whitening")

    @classmethod
    def fit(cls, deformations: FloatArray) -> TrainingDomain:
        """Make the domain of training strains (n, 6)."""
        mean = deformations.mean(axis=0)
        centred = deformations - mean
        std = centred.std(axis=0)
        scale = np.where(std > 0, std, 1.0)
        # The small ridge makes directions that the training strains do not span count as far away, not as free.
        variances, axes = np.linalg.eigh(np.cov((centred / scale).T, bias=True) + 1e-8 * np.eye(6))
        whitening = (axes / np.sqrt(variances)).T / scale
        reach = _MARGIN * float(np.linalg.norm(centred @ whitening.T, axis=1).max())
        return cls(deformations.min(axis=0), deformations.max(axis=0), mean, whitening, reach)

    def distance(self, deformation: FloatArray) -> FloatArray:
        """Mahalanobis distance of D (…, 6) from the mean training strain, (…)."""
        return np.asarray(np.linalg.norm((deformation - self.mean) @ self.whitening.T, axis=-1))

    def contains(self, deformation: FloatArray) -> Array:
        """Whether D (…, 6) lies in the box and within the reach, (…) of bool."""
        slack = _ROUNDING * np.abs(self.mean)
        boxed = ((deformation >= self.lower - slack) & (deformation <= self.upper + slack)).all(axis=-1)
        return np.asarray(boxed & (self.distance(deformation) <= self.reach))

    def excess(self, deformation: FloatArray) -> float:
        """How many times farther from the mean training strain D (6,) lies than the domain reaches; 1 inside.

        The larger of two ratios: of the Mahalanobis distances, and of the deviations of a single component from the
        middle of its box. A component that did not vary in training counts with a millionth of its value.
        """
        middle, half = 0.5 * (self.lower + self.upper), 0.5 * (self.upper - self.lower)
        single = np.abs(deformation - middle) / np.maximum(half, 1e-6 * np.abs(middle))
        if bool(self.contains(deformation)):
            return 1.0
        return float(max(1.0, single.max(), float(self.distance(deformation)) / self.reach))
