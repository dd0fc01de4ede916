"""The energy E_xc = ∫ e(n, |∇n|²) with n = ρ + ρ_c on the FFT grid, its potential and its strain derivative.

    V_xc = ∂e/∂n − ∇·(2 ∂e/∂σ ∇n) ,     ∂E_xc/∂η = δ (E_xc − ∫ V_xc ρ) − 2 ∫ ∂e/∂σ ∇n ∇n    at fixed Vρ(G), ρ_c apart

Gradient and divergence are the same Fourier derivative, so that V_xc is the exact derivative of the discrete sum (J. A.
White, D. M. Bird, Phys. Rev. B 50, 4954 (1994)). Forces and stress of ρ_c, ∫ V_xc δρ_c, are in core_density.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import inner
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.terms.xc.lda import perdew_wang
from cellfields.engines.planewave.terms.xc.pbe import perdew_burke_ernzerhof


@dataclass(frozen=True, eq=False)
class _OnGrid:
    """Exchange and correlation of a density on the grid.

    Attributes:
        energy: E_xc, Hartree per primitive cell.
        potential: V_xc (N,), Hartree.
        gradient: ∇n (3, N), or (3, 0) for a local functional.
        by_square: ∂e/∂σ (N,), σ = |∇n|², or (0,) for a local functional.
    """

    energy: float
    potential: FloatArray
    gradient: FloatArray
    by_square: FloatArray


def _evaluate(basis: PlaneWaveBasis, density: Coefficients, functional: str, core: FloatArray | None) -> _OnGrid:
    values = basis.to_real(density)
    if core is not None:
        values = values + core
    if functional == "lda":
        per_electron, potential = perdew_wang(values)
        energy = float(basis.volume * np.mean(values * per_electron))
        return _OnGrid(energy, potential, np.zeros((3, 0)), np.zeros(0))
    gradient = _gradient(basis, values)
    energies, potential, by_square = perdew_burke_ernzerhof(values, (gradient**2).sum(axis=0))
    potential = potential - _divergence(basis, 2 * by_square * gradient)
    return _OnGrid(float(basis.volume * np.mean(energies)), potential, gradient, by_square)


def energy_and_potential(
    basis: PlaneWaveBasis, density: Coefficients, functional: str = "lda", core: FloatArray | None = None
) -> tuple[float, Coefficients]:
    """E_xc (Hartree per primitive cell) and V_xc (D,) from ρ (D,) and the ions' core density (N,) on the grid."""
    on_grid = _evaluate(basis, density, functional, core)
    return on_grid.energy, basis.to_fourier(on_grid.potential)


def grid_potential(basis: PlaneWaveBasis, density: Coefficients, functional: str, core: FloatArray) -> FloatArray:
    """V_xc (N,) on the grid, not cut off in Fourier space, as derivatives of the core density need it."""
    return _evaluate(basis, density, functional, core).potential


def stress(
    basis: PlaneWaveBasis, density: Coefficients, functional: str = "lda", core: FloatArray | None = None
) -> FloatArray:
    """Strain derivative ∂E_xc/∂η (3, 3), Hartree, at fixed Vρ(G) and ρ_c(r)."""
    on_grid = _evaluate(basis, density, functional, core)
    potential = basis.to_fourier(on_grid.potential)
    tensor = np.eye(3) * (on_grid.energy - basis.volume * inner(potential, density))
    if on_grid.by_square.size:
        weighted = on_grid.gradient * (2 * basis.volume / basis.grid_size * on_grid.by_square)
        tensor -= weighted @ on_grid.gradient.T
    return tensor


def _wave_vectors(basis: PlaneWaveBasis) -> FloatArray:
    """G (3, n1, n2, n3/2 + 1) of a real transform; where m = n/2 stands for both signs its derivative is zero."""
    axes = [np.fft.fftfreq(n, 1 / n) for n in basis.shape]
    for axis, n in zip(axes, basis.shape, strict=True):
        if n % 2 == 0:
            axis[n // 2] = 0.0
    axes[2] = np.abs(axes[2][: basis.shape[2] // 2 + 1])
    m = np.stack(np.meshgrid(*axes, indexing="ij"))
    return np.asarray(np.einsum("mxyz,mi->ixyz", m, basis.reciprocal))


def _gradient(basis: PlaneWaveBasis, values: FloatArray) -> FloatArray:
    """∇f (3, N) of grid values (N,)."""
    box = 1j * scipy.fft.rfftn(values.reshape(basis.shape)) * _wave_vectors(basis)
    return np.asarray(scipy.fft.irfftn(box, s=basis.shape, axes=(1, 2, 3))).reshape(3, -1)


def _divergence(basis: PlaneWaveBasis, vectors: FloatArray) -> FloatArray:
    """∇·f (N,) of grid vectors (3, N)."""
    box = scipy.fft.rfftn(vectors.reshape(3, *basis.shape), axes=(1, 2, 3))
    summed = 1j * (box * _wave_vectors(basis)).sum(axis=0)
    return np.asarray(scipy.fft.irfftn(summed, s=basis.shape)).reshape(-1)
