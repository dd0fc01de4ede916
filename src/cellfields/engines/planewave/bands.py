"""Band solvers: the lowest eigenpairs at every k point for V_eff on the grid.

Self-consistency (scf.py) takes any of them: the one in full plane waves, here, or in a reduced Bloch basis (reduced/).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import scipy.linalg

from cellfields._typing import Coefficients, FloatArray
from cellfields.dft.band_filling import EMPTY
from cellfields.engines.planewave.arithmetic import overlap
from cellfields.engines.planewave.eigensolver import davidson
from cellfields.engines.planewave.hamiltonian import BlochHamiltonian, KohnShamProblem
from cellfields.engines.planewave.orbitals import Orbitals, PlaneWaveOrbitals
from cellfields.errors import InputError

_START_EXTRA = 4  # start vectors beyond the wanted bands
_SLOW = 8  # plane waves for each start vector, of which it is made


class BandSolver(Protocol):
    """A solver for the lowest eigenpairs at the k points of a mesh, each call of which begins where the last ended."""

    @property
    def bands(self) -> int:
        """Number of bands n at each k point."""

    @property
    def k_weights(self) -> FloatArray:
        """Weights (K,) of the k points, summing to 1."""

    def solve(self, potential: FloatArray, tolerance: float) -> tuple[FloatArray, float]:
        """Eigenvalues (K, n) and the largest residual norm of the needed bands, Hartree.

        Args:
            potential: V_eff on the grid (n1·n2·n3,), Hartree.
            tolerance: residual norm at which a band has converged, Hartree.
        """

    def learn(self, per_state: FloatArray) -> None:
        """Take over the occupations (K, n), as empty bands need not converge."""

    def grow(self, bands: int) -> None:
        """Solve for this larger number of bands from now on.

        Raises:
            InputError: there are fewer basis functions than bands.
        """

    def orbitals(self) -> Orbitals:
        """The orbitals of the last call of :meth:`solve`."""


class PlaneWaveBands:
    """The :class:`BandSolver` in full plane waves, by Davidson's method at each k point."""

    def __init__(self, problem: KohnShamProblem, bands: int, vectors: Sequence[Coefficients] | None = None) -> None:
        """Prepare for a number of bands.

        Args:
            problem: the cell.
            bands: number of bands at each k point.
            vectors: start orbitals (P_k, ≥ 1) for each k point, or None to make them from the first potential.

        Raises:
            InputError: there are fewer plane waves than bands at some k point.
        """
        self._problem = problem
        self.bands = possible_bands(problem, bands)
        self.k_weights = problem.basis.k_weights
        self._vectors: list[Coefficients] = []  # none yet
        if vectors is not None:
            self._vectors = [
                _grown(block, x, bands) if x.shape[1] < bands else x
                for block, x in zip(problem.blocks, vectors, strict=True)
            ]
        self._needed = [bands] * len(problem.blocks)

    def solve(self, potential: FloatArray, tolerance: float) -> tuple[FloatArray, float]:
        """Implement :meth:`BandSolver.solve`."""
        grid = potential.reshape(self._problem.basis.shape)
        if not self._vectors:
            self._vectors = [start_vectors(block, grid, self.bands) for block in self._problem.blocks]
        values = np.empty((len(self._vectors), self.bands))
        worst = 0.0
        for i, block in enumerate(self._problem.blocks):
            pairs = davidson(
                partial(block.apply, grid),
                block.kinetic,
                self._vectors[i],
                self.bands,
                tolerance=tolerance,
                needed=self._needed[i],
            )
            values[i], self._vectors[i] = pairs.values, pairs.vectors
            worst = max(worst, float(pairs.residuals[: self._needed[i]].max()))
        return values, worst

    def learn(self, per_state: FloatArray) -> None:
        """Implement :meth:`BandSolver.learn`."""
        filled = (np.abs(per_state) > EMPTY).sum(axis=1)
        self._needed = [max(1, min(int(n) + 1, self.bands)) for n in filled]

    def grow(self, bands: int) -> None:
        """Implement :meth:`BandSolver.grow`."""
        blocks = self._problem.blocks
        bands = possible_bands(self._problem, bands)
        if self._vectors:
            self._vectors = [_grown(block, x, bands) for block, x in zip(blocks, self._vectors, strict=True)]
        self.bands = bands
        self._needed = [bands] * len(blocks)

    def orbitals(self) -> PlaneWaveOrbitals:
        """Implement :meth:`BandSolver.orbitals`."""
        return PlaneWaveOrbitals(self._problem, tuple(self._vectors))


def possible_bands(problem: KohnShamProblem, bands: int) -> int:
    """The number of bands, once it is clear that every k point has as many plane waves.

    Raises:
        InputError: some k point has fewer.
    """
    fewest = min(len(m) for m in problem.basis.wave_m)
    if bands > fewest:
        raise InputError(
            f"cutoff: it leaves {fewest} plane waves at a k point, too few for {bands} bands; raise the cutoff"
        )
    return bands


def start_vectors(block: BlochHamiltonian, potential: FloatArray, bands: int) -> Coefficients:
    """Start vectors (P, bands + a few): the lowest eigenvectors of H among the plane waves of lowest kinetic energy.

    The few lowest plane waves themselves would not do: in a crystal of high symmetry a band may be orthogonal to all of
    them, and Davidson's method does not find such a band.

    Args:
        block: H at a k point.
        potential: V_eff on the grid, shaped (n1, n2, n3), Hartree.
        bands: number of bands.
    """
    count = min(bands + _START_EXTRA, len(block.kinetic))
    slow = np.argsort(block.kinetic, kind="stable")[: _SLOW * count]
    _, rotation = scipy.linalg.eigh(
        block.among(potential, slow), subset_by_index=(0, count - 1), overwrite_a=True, check_finite=False
    )
    vectors = np.zeros((len(block.kinetic), count), dtype=block.dtype)
    vectors[slow] = rotation
    return vectors


def slowest_plane_waves(block: BlochHamiltonian, bands: int) -> Coefficients:
    """Vectors (P, bands + a few): the plane waves of lowest kinetic energy."""
    count = min(bands + _START_EXTRA, len(block.kinetic))
    vectors = np.zeros((len(block.kinetic), count), dtype=block.dtype)
    vectors[np.argsort(block.kinetic, kind="stable")[:count], np.arange(count)] = 1.0
    return vectors


def _grown(block: BlochHamiltonian, vectors: Coefficients, bands: int) -> Coefficients:
    """Orbitals and more start vectors: plane waves made orthogonal to them, those that keep most of their norm."""
    extra = slowest_plane_waves(block, bands)
    extra = extra - vectors @ overlap(vectors, extra)
    norms = np.linalg.norm(extra, axis=0)
    keep = np.argsort(-norms, kind="stable")[: bands - vectors.shape[1] + 2]
    return np.concatenate([vectors, extra[:, np.sort(keep)]], axis=1)
