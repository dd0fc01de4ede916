"""What a surrogate has to beat: regressions without networks on the same reduced outputs (paper, Figure 8).

    D → StandardScaler → regression → {PCA coefficients, internal coordinates, energies} → CellState

A baseline is one entry of :data:`BASELINES`: a name and how to make a scikit-learn regressor of several outputs. It
sees the same training states through the same reductions as a surrogate, and is an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from cellfields.crystal import Crystal
from cellfields.deformation import Deformation
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.surrogate._encoding import StateEncoding
from cellfields.surrogate.recipe import Recipe


def _polynomial(degree: int) -> Any:
    """Ridge regression on all monomials up to ``degree``; leave-one-out picks the ridge, for each output by itself."""
    ridge = RidgeCV(np.logspace(-10, 2, 25), alpha_per_target=True)
    return make_pipeline(PolynomialFeatures(degree, include_bias=False), ridge)


BASELINES: Mapping[str, Callable[[], Any]] = {
    "mean": lambda: DummyRegressor(strategy="mean"),
    "linear": LinearRegression,
    "quadratic": lambda: _polynomial(2),
    "cubic": lambda: _polynomial(3),
}


@dataclass(frozen=True, eq=False)
class BaselineEngine:
    """A regression with the interface of an engine.

    Attributes:
        name: key of :data:`BASELINES`.
        encoding: crystal, Fourier basis and PCA modes.
        regressors: quantity → fitted scikit-learn regressor.
    """

    name: str
    encoding: StateEncoding
    regressors: Mapping[str, Any]

    @classmethod
    def train(
        cls, crystal: Crystal, states: Iterable[CellState], recipe: Recipe | None = None, *, name: str = "linear"
    ) -> BaselineEngine:
        """Fit on states that another engine computed; of the recipe only ``modes`` matters.

        Raises:
            InputError: unknown name, too few states, states of another crystal or in different Fourier bases.
        """
        if name not in BASELINES:
            raise InputError(f"baseline {name!r} is unknown; there are {', '.join(BASELINES)}")
        states = list(states)
        encoding = StateEncoding.fit(crystal, states, (Recipe() if recipe is None else recipe).modes)
        deformations = np.array([state.deformation.as_array() for state in states])
        regressors = {
            quantity: make_pipeline(StandardScaler(), BASELINES[name]()).fit(deformations, outputs)
            for quantity, outputs in encoding.encode(states).items()
        }
        return cls(name, encoding, regressors)

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.encoding.crystal

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """Predicted relaxed state, without stress; ``start`` is ignored."""
        row = deformation.as_array()[None]
        outputs = {quantity: np.ravel(fitted.predict(row)) for quantity, fitted in self.regressors.items()}
        return self.encoding.decode(deformation, outputs, provenance={"engine": f"baseline {self.name}"})

    def solve_many(self, deformations: Iterable[Deformation]) -> Iterator[CellState]:
        """Predicted relaxed states, in order."""
        return (self.solve(deformation) for deformation in deformations)
