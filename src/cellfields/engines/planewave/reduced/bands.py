"""The band solver of the reduced basis: small eigenproblems at all k, dense or batched from earlier eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.eigen import (
    Nodes,
    ReducedPairs,
    dense_eigenpairs,
    make_nodes,
    refine,
    start_from_nodes,
    start_from_vectors,
)
from cellfields.engines.planewave.reduced.mesh import ReducedMesh
from cellfields.engines.planewave.reduced.operators import RealSpace, ReducedHamiltonian
from cellfields.engines.planewave.reduced.orbitals import ReducedOrbitals
from cellfields.errors import InputError

_FEW = 100  # k points up to which LAPACK, one by one, is faster than the batched solver
_PER_NODE = 40  # approximate number of k points for each node


@dataclass(frozen=True, eq=False)
class ReducedSpace:
    """A reduced basis of a problem, in plane waves and on the grid, independent of the potential.

    Attributes:
        problem: cell and ions.
        bloch: basis functions in plane waves.
        real_space: basis functions on the FFT grid.
    """

    problem: KohnShamProblem
    bloch: BlochBasis
    real_space: RealSpace

    @classmethod
    def of(cls, problem: KohnShamProblem, bloch: BlochBasis) -> ReducedSpace:
        """The space of these basis functions, which are transformed to the grid."""
        return cls(problem, bloch, RealSpace.of(problem.basis, bloch))


class ReducedBands:
    """The :class:`~cellfields.engines.planewave.bands.BandSolver` in a reduced basis."""

    def __init__(
        self, space: ReducedSpace, mesh: ReducedMesh, bands: int, guess: ReducedOrbitals | None = None
    ) -> None:
        """Prepare for a number of bands.

        Args:
            space: the reduced basis.
            mesh: k points in the first zone.
            bands: number of bands at each k point.
            guess: orbitals in this basis at these k points, from which the solver starts.

        Raises:
            InputError: the basis has fewer functions than bands.
        """
        if bands > space.bloch.size:
            raise InputError(
                f"bands: {bands} are wanted, more than the {space.bloch.size} functions of the reduced basis; "
                'choose basis = "full"'
            )
        self._space = space
        self._mesh = mesh
        self.k_weights = mesh.weights
        self.bands = bands
        self._hamiltonian = ReducedHamiltonian.build(space.problem.geometry, space.bloch, mesh)
        self._vectors: Coefficients | None = None
        self._pairs: ReducedPairs | None = None
        self._nodes: Nodes | None = None
        self._importance = self._unknown_importance()
        if guess is not None and guess.nodes is not None and guess.vectors.shape[2] >= bands:
            self._nodes, self._vectors = guess.nodes, guess.vectors[:, :, :bands]

    def solve(self, potential: FloatArray, tolerance: float) -> tuple[FloatArray, float]:
        """Implement :meth:`BandSolver.solve`."""
        matrix = self._space.real_space.matrix(potential)
        if len(self._mesh.points) <= _FEW:
            values, self._vectors = dense_eigenpairs(self._hamiltonian, matrix, self.bands)
            return values, 0.0
        if self._nodes is None:
            self._nodes = self._make_nodes(matrix)
        if self._pairs is None and self._vectors is not None:
            self._pairs = start_from_vectors(self._hamiltonian, matrix, self._vectors)
        if self._pairs is None:
            self._pairs = start_from_nodes(self._hamiltonian, matrix, self._nodes, self.bands)
        self._pairs = refine(
            self._hamiltonian,
            matrix,
            self._pairs,
            self._nodes,
            tolerance=tolerance,
            importance=self._importance,
            max_steps=12,
        )
        self._vectors = self._pairs.vectors
        return self._pairs.values, self._pairs.worst

    def learn(self, per_state: FloatArray) -> None:
        """Implement :meth:`BandSolver.learn`."""
        self._importance = np.sqrt(np.minimum(np.abs(per_state) / 2, 1.0))
        if ((per_state == 0) | (per_state == 2)).all():
            # With filled bands the first empty one decides the gap and the Fermi level in it.
            first_empty = np.minimum((per_state > 0).sum(axis=1), self.bands - 1)
            self._importance[np.arange(len(per_state)), first_empty] = 1e-2

    def grow(self, bands: int) -> None:
        """Implement :meth:`BandSolver.grow`."""
        if bands > self._space.bloch.size:
            raise InputError(
                f"smearing_width: {bands} bands are needed, more than the {self._space.bloch.size} functions of the "
                'reduced basis; choose basis = "full"'
            )
        self.bands = bands
        self._importance = self._unknown_importance()
        self._pairs = self._vectors = None

    def orbitals(self) -> ReducedOrbitals:
        """Implement :meth:`BandSolver.orbitals`."""
        assert self._vectors is not None
        s, h = self._space, self._hamiltonian
        return ReducedOrbitals(s.problem, s.bloch, s.real_space, self._mesh, h, self._vectors, self._nodes)

    def _unknown_importance(self) -> FloatArray:
        """Importance (K, n) before occupations are known: 1 for the bands that electrons fill and one more, else 0."""
        filled = int(np.ceil(self._space.problem.electrons / 2)) + 1
        return np.repeat((np.arange(self.bands) < filled)[None, :], len(self._mesh.points), axis=0).astype(float)

    def _make_nodes(self, matrix: FloatArray) -> Nodes:
        geometry = self._space.problem.geometry
        members = cluster(self._mesh.points, geometry.reciprocal, max(1, len(self._mesh.points) // _PER_NODE))
        centres = np.array([self._mesh.points[rows].mean(axis=0) for rows in members])
        centre_mesh = ReducedMesh(geometry, self._space.bloch.m, centres, np.full(len(centres), 1 / len(centres)))
        nodes = ReducedHamiltonian.build(geometry, self._space.bloch, centre_mesh)
        return make_nodes(nodes, matrix, members)


def cluster(points: FloatArray, reciprocal: FloatArray, count: int) -> tuple[IntArray, ...]:
    """Group k points into compact cells of a Cartesian grid.

    Args:
        points: (K, 3) in reciprocal coordinates.
        reciprocal: (3, 3) rows, 1/Bohr.
        count: approximate number of groups.

    Returns:
        For each group the rows of its points.
    """
    k = points @ reciprocal
    extent = np.ptp(k, axis=0)
    wide = extent[extent > 1e-3 * max(extent.max(), 1e-9)]
    edge = (wide.prod() / count) ** (1 / max(len(wide), 1)) + 1e-9
    cells = np.floor((k - k.min(axis=0)) / edge).astype(np.int64)
    _, labels = np.unique(cells, axis=0, return_inverse=True)
    labels = labels.reshape(-1)
    return tuple(np.flatnonzero(labels == label) for label in range(labels.max() + 1))
