"""Where a surrogate was trained, and so where it may be believed.

    inside:   min_n D_n ≤ D ≤ max_n D_n  for each component,  and  |W (D − D̄)| ≤ 1.1 max_n |W (D_n − D̄)|

The box alone keeps corners that no training strain comes near; the Mahalanobis distance (W: inverse root of the
covariance) cuts them. 1.1 allows for the mean and covariance having been fitted to the very strains they are compared
with. A component that did not vary in training must keep its value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError

_MARGIN = 1.1
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class TrainingDomain:
    """Box and ellipsoid around the training strains.

    Attributes:
        lower: (6,) smallest training values.
        upper: (6,) largest.
        mean: (6,) D̄.
        whitening: (6, 6) W.
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
        """From training strains (n, 6)."""
        mean = deformations.mean(axis=0)
        centred = deformations - mean
        std = centred.std(axis=0)
        scale = np.where(std > 0, std, 1.0)
        # The small ridge makes directions that the training strains do not span count as far away, not as free.
        variances, axes = np.linalg.eigh(np.cov((centred / scale).T, bias=True) + 1e-8 * np.eye(6))
        whitening = (axes / np.sqrt(variances)).T / scale
        reach = _MARGIN * float(np.linalg.norm(centred @ whitening.T, axis=1).max())
        return cls(deformations.min(axis=0), deformations.max(axis=0), mean, whitening, reach)

    def distance(self, deformation: FloatArray) -> float:
        """Mahalanobis distance of D (6,) from the mean training strain."""
        return float(np.linalg.norm(self.whitening @ (deformation - self.mean)))

    def contains(self, deformation: FloatArray) -> bool:
        """Whether D (6,) lies in the box and within the reach."""
        slack = _ROUNDING * np.abs(self.mean)
        boxed = (deformation >= self.lower - slack).all() and (deformation <= self.upper + slack).all()
        return bool(boxed) and self.distance(deformation) <= self.reach
