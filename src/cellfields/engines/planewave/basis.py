"""Plane waves of the orbitals and of the density, the FFT grid, and the transforms between them.

    wavefunctions  u_k(r) = V^{−½} Σ_G c_k(G) e^{iG·r},  ½|k+G|² < E_cut
    ρ, V           f(r) = Σ_G f(G) e^{iG·r},             ½|G|² < 4 E_cut

Coefficients are real or complex numbers, see arithmetic.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.fft

from cellfields._typing import Coefficients, ComplexArray, FloatArray, IntArray
from cellfields.engines.planewave.arithmetic import Arithmetic, RealArithmetic
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.kpoints import KMesh, nearly_shortest_equivalents, shortest_equivalents
from cellfields.engines.planewave.terms.kinetic import KineticEnergy
from cellfields.errors import InputError


@dataclass(frozen=True, eq=False)
class PlaneWaveBasis:
    """Plane waves of one lattice, for any positions of its atoms.

    Attributes:
        volume: of the primitive cell, Bohr³.
        shape: FFT grid (n1, n2, n3).
        density_m: (D, 3) integer G of the density sphere, G = 0 first.
        density_g: (D, 3) Cartesian G of the density sphere, 1/Bohr.
        k_points: (K, 3) in reciprocal coordinates; the shortest equivalents where the plane waves are a union.
        k_cartesian: (K, 3), 1/Bohr.
        k_weights: (K,), summing to 1.
        wave_m: for each k the (P_k, 3) integer G of its sphere.
        reciprocal: (3, 3) rows, 1/Bohr.
        arithmetic: of the coefficients.
        kinetic: energy of a plane wave, which may be smooth where the spheres end.
    """

    volume: float
    shape: tuple[int, int, int]
    density_m: IntArray
    density_g: FloatArray
    k_points: FloatArray
    k_cartesian: FloatArray
    k_weights: FloatArray
    wave_m: tuple[IntArray, ...]
    reciprocal: FloatArray
    arithmetic: Arithmetic = field(default_factory=RealArithmetic)
    kinetic: KineticEnergy = field(default_factory=KineticEnergy)

    @classmethod
    def build(
        cls,
        geometry: Geometry,
        mesh: KMesh,
        cutoff: float,
        *,
        smoothing: float = 0.0,
        plane_waves: str = "k_sphere",
        shape: tuple[int, int, int] | None = None,
    ) -> PlaneWaveBasis:
        """Index sets of a cell.

        Args:
            geometry: the primitive cell.
            mesh: its k points.
            cutoff: of the orbitals, Hartree; the density's is four times as high.
            smoothing: width, Hartree, in which the kinetic energy rises at the spheres' surface; only of "k_sphere".
            plane_waves: "k_sphere" for a sphere around each −k, or "union" for the union of them at every k.
            shape: of the FFT grid; None means the smallest without aliasing.

        Raises:
            InputError: the FFT grid is too small.
        """
        kinetic = KineticEnergy(cutoff, smoothing)
        reciprocal = geometry.reciprocal
        k_points = mesh.points
        if plane_waves == "union":  # the shortest equivalents of k give the smallest and roundest union
            k_points = shortest_equivalents(k_points, reciprocal)
        k_cartesian = k_points @ reciprocal
        m = _candidates(geometry.lattice, 4 * cutoff)
        g = m @ reciprocal
        norm2 = (g**2).sum(axis=1)
        inside = norm2 / 2 < 4 * cutoff
        density_m = m[inside]
        order = np.lexsort((*density_m.T, np.round(norm2[inside], 9)))
        density_m = np.ascontiguousarray(density_m[order])
        if shape is None:
            reach = np.abs(density_m).max(axis=0)
            shape = tuple(int(scipy.fft.next_fast_len(int(2 * r + 1), real=False)) for r in reach)  # type: ignore[assignment]
        assert shape is not None
        _refuse_small_grid(shape, density_m)
        reach_k = np.sqrt((k_cartesian**2).sum(axis=1).max())
        near = m[norm2 < (np.sqrt(2 * cutoff) + reach_k) ** 2]
        if plane_waves == "union":
            images = nearly_shortest_equivalents(mesh.points, reciprocal) @ reciprocal
            spheres = (_union(near, near @ reciprocal, images, cutoff),) * len(k_cartesian)
        else:
            spheres = _spheres(near, near @ reciprocal, k_cartesian, kinetic.largest)
        return cls(
            geometry.volume,
            shape,
            density_m,
            density_m @ reciprocal,
            k_points,
            k_cartesian,
            mesh.weights,
            spheres,
            reciprocal,
            geometry.arithmetic,
            kinetic,
        )

    @property
    def grid_size(self) -> int:
        """Number of FFT grid points."""
        return int(np.prod(self.shape))

    def flat_index(self, m: IntArray) -> IntArray:
        """Position of integer vectors (…, 3) in the flattened FFT grid."""
        n1, n2, n3 = self.shape
        return np.asarray((m[..., 0] % n1 * n2 + m[..., 1] % n2) * n3 + m[..., 2] % n3)

    @cached_property
    def density_index(self) -> IntArray:
        """Flat FFT index of the density sphere."""
        return self.flat_index(self.density_m)

    @cached_property
    def wave_index(self) -> tuple[IntArray, ...]:
        """Flat FFT index of each k point's sphere."""
        return tuple(self.flat_index(m) for m in self.wave_m)

    @cached_property
    def density_g2(self) -> FloatArray:
        """|G|² of the density sphere (D,), Bohr⁻²."""
        return np.asarray((self.density_g**2).sum(axis=1))

    @cached_property
    def inverse_g2(self) -> FloatArray:
        """1/|G|² of the density sphere (D,), Bohr², with 0 at G = 0."""
        g2 = self.density_g2.copy()
        g2[0] = np.inf
        return 1 / g2

    @cached_property
    def inversion_index(self) -> IntArray:
        """Flat grid index of −r for every grid point r."""
        axes = [(-np.arange(n)) % n for n in self.shape]
        return self.flat_index(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)).reshape(-1)

    def to_real(self, coefficients: Coefficients) -> FloatArray:
        """Grid values (n1·n2·n3,) of a real function from its density-sphere coefficients (D,)."""
        box = np.zeros(self.grid_size, dtype=complex)
        box[self.density_index] = coefficients
        values = scipy.fft.ifftn(box.reshape(self.shape), overwrite_x=True)
        return np.asarray(values.real).reshape(-1) * self.grid_size

    def to_fourier(self, values: FloatArray) -> Coefficients:
        """Density-sphere coefficients (D,) of a real function from its grid values (n1·n2·n3,)."""
        box = scipy.fft.fftn(values.reshape(self.shape)).reshape(-1)
        return np.asarray(self.arithmetic.field(box[self.density_index]) / self.grid_size)

    def waves_on_grid(self, index: IntArray, rows: ComplexArray) -> ComplexArray:
        """Σ_G c(G) e^{iG·r} (b, n1, n2, n3) of rows of coefficients (b, P) at the grid indices ``index``."""
        box = np.zeros((len(rows), self.grid_size), dtype=complex)
        box[:, index] = rows
        grid = box.reshape(-1, *self.shape)
        return np.asarray(scipy.fft.ifftn(grid, axes=(1, 2, 3), norm="forward", overwrite_x=True))

    def multiply(self, potential: FloatArray, index: IntArray, vectors: Coefficients) -> Coefficients:
        """⟨G|V|u⟩ for coefficient vectors (P, n); ``potential`` on the grid, shaped (n1, n2, n3)."""
        if vectors.shape[1] == 0:
            return np.empty_like(vectors)
        grid = self.waves_on_grid(index, self.arithmetic.pack(vectors))
        grid *= potential
        spectrum = scipy.fft.fftn(grid, axes=(1, 2, 3), norm="forward", overwrite_x=True)
        return self.arithmetic.unpack(spectrum.reshape(len(spectrum), -1)[:, index], vectors.shape[1])


def _candidates(lattice: FloatArray, cutoff: float) -> IntArray:
    """All integer vectors in the box around the sphere ½|G|² < cutoff, with room for k + G."""
    reach = np.sqrt(2 * cutoff) * np.linalg.norm(lattice, axis=1) / (2 * np.pi)
    axes = [np.arange(-int(r) - 1, int(r) + 2) for r in reach]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def _spheres(m: IntArray, g: FloatArray, k_cartesian: FloatArray, cutoff: float) -> tuple[IntArray, ...]:
    g2 = (g**2).sum(axis=1)
    return tuple(m[g2 + 2 * (g @ k) + k @ k < 2 * cutoff] for k in k_cartesian)


def _union(m: IntArray, g: FloatArray, images: FloatArray, cutoff: float) -> IntArray:
    g2 = (g**2).sum(axis=1)
    union = np.zeros(len(m), dtype=bool)
    for k in images:  # ±k: the union must be closed under inversion
        union |= g2 - 2 * np.abs(g @ k) + k @ k < 2 * cutoff
    return _mirror_ordered(m[union])


def _refuse_small_grid(shape: tuple[int, int, int], density_m: IntArray) -> None:
    """Refuse an FFT grid so small that it folds parts of the density onto others, which may change F by 1 mHa unseen.

    Raises:
        InputError: the grid is too small along some axis.
    """
    reach = np.abs(density_m).max(axis=0)
    if (np.array(shape) < 2 * reach + 1).any():
        least = ", ".join(str(int(2 * r + 1)) for r in reach)
        raise InputError(f"fft_grid = {shape} cannot hold the density of this cutoff; it needs at least ({least})")


def _mirror_ordered(m: IntArray) -> IntArray:
    """Integer vectors (P, 3) closed under m → −m, sorted as 0, one of each pair ±m, and the others in that order."""
    first, second, third = m.T
    upper = (first > 0) | ((first == 0) & (second > 0)) | ((first == 0) & (second == 0) & (third > 0))
    return np.concatenate([np.zeros((1, 3), dtype=m.dtype), m[upper], -m[upper]])
