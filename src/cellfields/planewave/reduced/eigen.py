"""Lowest eigenpairs of all H(k) in the reduced basis: batched block Davidson, preconditioned at a few nodes.

    C ← lowest of span[C, W],   W = U_node (Λ_node − ε)⁻¹ U_nodeᵀ (H C − C ε)

Nodes are the centres of a coarse grid over the zone, where H is diagonalised completely: their lowest vectors start the
k points around them, their full spectrum preconditions the residuals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dsyevr

from cellfields._typing import FloatArray, IntArray
from cellfields.planewave.reduced.operators import ReducedHamiltonian

_GAP = 0.15  # Hartree; smallest denominator of the preconditioner
_EXTRA = 6  # node vectors beyond the bands that start a k point


@dataclass(frozen=True, eq=False)
class Nodes:
    """Complete eigendecompositions at coarse points.

    Attributes:
        values: (M, N_B); vectors: (M, N_B, N_B).
        members: for each node the rows of the k points it serves.
    """

    values: FloatArray
    vectors: FloatArray
    members: tuple[IntArray, ...]


def dense_eigenpairs(h: ReducedHamiltonian, potential: FloatArray, bands: int) -> tuple[FloatArray, FloatArray]:
    """Lowest ``bands`` eigenpairs (K, n), (K, N_B, n) by LAPACK's dsyevr, one k point after the other."""
    count, size = h.projections.shape[:2]
    values = np.empty((count, bands))
    vectors = np.empty((count, size, bands))
    for row in range(count):
        w, z, _, _, info = dsyevr(h.dense(potential, row), range="I", il=1, iu=bands, compute_v=1, overwrite_a=1)
        if info != 0:
            raise np.linalg.LinAlgError(f"dsyevr failed with info = {info}")
        values[row], vectors[row] = w[:bands], z[:, :bands]
    return values, vectors


def make_nodes(nodes: ReducedHamiltonian, potential: FloatArray, members: tuple[IntArray, ...]) -> Nodes:
    """Diagonalise completely at every node."""
    matrices = np.stack([nodes.dense(potential, row) for row in range(len(nodes.k))])
    values, vectors = np.linalg.eigh(matrices)
    return Nodes(values, vectors, members)


def start_from_nodes(
    h: ReducedHamiltonian, potential: FloatArray, nodes: Nodes, bands: int
) -> tuple[FloatArray, FloatArray]:
    """First eigenpairs of every k point in the span of the lowest vectors of its node."""
    count, size = h.projections.shape[:2]
    width = min(bands + _EXTRA, size)
    vectors = np.empty((count, size, width))
    for node, rows in enumerate(nodes.members):
        vectors[rows] = nodes.vectors[node][:, :width]
    values, vectors, _ = _rayleigh_ritz(vectors, h.apply(potential, vectors), bands)
    return values, vectors


def refine(
    h: ReducedHamiltonian,
    potential: FloatArray,
    vectors: FloatArray,
    nodes: Nodes,
    *,
    tolerance: float,
    importance: FloatArray,
    max_steps: int,
) -> tuple[FloatArray, FloatArray, float]:
    """Davidson steps from vectors (K, N_B, n) until max(importance · ‖residual‖) < ``tolerance``.

    ``importance`` (K, n) is the square root of the occupation: what a state's error counts in ρ and F.

    Returns:
        eigenvalues (K, n), vectors (K, N_B, n), largest weighted residual norm (Hartree).
    """
    bands = vectors.shape[2]
    values, vectors, h_vectors = _rayleigh_ritz(vectors, h.apply(potential, vectors), bands)
    step = 0
    while True:
        residual = h_vectors - vectors * values[:, None, :]
        norms = np.sqrt(np.einsum("kbn,kbn->kn", residual, residual))
        worst = float((importance * norms).max())
        if worst < tolerance or step == max_steps:
            return values, vectors, worst
        new = _orthogonal(_preconditioned(nodes, residual, values), vectors)
        basis = np.concatenate([vectors, new], axis=2)
        h_basis = np.concatenate([h_vectors, h.apply(potential, new)], axis=2)
        values, vectors, h_vectors = _rayleigh_ritz(basis, h_basis, bands)
        step += 1


def _rayleigh_ritz(basis: FloatArray, h_basis: FloatArray, bands: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    small = np.matmul(basis.transpose(0, 2, 1), h_basis)
    values, rotation = np.linalg.eigh(0.5 * (small + small.transpose(0, 2, 1)))
    rotation = rotation[:, :, :bands]
    return values[:, :bands], np.matmul(basis, rotation), np.matmul(h_basis, rotation)


def _preconditioned(nodes: Nodes, residual: FloatArray, values: FloatArray) -> FloatArray:
    result = np.empty_like(residual)
    size, bands = residual.shape[1:]
    for node, rows in enumerate(nodes.members):
        turned = nodes.vectors[node].T @ residual[rows].transpose(1, 0, 2).reshape(size, -1)
        turned /= np.maximum(nodes.values[node][:, None] - values[rows].reshape(-1), _GAP)
        result[rows] = (nodes.vectors[node] @ turned).reshape(size, len(rows), bands).transpose(1, 0, 2)
    return result


def _orthogonal(new: FloatArray, vectors: FloatArray) -> FloatArray:
    """Orthonormalise new directions against the vectors and among themselves, twice for safety."""
    for _ in range(2):
        new = new - np.matmul(vectors, np.matmul(vectors.transpose(0, 2, 1), new))
        new = new / np.maximum(np.linalg.norm(new, axis=1, keepdims=True), 1e-300)
        new, _r = np.linalg.qr(new)
    return np.asarray(new)
