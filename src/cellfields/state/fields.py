"""Electronic fields as Fourier series on the reference cell, independent of any grid.

    f̄(x) = Σ_m f_m exp(2πi m·(x − x₀)),   m integer, x fractional, x₀ the crystal's origin;   f̄(X) = f(F X)

Only one of each pair ±m is kept. With inversion the f_m are real. The Euclidean product of the folded vectors
(weight 1 for m = 0, √2 for the others) is the L² product of the functions (Parseval), so PCA of coefficients is PCA
in function space, whatever the grid (paper, sec. 2.2 and 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.fft import irfftn

from cellfields._typing import Array, FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.errors import InputError
from cellfields.state.fourier_series import Series
from cellfields.state.quantities import FIELDS, quantity

FIELD_NAMES = tuple(FIELDS)
"""The fields that first-principles engines compute; ``quantities.FIELDS`` holds registered ones as well."""
_ROUNDING = 1e-9  # coefficients that are smaller count as zero


@dataclass(frozen=True, eq=False)
class FourierBasis:
    """The integer vectors m that a family of fields is expanded in.

    Attributes:
        indices: (M, 3) one of each pair ±m in the reciprocal basis of the crystal's cell, m = 0 first.
        origin: (3,) x₀ in fractional coordinates, the crystal's ``origin``: its inversion centre where there is one.
        real: coefficients are real numbers (the crystal has an inversion centre).

    Raises:
        InputError: indices or an origin of another shape or kind.
    """

    indices: IntArray
    origin: FloatArray
    real: bool

    def __post_init__(self) -> None:
        shape = np.shape(self.indices)
        if self.indices.dtype.kind != "i" or len(shape) != 2 or shape[1] != 3 or np.shape(self.origin) != (3,):
            raise InputError(f"a Fourier basis needs (M, 3) integers and an origin of 3 numbers, got shape {shape}")

    @classmethod
    def for_crystal(cls, crystal: Crystal, cutoff: float) -> FourierBasis:
        """All m of the crystal's symmetry with ½|G⁰(m)|² ≤ ``cutoff`` (Hartree) in the *reference* cell.

        The set belongs to the reference cell, so that every strain of a dataset shares it.

        Raises:
            InputError: a cutoff that is not positive.
        """
        if not cutoff > 0:
            raise InputError(f"field_cutoff = {cutoff} must be positive (Hartree)")
        reciprocal = 2 * np.pi * np.linalg.inv(crystal.lattice_ref).T
        reach = np.sqrt(2 * cutoff) * np.linalg.norm(crystal.lattice_ref, axis=1) / (2 * np.pi)
        axes = [np.arange(-int(r) - 1, int(r) + 2) for r in reach]
        m = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        phase = m @ crystal.translations.T  # lattice translations of a non-primitive cell keep integer m·t only
        m = m[np.abs(phase - np.rint(phase)).max(axis=1) < 1e-6]
        norm2 = ((m @ reciprocal) ** 2).sum(axis=1)
        keep = (norm2 / 2 <= cutoff) & _upper_half(m)
        m, norm2 = m[keep], norm2[keep]
        order = np.lexsort((m[:, 2], m[:, 1], m[:, 0], np.round(norm2, 8)))
        real = crystal.inversion_centre is not None
        return cls(np.ascontiguousarray(m[order]), np.array(crystal.origin), real)

    @property
    def size(self) -> int:
        """Number of stored coefficients M of one field."""
        return len(self.indices)

    def same_as(self, other: FourierBasis) -> bool:
        """Whether two bases hold the same m in the same order about the same origin."""
        return (
            self.real == other.real
            and np.array_equal(self.indices, other.indices)
            and np.allclose(self.origin, other.origin, atol=1e-10)
        )

    @cached_property
    def _weights(self) -> FloatArray:
        return np.where((self.indices == 0).all(axis=1), 1.0, np.sqrt(2.0))

    def to_vector(self, coefficients: Array) -> FloatArray:
        """Real vectors of coefficients (…, M), whose Euclidean product is the mean of f g over the cell.

        They have M components, or 2M − 1 where the coefficients are complex.
        """
        folded = coefficients * self._weights
        if self.real:
            return np.asarray(folded.real, dtype=float)
        return np.concatenate([folded.real, folded[..., 1:].imag], axis=-1)

    def from_vector(self, vector: FloatArray) -> Array:
        """Coefficients (…, M) of real vectors (…, M or 2M − 1) that :meth:`to_vector` made."""
        if self.real:
            return np.asarray(vector / self._weights, dtype=float)
        coefficients = vector[..., : self.size].astype(complex)
        coefficients[..., 1:] += 1j * vector[..., self.size :]
        return np.asarray(coefficients / self._weights)

    def to_grid(
        self,
        coefficients: Array,
        shape: tuple[int, int, int],
        origin: FloatArray | tuple[float, float, float] = (0, 0, 0),
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Values (n1, n2, n3) of a field on a uniform grid over the cell.

        Coefficients beyond the grid's Nyquist frequency are left out (the function is low-pass filtered).

        Args:
            coefficients: (M,).
            shape: of the grid.
            origin: fractional coordinates of the grid's point (0, 0, 0).
            out: an array of float64 of that shape, to which the values are written.

        Raises:
            InputError: a shape that is not three positive integers, or ``out`` of another shape or type.
        """
        n = np.array(shape)
        if n.shape != (3,) or (n < 1).any():
            raise InputError(f"grid shape {tuple(shape)} must be three positive integers")
        offset = np.asarray(origin, dtype=float) - self.origin
        coefficients = np.asarray(coefficients)
        # |G| grows along a basis, and a compact model's fields end in zeros, which the sums leave out.
        used = np.flatnonzero(coefficients)
        length = int(used[-1]) + 1 if len(used) else 1
        series = _series(self, length, (int(n[0]), int(n[1]), int(n[2])), tuple(offset.tolist()))
        if out is not None and (out.shape != tuple(shape) or out.dtype != np.float64):
            raise InputError(f"out must be an array of {tuple(shape)} float64, got {out.shape} {out.dtype}")
        if series.pays:
            return series(coefficients[:length], out)
        values = self._by_fft(coefficients, n, offset)
        if out is None:
            return values
        out[:] = values
        return out

    def _by_fft(self, coefficients: Array, n: IntArray, offset: FloatArray) -> FloatArray:
        """Values (n1, n2, n3) on a grid by a real FFT, for long series; its halved axis is the first, as m₁ ≥ 0."""
        keep = (2 * np.abs(self.indices) < n).all(axis=1)
        m = self.indices[keep]
        values = np.asarray(coefficients)[keep] * np.exp(2j * np.pi * (m @ offset))
        spectrum = np.zeros((n[0] // 2 + 1, n[1], n[2]), dtype=complex)
        spectrum[tuple((m % n).T)] = values
        plane = m[:, 0] == 0  # the transform needs −m in this plane, and infers it elsewhere
        spectrum[tuple(((-m[plane]) % n).T)] = values[plane].conj()
        return np.asarray(irfftn(spectrum, s=(n[1], n[2], n[0]), axes=(1, 2, 0), norm="forward"))

    def from_grid(self, values: FloatArray, origin: FloatArray | tuple[float, float, float] = (0, 0, 0)) -> Array:
        """Coefficients (M,) of grid values (n1, n2, n3) whose point (0, 0, 0) sits at ``origin``.

        Indices that the grid cannot resolve get 0.
        """
        n = np.array(values.shape)
        spectrum = np.fft.fftn(values) / values.size
        resolved = (2 * np.abs(self.indices) < n).all(axis=1)
        coefficients = np.zeros(self.size, dtype=complex)
        m = self.indices[resolved]
        phase = np.exp(-2j * np.pi * (m @ (np.asarray(origin, dtype=float) - self.origin)))
        coefficients[resolved] = spectrum[tuple((m % n).T)] * phase
        return np.asarray(coefficients.real) if self.real else coefficients


@lru_cache(maxsize=16)
def _series(
    basis: FourierBasis, length: int, shape: tuple[int, int, int], offset: tuple[float, float, float]
) -> Series:
    return Series.of(basis.indices[:length], shape, np.array(offset))


def _upper_half(m: IntArray) -> Array:
    """One of each pair ±m: the first non-zero component is positive; zero itself is kept."""
    first, second, third = m.T
    return np.asarray((first > 0) | ((first == 0) & (second > 0)) | ((first == 0) & (second == 0) & (third >= 0)))


@dataclass(frozen=True, eq=False)
class ElectronicFields:
    """ρ, φ, u, s and other fields of one deformed cell (any of them may be missing).

    Attributes:
        basis: the integer vectors and origin that all the fields share.
        coefficients: name → (M,). Fields declared as stored times the volume (ρ, u, s) are V f̄, so their m = 0
            coefficient is the integral over the cell (electrons, Hartree, entropy); the others (φ, in Hartree, with
            zero mean) are f̄. A field that nobody declared has coefficients, but no physical values.
            The mapping may compute them on access.
        volume: of the deformed cell, Bohr³.
    """

    basis: FourierBasis
    coefficients: Mapping[str, Array]
    volume: float

    def __contains__(self, name: str) -> bool:
        return name in self.coefficients

    def integral(self, name: str) -> float:
        """Integral of a field over the cell: N for ρ, U in Hartree for u, S for s; V times the mean for φ.

        Raises:
            InputError: the field is not stored here, or nobody declared it.
        """
        mean = float(np.real(self._get(name)[0]))
        return mean if quantity(name).times_volume else mean * self.volume

    def varies(self, name: str) -> bool:
        """Whether a field varies over the cell, as the entropy density of an insulator does not.

        It does where a coefficient other than that of m = 0 exceeds 1e-9 (Hartree for φ and u, else a number).

        Raises:
            InputError: the field is not stored here.
        """
        return bool(np.abs(self._get(name)[1:]).max(initial=0.0) > _ROUNDING)

    def on_grid(
        self,
        name: str,
        shape: tuple[int, int, int],
        origin: FloatArray | tuple[float, float, float] = (0, 0, 0),
        out: FloatArray | None = None,
    ) -> FloatArray:
        """Physical values (n1, n2, n3) of a field on a uniform grid over the cell.

        Args:
            name: of the field. Values are per Bohr³ for ρ and s, Hartree/Bohr³ for u, Hartree for φ.
            shape: of the grid.
            origin: fractional coordinates of the grid's point (0, 0, 0).
            out: an array of float64 of that shape, to which the values are written.

        Raises:
            InputError: the field is not stored here, nobody declared it, or a bad shape.
        """
        coefficients = self._get(name)
        physical = coefficients / self.volume if quantity(name).times_volume else coefficients
        return self.basis.to_grid(physical, shape, origin, out)

    def vector(self, name: str) -> FloatArray:
        """Real vector of a stored field (V f̄ or f̄), whose Euclidean norm is its L² norm, for PCA and errors.

        Raises:
            InputError: the field is not stored here.
        """
        return self.basis.to_vector(self._get(name))

    def _get(self, name: str) -> Array:
        if name not in self.coefficients:
            raise InputError(f"field {name!r} is not stored here; there are {sorted(self.coefficients)}")
        return self.coefficients[name]
