"""The error of the reduced basis to second order, from residuals in full plane waves.

    Δε_n(k) = −Σ_G |R_n(k, G)|² / (½|k+G|² + V̄ − ε_n) ,      R = H u − ε u

Δε estimates the basis' error (a posteriori) and corrects the energies by all but a few per cent of it. The directions
R/(½|k+G|² + V̄ − ε) extend an insufficient basis.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import squares
from cellfields.engines.planewave.reduced.functions import Parts
from cellfields.engines.planewave.reduced.orbitals import PlaneWaveChunk, ReducedOrbitals

_NEGLIGIBLE = 1e-5  # occupation, relative to the largest, of a band whose correction does not matter
_SMALLEST = 0.3  # Hartree, smallest denominator, as the basis holds slower plane waves well


def _residuals(
    orbitals: ReducedOrbitals,
    potential: FloatArray,
    energies: FloatArray,
    weights: FloatArray,
    moved: Parts | None = None,
) -> Iterator[tuple[PlaneWaveChunk, Coefficients, FloatArray]]:
    """For each chunk of k points, the chunk, residuals R (P, c, n) and denominators (P, c, n).

    The arguments are those of :func:`missing_directions`.
    """
    problem, bloch = orbitals.problem, orbitals.bloch
    if moved is None:
        moved = bloch.multiplied(problem.basis, potential)
    mean = float(potential.mean())
    phases = [phase for site in problem.geometry.sites for phase in site.phases(bloch.m)]
    for chunk in orbitals.lifted(weights, _NEGLIGIBLE):
        bands = chunk.vectors.shape[2]
        c = np.ascontiguousarray(orbitals.vectors[chunk.mesh.rows][:, :, :bands].transpose(1, 0, 2))
        residual = bloch.functions.lift(moved, c.reshape(len(c), -1)).reshape(chunk.vectors.shape)
        kinetic = 0.5 * (chunk.mesh.q**2).sum(axis=2)[:, :, None]
        epsilon = energies[chunk.mesh.rows][None, :, :bands]
        residual += (kinetic - epsilon) * chunk.vectors
        residual += orbitals.nonlocal_action(chunk, phases)
        yield chunk, residual, np.maximum(kinetic + mean - epsilon, _SMALLEST)


def energy_correction(
    orbitals: ReducedOrbitals, potential: FloatArray, energies: FloatArray, weights: FloatArray
) -> FloatArray:
    """Corrections Δε ≤ 0 (K, n) of the eigenvalues, Hartree.

    Bands without weight get the mean correction of the highest band that has some.

    Args:
        orbitals: eigenvectors in the reduced basis.
        potential: V_eff on the grid (n1·n2·n3,) that they belong to.
        energies: (K, n), Hartree.
        weights: (K, n) occupations.
    """
    shift = np.zeros_like(energies)
    bands = 0
    for chunk, residual, denominator in _residuals(orbitals, potential, energies, weights):
        bands = residual.shape[2]
        shift[chunk.mesh.rows, :bands] = -(squares(residual) / denominator).sum(axis=0)
    shift[:, bands:] = shift[:, bands - 1].mean()
    return shift


def missing_directions(
    orbitals: ReducedOrbitals,
    potential: FloatArray,
    energies: FloatArray,
    weights: FloatArray,
    moved: Parts | None = None,
) -> tuple[Coefficients, float]:
    """Preconditioned residuals (P, K·n) scaled by √|occupation|, and the error Σ |occupation Δε|, Hartree.

    In the energy norm (making.py) the squares of the columns add up to about the error.

    Args:
        orbitals: eigenvectors in the reduced basis.
        potential: V_eff on the grid (n1·n2·n3,) that they belong to.
        energies: (K, n), Hartree.
        weights: (K, n) occupations.
        moved: products V B of the basis functions, kind by kind, if they are known.
    """
    columns = []
    error = 0.0
    for chunk, residual, denominator in _residuals(orbitals, potential, energies, weights, moved):
        weight = np.abs(weights[chunk.mesh.rows][:, : residual.shape[2]])
        error += float(((squares(residual) / denominator).sum(axis=0) * weight).sum())
        columns.append((residual / denominator * np.sqrt(weight)).reshape(len(residual), -1))
    return np.concatenate(columns, axis=1), error
