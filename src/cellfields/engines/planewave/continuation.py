"""What a solve may begin with: an earlier solve's density, orbitals and curvature, or a density from anywhere.

Everything is keyed by integer reciprocal vectors, so it carries over between strains and atom positions alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.mixing import AndersonMixer
from cellfields.engines.planewave.orbitals import PlaneWaveOrbitals
from cellfields.engines.planewave.reduced.bloch_basis import BlochBasis
from cellfields.engines.planewave.reduced.orbitals import ReducedOrbitals
from cellfields.engines.planewave.reduced.solver import carried_basis
from cellfields.engines.planewave.scf import GroundState
from cellfields.state.density_start import DensityStart

_CLOSE = 0.05  # Bohr


@dataclass(frozen=True, eq=False)
class PlaneWaveStart:
    """A continuation object; never stored in a state.

    Attributes:
        ground: the solution to continue from.
        hessian: (n, n) second derivatives along the relaxation's coordinates, Hartree/Bohr², or None.
        bloch: reduced basis to extend from, or None.
        mixer: history of density mixing: the response of the density, which a small step does not change.
    """

    ground: GroundState
    hessian: FloatArray | None = None
    bloch: BlochBasis | None = None
    mixer: AndersonMixer | None = None

    @classmethod
    def of(
        cls,
        ground: GroundState,
        settings: PlaneWaveSettings,
        *,
        compress: bool = True,
        mixer: AndersonMixer | None = None,
    ) -> PlaneWaveStart:
        """From a solution, with its reduced basis: the part worth keeping, or all of it."""
        return cls(ground, bloch=carried_basis(ground, settings if compress else None), mixer=mixer)

    def reduced_guess(self, problem: KohnShamProblem) -> tuple[ReducedOrbitals | None, bool]:
        """Orbitals in the reduced basis, and whether the new atoms are so close that its basis holds for them too."""
        old = self.ground.problem
        if not isinstance(self.ground.orbitals, ReducedOrbitals) or old.basis is not problem.basis:
            return None, False
        moved = (problem.geometry.positions - old.geometry.positions) @ problem.geometry.lattice
        return self.ground.orbitals, float(np.linalg.norm(moved, axis=1).max()) < _CLOSE

    def mixer_for(self, problem: KohnShamProblem, settings: PlaneWaveSettings) -> AndersonMixer:
        """A mixer for another problem; it remembers when the density's plane waves are the same."""
        old, new = self.ground.problem.basis, problem.basis
        same = old is new or np.array_equal(old.density_m, new.density_m)
        if self.mixer is None or not same:
            return AndersonMixer(new.inverse_g2, fraction=settings.mixing)
        return self.mixer.for_next_problem(new.inverse_g2)

    def density_for(self, problem: KohnShamProblem) -> Coefficients:
        """Start density (D,) for another problem: the old one, its ions' Gaussians moved to the new places."""
        old = self.ground.problem
        carried = _carry(old.basis, problem.basis, self.ground.density * old.basis.volume) / problem.basis.volume
        before = _carry(old.basis, problem.basis, old.superposed_density() * old.basis.volume) / problem.basis.volume
        density = carried + problem.superposed_density() - before
        density[0] = problem.electrons / problem.basis.volume
        return density

    def orbitals_for(self, problem: KohnShamProblem) -> tuple[Coefficients, ...] | None:
        """Start orbitals for each k, or None when the k meshes differ."""
        old, new = self.ground.problem.basis, problem.basis
        orbitals = self.ground.orbitals
        if not isinstance(orbitals, PlaneWaveOrbitals):
            return None
        if old.k_points.shape != new.k_points.shape or not np.allclose(old.k_points, new.k_points):
            return None
        if old is new:
            return orbitals.vectors
        carried = []
        for m_old, m_new, vectors in zip(old.wave_m, new.wave_m, orbitals.vectors, strict=True):
            carried.append(_carry_rows(m_old, m_new, vectors))
        return tuple(carried)


@dataclass(frozen=True, eq=False)
class FieldStart:
    """A density on the crystal's own cell, as a start of the plane-wave engine.

    Attributes:
        crystal: the reference crystal.
        source: the density and the atoms that it belongs to.
        hessian: as in :class:`PlaneWaveStart`.
    """

    crystal: Crystal
    source: DensityStart
    hessian: FloatArray | None = None
    bloch: None = None

    def reduced_guess(self, problem: KohnShamProblem) -> tuple[None, bool]:
        """No orbitals."""
        return None, False

    def orbitals_for(self, problem: KohnShamProblem) -> None:
        """No orbitals."""

    def mixer_for(self, problem: KohnShamProblem, settings: PlaneWaveSettings) -> AndersonMixer:
        """A mixer without memory."""
        return AndersonMixer(problem.basis.inverse_g2, fraction=settings.mixing)

    def density_for(self, problem: KohnShamProblem) -> Coefficients:
        """Start density (D,): G·a_c = 2π m_c and a_p = P a_c give m_p = P m_c, as in the fields of a state.

        The source may have been computed with its inversion centre imposed where this crystal's is free, or about
        another origin.

        Raises:
            InputError: the density belongs to another crystal, or was made with other pseudopotentials.
        """
        fields, basis = self.source.fields, problem.basis
        self.source.require(self.crystal, problem.electrons * self.crystal.n_translations)
        m_c = fields.basis.indices
        turn = np.exp(2j * np.pi * (m_c @ (self.crystal.origin - fields.basis.origin)))
        half = fields.coefficients["density"] * turn / fields.integral("density")
        m = np.rint(m_c @ self.crystal.primitive.T).astype(np.int64)
        both_m, both = np.concatenate([m, -m[1:]]), np.concatenate([half, half[1:].conj()])
        carried = _carry_rows(both_m, basis.density_m, basis.arithmetic.field(both)[:, None])[:, 0]
        density = carried * (problem.electrons / basis.volume)
        _, before = self.crystal.to_primitive(np.eye(3), self.source.positions)
        moved = problem.superposed_density() - problem.superposed_density(before)
        return np.asarray(density + moved)


def _carry(old: PlaneWaveBasis, new: PlaneWaveBasis, values: Coefficients) -> Coefficients:
    if old is new:
        return values
    return _carry_rows(old.density_m, new.density_m, values[:, None])[:, 0]


def _carry_rows(m_old: IntArray, m_new: IntArray, rows: Coefficients) -> Coefficients:
    """Rows (P_old, n) re-ordered to the integer vectors of m_new; vectors not known before get 0."""
    reach = int(max(np.abs(m_old).max(), np.abs(m_new).max()))
    table = np.full((2 * reach + 1,) * 3, -1)
    table[tuple((m_old + reach).T)] = np.arange(len(m_old))
    found = table[tuple((m_new + reach).T)]
    return np.where(found[:, None] >= 0, rows[found], 0.0)
