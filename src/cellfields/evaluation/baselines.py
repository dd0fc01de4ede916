"""Baselines for a surrogate: regressions without networks on the same reduced outputs (paper, Figure 8).

    D → StandardScaler → regression → {PCA coefficients, internal coordinates, energies} → CellState

A baseline is one entry of :data:`BASELINES`: a name and a function that makes a scikit-learn regressor of several
outputs. It learns from the same training states as a surrogate, through the same reductions, and is an engine. Kernel
ridge regression of the coefficients is closest to the density-functional maps of Brockherde et al. (2017), which the
paper cites. :class:`ReductionLimit` gives the error that the reduction to PCA modes makes by itself.
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
    """Ridge regression on all monomials up to ``degree``; leave-one-out errors choose the ridge of each output."""
    ridge = RidgeCV(np.logspace(-10, 2, 25), alpha_per_target=True)
    return make_pipeline(PolynomialFeatures(degree, include_bias=False), ridge)


def _kernel_ridge() -> Any:
    """Ridge regression with a Gaussian kernel; 4-fold cross-validation of all outputs chooses its width and ridge."""
    choices = {"gamma": [0.5 / length**2 for length in (2.0, 3.0, 4.5, 6.5, 10.0)], "alpha": np.logspace(-9, -1, 5)}
    folds = KFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(KernelRidge(kernel="rbf"), choices, scoring="neg_mean_squared_error", cv=folds)
    return TransformedTargetRegressor(search, transformer=StandardScaler(with_std=False))


class _GaussianProcess(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian process with one length for each component of strain, found by maximum likelihood.

    All outputs share one kernel and one scale, so the outputs with the largest values decide on the lengths.
    """

    most = 400  # samples that the likelihood is maximised on; each step costs the cube of their number

    def fit(self, x: FloatArray, y: FloatArray) -> _GaussianProcess:
        self.mean_ = y.mean(axis=0)
        self.scale_ = float((y - self.mean_).std()) or 1.0
        z = (y - self.mean_) / self.scale_
        kernel = ConstantKernel(10.0, (1e-2, 1e6)) * RBF([4.0] * x.shape[1], (0.3, 100.0)) + WhiteKernel(
            1e-5, (1e-12, 1.0)
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # a length at its bound: y barely depends on that strain
            fitted_kernel = GaussianProcessRegressor(kernel).fit(x[: self.most], z[: self.most]).kernel_
        self.process_ = GaussianProcessRegressor(fitted_kernel, optimizer=None).fit(x, z)
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
        """Fit a baseline to the states that a surrogate of the same recipe learns from.

        These are states that another engine computed and, where the recipe uses them, their images under the crystal's
        symmetry.

        Args:
            crystal: the reference crystal of the states.
            states: at least two, without their images.
            recipe: gives the number of modes and whether images are used; by default the paper's recipe.
            name: key of :data:`BASELINES`.
            identity: identity of the engine that computed the states; its k mesh decides which images are used.
            encoding: encoding of a surrogate to be compared with, so that both predict coefficients of the same modes.
                By default it is fitted to the states and images, as a surrogate's is.

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
        """Fit a baseline to outputs that are encoded already, so that several baselines share the encoding.

        Args:
            name: key of :data:`BASELINES`.
            encoding: encoding of the outputs.
            deformations: (n, 6) D of all training states.
            encoded: quantity → rows of the states that know it, and its outputs, from :meth:`StateEncoding.encode`.

        Raises:
            InputError: the name is unknown.
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
        """Predict the relaxed state of a deformation, without a stress; ``start`` is ignored."""
        row = deformation.as_array()[None]
        outputs = {quantity: np.ravel(fitted.predict(row)) for quantity, fitted in self.regressors.items()}
        return self.encoding.decode(deformation, outputs, provenance={"engine": f"baseline {self.name}"})


class ReductionLimit:
    """An engine whose error is the one that the PCA reduction alone leaves ("PCA error", paper, Figure 4).

    It returns ℓ(p(f)), the true fields f projected on the modes (p) and lifted back (ℓ), as if the map from D to the
    coefficients were perfect. It knows fields only, and only of the states that it was made of. In stored results and
    tables its label is "PCA floor".
    """

    def __init__(self, encoding: StateEncoding, states: Sequence[CellState]) -> None:
        """Keep the true states.

        Args:
            encoding: gives the modes.
            states: the true states, with fields in the Fourier basis of ``encoding``.
        """
        self.encoding = replace(encoding, numbers=())
        self._states = {state.deformation: state for state in states}

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.encoding.crystal

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """State with the true fields of a deformation, projected on the modes and lifted back; ``start`` is ignored.

        Raises:
            InputError: the deformation is not that of one of the states, or its state has no fields.
        """
        state = self._states.get(deformation)
        if state is None or state.fields is None:
            raise InputError("the error of the reduction is known only for states with fields")
        vectors = {name: state.fields.vector(name) for name in self.encoding.reductions}
        reduced = {name: self.encoding.reductions[name].project(vector) for name, vector in vectors.items()}
        return self.encoding.decode(deformation, reduced, provenance={"engine": "PCA floor"})
