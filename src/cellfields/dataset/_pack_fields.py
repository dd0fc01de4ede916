"""Store one field of all states of a dataset in fewer numbers.

    v ≈ P v ,              P keeps the Fourier coefficients with ½|G⁰(m)|² ≤ E, E the smallest with
                           max over states ‖v − P v‖/‖v‖ ≤ tolerance
    P v ≈ v̄ + Σ_k c_k b_k   on request: the leading principal components of what P left

v is the folded vector of a field (:meth:`FourierBasis.to_vector`), in which Euclidean lengths are L² norms. Its first
entry, the integral of a field stored as V f̄, stays exact: truncation and rounding change the shape of a
field, never the number of electrons.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import eigh

from cellfields._typing import Array, FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.state.fields import FourierBasis

_MARGIN = 1 + 1e-9  # a shell of equal |G|² is kept whole, whatever its members' last digits
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class PackedField:
    """The vectors of one field, truncated and perhaps reduced.

    Attributes:
        kept: (K,) int32, the entries of the vector that are kept besides the first.
        integral: (n,) float64, the first entry for each state; nan for a state that lacks the field.
        coefficients: float32, a row for each state that has the field: (…, K), or (…, N) with modes.
        mean: (K,) float32, with modes only.
        modes: (N, K) float32, with modes only.
    """

    kept: IntArray
    integral: FloatArray
    coefficients: Array
    mean: Array | None = None
    modes: Array | None = None
    _rows: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        present = ~np.isnan(self.integral)
        width = self.kept.size if self.modes is None else len(self.modes)
        shapes_fit = (
            self.kept.ndim == self.integral.ndim == 1
            and self.coefficients.shape == (present.sum(), width)
            and (self.mean is None) == (self.modes is None)
            and (self.mean is None or self.mean.shape == self.kept.shape)
            and (self.modes is None or (self.modes.ndim == 2 and self.modes.shape[1] == self.kept.size))
        )
        if not shapes_fit:
            raise InputError("the arrays of a packed field do not fit together")
        object.__setattr__(self, "_rows", np.cumsum(present) - 1)

    def has(self, row: int) -> bool:
        """Whether a state has the field."""
        return not np.isnan(self.integral[row])

    def vector(self, row: int, size: int) -> FloatArray:
        """The folded vector (size,) of one state that has the field, zero where it was cut off."""
        values = self.coefficients[self._rows[row]].astype(float)
        if self.mean is not None and self.modes is not None:
            values = self.mean + values @ self.modes
        vector = np.zeros(size)
        vector[self.kept] = values
        vector[0] = self.integral[row]
        return vector

    def reduced(self, modes: int) -> PackedField:
        """The field on at most ``modes`` principal components, in single precision; none where it is constant."""
        mean, components = _principal_components(self.coefficients, modes)
        coefficients = (self.coefficients - mean) @ components.T
        single = [array.astype(np.float32) for array in (coefficients, mean, components)]
        return PackedField(self.kept, self.integral, *single)

    def tensors(self) -> dict[str, Array]:
        """The arrays of the field by name; :meth:`from_tensors` is the inverse."""
        names = ("kept", "integral", "coefficients", "mean", "modes")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array], states: int, size: int) -> PackedField:
        """The field whose arrays were read from a file.

        Raises:
            InputError: they do not fit together, or to so many states and vectors of this size.
        """
        types = {name: array.dtype for name, array in tensors.items()}
        wanted = {"kept": np.int32, "integral": np.float64} | dict.fromkeys(
            ("coefficients", "mean", "modes"), np.float32
        )
        if any(wanted.get(name) != kind for name, kind in types.items()) or len(wanted.keys() & types.keys()) < 3:
            raise InputError("a packed field holds arrays of unknown names or types")
        packed = cls(**tensors)
        inside = packed.kept.size == 0 or (packed.kept.min() >= 1 and packed.kept.max() < size)
        finite = all(np.isfinite(array).all() for name, array in tensors.items() if name != "integral")
        if packed.integral.shape != (states,) or not inside or not finite or np.isinf(packed.integral).any():
            raise InputError("a packed field does not fit its dataset")
        return packed


class TailScan:
    """The largest relative error that each cutoff would make, over the vectors shown so far."""

    def __init__(self, energies: FloatArray) -> None:
        """``energies`` is (P,): ½|G⁰|² in Hartree of each entry of a folded vector."""
        self._shells, self._shell_of = np.unique(np.round(energies, 8), return_inverse=True)
        self._worst = np.zeros(len(self._shells))

    def show(self, vector: FloatArray) -> None:
        """Take one vector (P,) into account."""
        power = np.bincount(self._shell_of, weights=vector**2, minlength=len(self._shells))
        tails = np.append(np.cumsum(power[:0:-1])[::-1], 0.0)
        if power.any():
            self._worst = np.maximum(self._worst, np.sqrt(tails / (tails[0] + power[0])))

    def cutoff(self, tolerance: float) -> float:
        """The smallest cutoff, Hartree, that errs by no more than ``tolerance`` for any vector shown."""
        return float(self._shells[np.argmax(self._worst <= tolerance)])


def entry_energies(crystal: Crystal, basis: FourierBasis) -> FloatArray:
    """½|G⁰(m)|² in Hartree for each entry of the folded vectors of a basis, in the reference cell."""
    reciprocal = 2 * np.pi * np.linalg.inv(crystal.lattice_ref).T
    energies = 0.5 * ((basis.indices @ reciprocal) ** 2).sum(axis=1)
    return energies if basis.real else np.concatenate([energies, energies[1:]])


def vector_size(basis: FourierBasis) -> int:
    """Length P of the folded vectors of a basis."""
    return basis.size if basis.real else 2 * basis.size - 1


def kept_entries(energies: FloatArray, cutoff: float) -> IntArray:
    """Entries up to a cutoff, without the first, which is kept apart."""
    kept = np.flatnonzero(energies <= cutoff * _MARGIN)
    return kept[kept > 0].astype(np.int32)


def single_precision(vector: FloatArray, name: str) -> Array:
    """The vector rounded to float32.

    Raises:
        InputError: a number is too large for single precision.
    """
    if np.abs(vector).max(initial=0.0) > _LARGEST:
        raise InputError(f"field {name!r} holds numbers too large for single precision; it cannot be packed")
    return vector.astype(np.float32)


def _principal_components(vectors: Array, count: int) -> tuple[FloatArray, FloatArray]:
    """Mean (K,) and at most ``count`` orthonormal rows (…, K), from the smaller of the two Gram matrices.

    That squares the condition number, which costs the components below 1e-8 of the first: single precision does not
    resolve them either.
    """
    mean = vectors.mean(axis=0, dtype=float) if len(vectors) else np.zeros(vectors.shape[1])
    centred = vectors - mean
    wide = len(centred) <= centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    count = min(count, len(gram))
    if count == 0:
        return mean, np.zeros((0, vectors.shape[1]))
    values, vectors_of_gram = eigh(gram, subset_by_index=(len(gram) - count, len(gram) - 1))
    values, vectors_of_gram = values[::-1], vectors_of_gram[:, ::-1]
    significant = values > len(gram) * np.finfo(float).eps * max(values[0], 0.0)
    vectors_of_gram = vectors_of_gram[:, significant]
    components = (vectors_of_gram / np.sqrt(values[significant])).T @ centred if wide else vectors_of_gram.T
    largest = np.abs(components).argmax(axis=1)  # signs are open: the largest entry is positive
    components *= np.sign(components[np.arange(len(components)), largest])[:, None]
    return mean, components
