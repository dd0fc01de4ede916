"""What a surrogate has to beat: regressions without networks on the same reduced outputs (paper, Figure 8).

    D → StandardScaler → regression → {PCA coefficients, internal coordinates, energies} → CellState

A baseline is one entry of :data:`BASELINES`: a name and how to make a scikit-learn regressor of several outputs. It
sees the same training states through the same reductions as a surrogate, and is an engine. Kernel ridge regression of
the coefficients is the nearest relative of the density-functional maps of Brockherde et al. (2017), which the paper
cites. :class:`Floor` is the other end: the truth itself, seen through the modes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.surrogate.images import images_of
from cellfields.surrogate.recipe import Recipe
from cellfields.surrogate.state_encoding import StateEncoding


def _polynomial(degree: int) -> Any:
    """Ridge regression on all monomials up to ``degree``; leave-one-out picks the ridge, for each output by itself."""
    ridge = RidgeCV(np.logspace(-10, 2, 25), alpha_per_target=True)
    return make_pipeline(PolynomialFeatures(degree, include_bias=False), ridge)


def _kernel_ridge() -> Any:
    """Gaussian kernel; 4-fold cross-validation picks width and ridge for the outputs' summed square error."""
    choices = {"gamma": [0.5 / length**2 for length in (2.0, 3.0, 4.5, 6.5, 10.0)], "alpha": np.logspace(-9, -1, 5)}
    folds = KFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(KernelRidge(kernel="rbf"), choices, scoring="neg_mean_squared_error", cv=folds)
    return TransformedTargetRegressor(search, transformer=StandardScaler(with_std=False))


class _GaussianProcess(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """One length a component of strain, by maximum likelihood; outputs share kernel and scale, so large ones decide."""

    most = 400  # samples that the likelihood is maximised on: each step costs their number cubed

    def fit(self, x: FloatArray, y: FloatArray) -> _GaussianProcess:
        self.mean_ = y.mean(axis=0)
        self.scale_ = float((y - self.mean_).std()) or 1.0
        z = (y - self.mean_) / self.scale_
        kernel = ConstantKernel(10.0, (1e-2, 1e6)) * RBF([4.0] * x.shape[1], (0.3, 100.0)) + WhiteKernel(
            1e-5, (1e-12, 1.0)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: this strain does not matter
            found = GaussianProcessRegressor(kernel).fit(x[: self.most], z[: self.most]).kernel_
        self.process_ = GaussianProcessRegressor(found, optimizer=None).fit(x, z)
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        predicted = np.asarray(self.process_.predict(x)).reshape(len(x), -1)
        return np.asarray(self.mean_ + self.scale_ * predicted)


BASELINES: Mapping[str, Callable[[], Any]] = {
    "mean": lambda: DummyRegressor(strategy="mean"),
    "nearest": lambda: KNeighborsRegressor(n_neighbors=1),
    "linear": LinearRegression,
    "quadratic": lambda: _polynomial(2),
    "cubic": lambda: _polynomial(3),
    "quartic": lambda: _polynomial(4),
    "quintic": lambda: _polynomial(5),
    "sextic": lambda: _polynomial(6),
    "kernel ridge": _kernel_ridge,
    "gaussian process": _GaussianProcess,
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
        cls,
        crystal: Crystal,
        states: Iterable[CellState],
        recipe: Recipe | None = None,
        *,
        name: str = "linear",
        identity: EngineIdentity | None = None,
        encoding: StateEncoding | None = None,
    ) -> BaselineEngine:
        """Fit on what a surrogate of the same recipe learns from: the states that another engine computed and, where
        the recipe uses them, their images under the crystal's symmetry.

        Args:
            crystal: the crystal they are deformations of.
            states: at least two, without their images.
            recipe: of it only ``modes`` and whether it learns from images matter; the paper's unless given.
            name: key of :data:`BASELINES`.
            identity: of the engine that computed the states, as for a surrogate: they tell which images
                the k mesh shares.
            encoding: of the surrogate to be compared with, so that both predict coefficients of the same modes. Unless
                given it is fitted to the states and images, as the surrogate's is.

        Raises:
            InputError: unknown name, too few states, states of another crystal or in different Fourier bases.
        """
        recipe = Recipe() if recipe is None else recipe
        states, images = images_of(crystal, list(states), recipe, identity)
        if encoding is None:
            encoding = StateEncoding.fit(crystal, states, recipe.modes, images)
        deformations = np.array([state.deformation.as_array() for state in states])
        return cls.fit(name, encoding, deformations, encoding.encode(states))

    @classmethod
    def fit(
        cls,
        name: str,
        encoding: StateEncoding,
        deformations: FloatArray,
        encoded: Mapping[str, tuple[IntArray, FloatArray]],
    ) -> BaselineEngine:
        """Fit to outputs that are encoded already: several baselines of the same states share that work.

        Args:
            name: key of :data:`BASELINES`.
            encoding: what the outputs mean.
            deformations: (n, 6) D of all training states.
            encoded: their outputs, from :meth:`StateEncoding.encode`.

        Raises:
            InputError: unknown name.
        """
        if name not in BASELINES:
            raise InputError(f"baseline {name!r} is unknown; there are {', '.join(BASELINES)}")
        regressors = {
            quantity: make_pipeline(StandardScaler(), BASELINES[name]()).fit(deformations[rows], outputs)
            for quantity, (rows, outputs) in encoded.items()
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


class Floor:
    """ℓ(p(f)) of the truth: what remains of an error when the map to the modes is perfect ("PCA error", Figure 4).

    It knows the fields of the states it was made of, and nothing else.
    """

    def __init__(self, encoding: StateEncoding, states: Sequence[CellState]) -> None:
        """``states``: the truth, in the Fourier basis of ``encoding``."""
        self.encoding = replace(encoding, numbers=())
        self._states = {state.deformation: state for state in states}

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.encoding.crystal

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """The true fields, reduced and lifted.

        Raises:
            InputError: not one of the states, or one without fields.
        """
        state = self._states.get(deformation)
        if state is None or state.fields is None:
            raise InputError("the floor is known only for states with fields")
        vectors = {name: state.fields.vector(name) for name in self.encoding.reductions}
        reduced = {name: self.encoding.reductions[name].project(vector) for name, vector in vectors.items()}
        return self.encoding.decode(deformation, reduced, provenance={"engine": "PCA floor"})
