"""Lowest eigenpairs of all H(k) in the reduced basis: batched block Davidson, preconditioned at a few nodes.

    C ← lowest of span[C, W],   W = U_node (Λ_node − ε)⁻¹ U_node† (H C − C ε)

Nodes are the centres of a coarse grid over the zone, where H is diagonalised completely. Their lowest vectors start the
k points around them, and their full spectra precondition the residuals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dsyevr, zheevr

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.engines.planewave.arithmetic import adjoint
from cellfields.engines.planewave.reduced.operators import ReducedHamiltonian

_GAP = 0.15  # Hartree; smallest denominator of the preconditioner
_EXTRA = 4  # node vectors beyond the bands that start a k point


@dataclass(frozen=True, eq=False)
class Nodes:
    """Complete eigendecompositions of H at M nodes.

    Attributes:
        values: (M, N_B) eigenvalues, Hartree.
        vectors: (M, N_B, N_B) eigenvectors.
        members: for each node the rows of the k points around it.
    """

    values: FloatArray
    vectors: Coefficients
    members: tuple[IntArray, ...]


def dense_eigenpairs(h: ReducedHamiltonian, potential: FloatArray, bands: int) -> tuple[FloatArray, Coefficients]:
    """Lowest eigenpairs by LAPACK's dsyevr or zheevr, one k point after the other.

    Args:
        h: H(k) without the potential.
        potential: V_eff in the reduced basis (N_B, N_B), Hartree.
        bands: number of eigenpairs n.

    Returns:
        Eigenvalues (K, n), Hartree, and eigenvectors (K, N_B, n).

    Raises:
        LinAlgError: LAPACK failed.
    """
    count, size = h.projections.shape[:2]
    values = np.empty((count, bands))
    vectors = np.empty((count, size, bands), dtype=h.projections.dtype)
    options = {"range": "I", "il": 1, "iu": bands, "compute_v": 1, "overwrite_a": 1}
    if np.iscomplexobj(vectors):
        options["lwork"] = 33 * size  # SciPy's default suits blocked tridiagonalisation in the real case only
    solver = zheevr if np.iscomplexobj(vectors) else dsyevr
    for row in range(count):
        w, z, _, _, info = solver(h.dense(potential, row), **options)
        if info != 0:
            raise np.linalg.LinAlgError(f"LAPACK's eigensolver failed with info = {info}")
        values[row], vectors[row] = w[:bands], z[:, :bands]
    return values, vectors


def make_nodes(nodes: ReducedHamiltonian, potential: FloatArray, members: tuple[IntArray, ...]) -> Nodes:
    """Complete eigendecompositions at the nodes.

    Args:
        nodes: H at the nodes, without the potential.
        potential: V_eff in the reduced basis (N_B, N_B), Hartree.
        members: for each node the rows of the k points around it.
    """
    matrices = np.stack([nodes.dense(potential, row) for row in range(len(nodes.k))])
    values, vectors = np.linalg.eigh(matrices)
    return Nodes(values, vectors, members)


@dataclass(frozen=True, eq=False)
class ReducedPairs:
    """Eigenpairs at all k, from which the solver can go on in another potential.

    Attributes:
        values: (K, n) eigenvalues, Hartree.
        vectors: (K, N_B, n) eigenvectors.
        h_vectors: (K, N_B, n) H(k) applied to the eigenvectors.
        potential: V_eff in the reduced basis (N_B, N_B), Hartree, in which H was applied.
        worst: largest weighted residual norm, Hartree.
    """

    values: FloatArray
    vectors: Coefficients
    h_vectors: Coefficients
    potential: FloatArray
    worst: float = np.inf


def start_from_nodes(h: ReducedHamiltonian, potential: FloatArray, nodes: Nodes, bands: int) -> ReducedPairs:
    """First eigenpairs of ``bands`` bands at every k point, in the span of the lowest vectors of its node."""
    count, size = h.projections.shape[:2]
    width = min(bands + _EXTRA, size)
    vectors = np.empty((count, size, width), dtype=nodes.vectors.dtype)
    for node, rows in enumerate(nodes.members):
        vectors[rows] = nodes.vectors[node][:, :width]
    return ReducedPairs(*_rayleigh_ritz(vectors, h.apply(potential, vectors), bands), potential)


def start_from_vectors(h: ReducedHamiltonian, potential: FloatArray, vectors: Coefficients) -> ReducedPairs:
    """Eigenpairs at every k point in the span of vectors (K, N_B, n) from a neighbouring problem."""
    return ReducedPairs(*_rayleigh_ritz(vectors, h.apply(potential, vectors), vectors.shape[2]), potential)


def refine(
    h: ReducedHamiltonian,
    potential: FloatArray,
    start: ReducedPairs,
    nodes: Nodes,
    *,
    tolerance: float,
    importance: FloatArray,
    max_steps: int,
) -> ReducedPairs:
    """Eigenpairs refined by Davidson steps at the k points where max(importance · ‖residual‖) exceeds a tolerance.

    Args:
        h: H(k) without the potential.
        potential: V_eff in the reduced basis (N_B, N_B), Hartree.
        start: eigenpairs to begin with, perhaps of another potential.
        nodes: preconditioner.
        tolerance: of weighted residual norms, Hartree.
        importance: (K, n) weights of residuals, the square roots of occupations, as errors count in ρ and F.
        max_steps: after which the pairs are returned whether they have converged or not.
    """
    h_vectors = start.h_vectors
    if potential is not start.potential:
        h_vectors = h_vectors + h.apply_potential(potential - start.potential, start.vectors)
    values, vectors, h_vectors = _rayleigh_ritz(start.vectors, h_vectors, start.vectors.shape[2])
    rows: IntArray = np.arange(len(values))
    worst = np.zeros(len(values))
    for step in range(max_steps + 1):
        every = len(rows) == len(values)
        x, hx, e = (vectors, h_vectors, values) if every else (vectors[rows], h_vectors[rows], values[rows])
        residual = hx - x * e[:, None, :]
        weighted = importance[rows] * _norms(residual)
        worst[rows] = weighted.max(axis=1)
        open_rows = weighted.max(axis=1) >= tolerance
        if step == max_steps or not open_rows.any():
            break
        columns = int(np.flatnonzero((weighted >= tolerance).any(axis=0))[-1]) + 1
        rows, x, hx, e = rows[open_rows], x[open_rows], hx[open_rows], e[open_rows]
        new = _preconditioned(nodes, rows, residual[open_rows][:, :, :columns], e[:, :columns])
        new = _orthogonal(new, x)
        values[rows], vectors[rows], h_vectors[rows] = _rayleigh_ritz(
            np.concatenate([x, new], axis=2), np.concatenate([hx, h.apply(potential, new, rows)], axis=2), x.shape[2]
        )
    return ReducedPairs(values, vectors, h_vectors, potential, float(worst.max()))


def _norms(vectors: Coefficients) -> FloatArray:
    """Norms (K, n) of vectors (K, N_B, n)."""
    return np.asarray(np.sqrt(np.einsum("kbn,kbn->kn", vectors.conj(), vectors).real))


def _rayleigh_ritz(
    basis: Coefficients, h_basis: Coefficients, bands: int
) -> tuple[FloatArray, Coefficients, Coefficients]:
    small = np.matmul(adjoint(basis), h_basis)
    values, rotation = np.linalg.eigh(0.5 * (small + adjoint(small)))
    rotation = rotation[:, :, :bands]
    return values[:, :bands].copy(), np.matmul(basis, rotation), np.matmul(h_basis, rotation)


def _preconditioned(nodes: Nodes, rows: IntArray, residual: Coefficients, values: FloatArray) -> Coefficients:
    """Preconditioned residuals U (Λ − ε)⁻¹ U† R (c, N_B, n) with the nodes' spectra, for the c k points ``rows``."""
    result = np.empty_like(residual)
    size, columns = residual.shape[1:]
    place = np.full(sum(len(members) for members in nodes.members), -1)
    place[rows] = np.arange(len(rows))
    for node, members in enumerate(nodes.members):
        served = place[members]
        served = served[served >= 0]
        if len(served) == 0:
            continue
        turned = adjoint(nodes.vectors[node]) @ residual[served].transpose(1, 0, 2).reshape(size, -1)
        turned /= np.maximum(nodes.values[node][:, None] - values[served].reshape(-1), _GAP)
        result[served] = (nodes.vectors[node] @ turned).reshape(size, len(served), columns).transpose(1, 0, 2)
    return result


def _orthogonal(new: Coefficients, vectors: Coefficients) -> Coefficients:
    """New directions (K, N_B, c) made orthonormal to the vectors (K, N_B, n), in two passes, and among themselves."""
    for _ in range(2):
        new = new - np.matmul(vectors, np.matmul(adjoint(vectors), new))
        new /= np.maximum(_norms(new)[:, None, :], 1e-300)
    return np.asarray(np.linalg.qr(new)[0])
