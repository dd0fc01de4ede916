"""Model reduction of a field by principal components in function space (paper, sec. 3: the maps p and ℓ).

    p(f) = B (f − f̄) ,   ℓ(c) = f̄ + Bᵀ c ,   B Bᵀ = 1      rows of B: leading right singular vectors of the centred data

f is the folded Fourier vector of a field, whose Euclidean product is the L² product of functions (Parseval): these are
components of functions, and depend on no grid. Its first entry is the m = 0 coefficient, the integral over the cell for
the fields stored as V f̄; where that integral is equal in all data (electron number) no mode may change it.

Of large data only the leading vectors are computed, by subspace iteration from a random start (Halko, Martinsson and
Tropp 2011) with at least as many further directions as a reserve: exact to rounding where the spectrum falls off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import svd

from cellfields._typing import Array, FloatArray
from cellfields.errors import InputError
from cellfields.state.fields import FourierBasis

# A coefficient that varies by less than this fraction of its mean is a constant with rounding errors.
_CONSTANT = 1e-9
_LARGE = 8  # times modes and reserve: size of data from which subspace iteration is faster
_RESERVE = 50  # directions beyond the modes, at least
_ITERATIONS = 6


@dataclass(frozen=True, eq=False)
class Reduction:
    """Principal components of one field.

    Attributes:
        mean: (P,) mean of the training vectors.
        modes: (K, P) orthonormal rows, in order of falling variance. K may be 0 (a field that does not vary).
    """

    mean: FloatArray
    modes: FloatArray

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.modes.ndim != 2 or self.modes.shape[1] != len(self.mean):
            raise InputError(f"modes {self.modes.shape} and mean {self.mean.shape} of a reduction do not fit together")

    @classmethod
    def fit(cls, vectors: FloatArray, max_modes: int) -> Reduction:
        """Mean and modes of (n, P) vectors: min(max_modes, n − 1) modes, fewer where the data have a lower rank.

        Raises:
            InputError: there are fewer than two vectors, or values that are not finite.
        """
        vectors = np.asarray(vectors, dtype=float)
        if vectors.ndim != 2 or len(vectors) < 2:
            raise InputError(f"a reduction needs at least 2 vectors, got an array of shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise InputError("a field to reduce holds values that are not finite")
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        constant = np.ptp(vectors, axis=0) <= _CONSTANT * np.abs(mean)
        centred[:, constant] = 0
        singular, rows = _leading(centred, max_modes)
        rank = int((singular > max(vectors.shape) * np.finfo(float).eps * singular[0]).sum())
        modes = rows[: min(max_modes, len(vectors) - 1, rank)].copy()
        modes[:, constant] = 0  # exactly zero: the SVD leaves rounding errors
        # An SVD leaves signs open; the largest entry of each mode is positive, so that models are reproducible.
        largest = np.abs(modes).argmax(axis=1)
        modes *= np.sign(modes[np.arange(len(modes)), largest])[:, None]
        return cls(mean, modes)

    @property
    def size(self) -> int:
        """Number of modes K."""
        return len(self.modes)

    @cached_property
    def reach(self) -> int:
        """Number of leading entries that any mode changes: all P, or fewer where a compact model cut the others."""
        changed = np.flatnonzero(self.modes.any(axis=0))
        return int(changed[-1]) + 1 if len(changed) else 0

    def project(self, vectors: FloatArray) -> FloatArray:
        """PCA coefficients (…, K) of vectors (…, P)."""
        return np.asarray((vectors - self.mean) @ self.modes.T)

    def lift(self, coefficients: FloatArray) -> FloatArray:
        """Vectors (…, P) of PCA coefficients (…, K)."""
        vectors = np.broadcast_to(self.mean, (*coefficients.shape[:-1], len(self.mean))).copy()
        vectors[..., : self.reach] += coefficients @ self._reaching
        return vectors

    @cached_property
    def _reaching(self) -> FloatArray:
        return np.ascontiguousarray(self.modes[:, : self.reach])  # no copy where they reach all entries

    def cell_mean(self, coefficients: FloatArray) -> FloatArray:
        """The m = 0 entry of :meth:`lift`, (…): the integral over the cell for a field stored as V f̄."""
        return np.asarray(self.mean[0] + coefficients @ self.modes[:, 0])

    def lost(self, vectors: FloatArray) -> FloatArray:
        """‖f − ℓ(p(f))‖ of vectors (…, P), shape (…)."""
        return np.asarray(np.linalg.norm(vectors - self.lift(self.project(vectors)), axis=-1))

    def truncation_error(self, vectors: FloatArray) -> FloatArray:
        """‖f − ℓ(p(f))‖ / ‖f‖ of vectors (…, P), shape (…): a lower bound for networks on these modes."""
        return np.asarray(self.lost(vectors) / np.linalg.norm(vectors, axis=-1))


def _leading(centred: FloatArray, max_modes: int) -> tuple[FloatArray, FloatArray]:
    """Singular values and right singular vectors (rows), the largest first: at least ``max_modes``, or all."""
    reserve = max(_RESERVE, max_modes)
    if min(centred.shape) < _LARGE * (max_modes + reserve):
        _, singular, rows = svd(centred, full_matrices=False, overwrite_a=True)
        return singular, rows
    from sklearn.utils.extmath import randomized_svd  # a second of import

    _, singular, rows = randomized_svd(
        centred,
        max_modes,
        n_oversamples=reserve,
        n_iter=_ITERATIONS,
        power_iteration_normalizer="QR",
        random_state=0,
    )
    return singular, rows


@dataclass(frozen=True, eq=False)
class LiftedFields(Mapping[str, Array]):
    """Fourier coefficients (M,) of fields that are known by their PCA coefficients, lifted when first asked for."""

    basis: FourierBasis
    reductions: Mapping[str, Reduction]
    reduced: Mapping[str, FloatArray]
    _lifted: dict[str, Array] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Array:
        if name not in self._lifted:
            vector = self.reductions[name].lift(self.reduced[name])
            self._lifted[name] = self.basis.from_vector(vector)
        return self._lifted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.reduced)

    def __len__(self) -> int:
        return len(self.reduced)

    def __contains__(self, name: object) -> bool:  # that of Mapping would lift the field
        return name in self.reduced
