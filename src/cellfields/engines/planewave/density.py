"""Fields made of occupied orbitals:  ρ = Σ w f |ψ|²,  u = Σ w f E |ψ|²,  s = Σ w 2S₁ |ψ|²   (paper, eq. 3, 17, 18).

Square roots of the weights multiply the orbitals; negative weights, which cold smearing has, are summed separately.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.basis import PlaneWaveBasis

_NEGLIGIBLE = 1e-16


def weighted_density(basis: PlaneWaveBasis, orbitals: Sequence[Coefficients], weights: FloatArray) -> Coefficients:
    """V⁻¹ Σ_{nk} weights |u_{nk}|² as density-sphere coefficients (D,).

    Args:
        basis: plane waves.
        orbitals: for each k coefficients (P_k, n).
        weights: (K, n), any sign.
    """
    total = np.zeros(basis.grid_size)
    for index, vectors, weight in zip(basis.wave_index, orbitals, weights, strict=True):
        for sign in (1.0, -1.0):
            chosen = np.flatnonzero(sign * weight > _NEGLIGIBLE)
            if len(chosen):
                rows = basis.arithmetic.pack(vectors[:, chosen] * np.sqrt(sign * weight[chosen]))
                flat = basis.waves_on_grid(index, rows).reshape(len(rows), -1)
                total += sign * (
                    np.einsum("bg,bg->g", flat.real, flat.real) + np.einsum("bg,bg->g", flat.imag, flat.imag)
                )
    density = basis.arithmetic.density(total, basis.inversion_index)
    coefficients = basis.to_fourier(density) / basis.volume
    coefficients[0] = float(weights.sum()) / basis.volume  # orthonormal orbitals: the integral is the sum of weights
    return coefficients
