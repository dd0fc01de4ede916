"""Reduced bases for one potential: a first one from special k points, and its greedy extension by residuals.

    B ← B ∪ POD{ √(w f) R/(½|k+G|² + V̄ − ε) }   until   Σ w f |Δε| < tolerance      (Δε: correction.py)

Extension by residuals from the whole zone is more efficient than more functions from special points: 130 functions err
by 7e-7 Ha instead of 7e-6 Ha (hcp Mg).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.linalg import block_diag
from scipy.special import expit

from cellfields._typing import FloatArray
from cellfields.dft.occupation import occupy
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.bands import start_vectors
from cellfields.engines.planewave.eigensolver import davidson
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis, IndexTable
from cellfields.engines.planewave.reduced.correction import missing_directions
from cellfields.engines.planewave.reduced.eigen import dense_eigenpairs
from cellfields.engines.planewave.reduced.functions import functions_for
from cellfields.engines.planewave.reduced.mesh import ReducedMesh
from cellfields.engines.planewave.reduced.operators import ReducedHamiltonian
from cellfields.engines.planewave.reduced.orbitals import ReducedOrbitals
from cellfields.engines.planewave.reduced.zone import image_shifts, invariant_momenta

_LEVEL_WIDTH = 0.04  # Hartree; how fast the weight of a snapshot falls above the Fermi level
_LEAST_WEIGHT = 0.003
_COARSE_TOLERANCE = 1e-2  # Hartree, residual norm of the special points' orbitals, which the extension improves
_EXTRA_BANDS = 3
_FIRST_DISCARD = 1e-4  # Hartree left out of the first basis
_MOST_ROUNDS = 6
_EACH_ROUND = 0.08  # part of the error that one extension leaves; smaller steps give smaller bases
_HYSTERESIS = 0.5  # times the tolerance: error to which a basis is extended, so that it serves the next steps as well


def energy_norm(problem: KohnShamProblem, potential: FloatArray, fermi: float) -> FloatArray:
    """Diagonal ½G² + V̄ − E_F (P,) of the energy norm, Hartree, at least 0.3.

    Args:
        problem: cell and ions, whose plane waves are a union.
        potential: V_eff on the grid (n1·n2·n3,), Hartree.
        fermi: E_F, Hartree.
    """
    g = problem.basis.wave_m[0] @ problem.geometry.reciprocal
    return np.asarray(np.maximum(0.5 * (g**2).sum(axis=1) + potential.mean() - fermi, 0.3))


def first_basis(problem: KohnShamProblem, settings: PlaneWaveSettings, potential: FloatArray, bands: int) -> BlochBasis:
    """A basis by decomposition of full plane-wave solutions at the time-reversal-invariant momenta.

    Args:
        problem: cell and ions, whose plane waves are a union.
        settings: of which the smearing is used.
        potential: V_eff on the grid (n1·n2·n3,), Hartree.
        bands: number of bands that the basis has to represent.
    """
    geometry = problem.geometry
    m = problem.basis.wave_m[0]
    points = invariant_momenta(geometry.reciprocal)
    coarse = replace(
        problem.basis,
        k_points=points,
        k_cartesian=points @ geometry.reciprocal,
        k_weights=np.full(len(points), 1 / len(points)),
        wave_m=(m,) * len(points),
    )
    grid = potential.reshape(coarse.shape)
    pairs = [
        davidson(
            partial(block.apply, grid),
            block.kinetic,
            start_vectors(block, grid, bands + _EXTRA_BANDS),
            bands + _EXTRA_BANDS,
            tolerance=_COARSE_TOLERANCE,
        )
        for block in replace(problem, basis=coarse).blocks
    ]
    energies = np.array([p.values for p in pairs])
    fermi = occupy(
        energies, coarse.k_weights, problem.electrons, settings.smearing, settings.smearing_width
    ).fermi_energy
    weights = np.maximum(expit((fermi - energies) / _LEVEL_WIDTH), _LEAST_WEIGHT) / len(points)
    table = IndexTable(m)
    columns = [
        table.shifted(pair.vectors * np.sqrt(weight), shift)
        for point, pair, weight in zip(points, pairs, weights, strict=True)
        for shift in image_shifts(point, geometry.reciprocal)
    ]
    return BlochBasis.empty(m, functions_for(geometry)).extended(
        np.concatenate(columns, axis=1), energy_norm(problem, potential, fermi), discard=_FIRST_DISCARD
    )


def extended_basis(
    problem: KohnShamProblem,
    settings: PlaneWaveSettings,
    bloch: BlochBasis,
    potential: FloatArray,
    mesh: ReducedMesh,
    bands: int,
    tolerance: float,
) -> BlochBasis:
    """A basis extended until the estimated error of the band energy on a mesh is below a tolerance.

    Args:
        problem: cell and ions, whose plane waves are a union.
        settings: of which the smearing is used.
        bloch: basis to extend.
        potential: V_eff on the grid (n1·n2·n3,), Hartree.
        mesh: k points that represent the zone, in the first zone and away from its special points.
        bands: number of bands at each k point.
        tolerance: error of the band energy, Hartree per primitive cell.
    """
    moved = bloch.multiplied(problem.basis, potential)
    target = tolerance
    for _ in range(_MOST_ROUNDS):
        hamiltonian = ReducedHamiltonian.build(problem.geometry, bloch, mesh)
        matrix = block_diag(*(part.T @ product for part, product in zip(bloch.parts, moved, strict=True)))
        energies, vectors = dense_eigenpairs(hamiltonian, 0.5 * (matrix + matrix.T), bands)
        occupations = occupy(energies, mesh.weights, problem.electrons, settings.smearing, settings.smearing_width)
        orbitals = ReducedOrbitals(problem, bloch, None, mesh, hamiltonian, vectors)
        columns, error = missing_directions(orbitals, potential, energies, occupations.weights, moved)
        if error < target:
            break
        target = _HYSTERESIS * tolerance
        norm = energy_norm(problem, potential, occupations.fermi_energy)
        bloch = bloch.extended(columns, norm, discard=max(0.5 * target, _EACH_ROUND * error))
        moved = bloch.multiplied(problem.basis, potential, moved)
    return bloch
