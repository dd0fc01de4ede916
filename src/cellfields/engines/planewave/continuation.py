"""Starts of a solve: the density, orbitals and curvature of an earlier solve, or a density from another source.

All are expanded in integer reciprocal vectors, so that they carry over to other strains and atom positions.
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

_CLOSE = 0.05  # Bohr: if no atom moved further, the reduced basis needs no new test


@dataclass(frozen=True, eq=False)
class PlaneWaveStart:
    """The start that one solve hands to the next; it is never stored in a state.

    Attributes:
        ground: the solution to continue from.
        hessian: (n_int, n_int) second derivatives along the relaxation's coordinates, Hartree/Bohr², or None.
        bloch: reduced basis to extend from, or None.
        mixer: density mixer with its history, which describes the response of the density, or None.
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
        """A start from a solution.

        Args:
            ground: the solution, in plane waves or in a reduced basis.
            settings: of the engine.
            compress: keep only the part of a reduced basis that the occupied orbitals use.
            mixer: density mixer with its history.
        """
        return cls(ground, bloch=carried_basis(ground, settings if compress else None), mixer=mixer)

    def reduced_guess(self, problem: KohnShamProblem) -> tuple[ReducedOrbitals | None, bool]:
        """Orbitals in the reduced basis, or None, and whether the atoms are close enough to keep that basis."""
        old = self.ground.problem
        if not isinstance(self.ground.orbitals, ReducedOrbitals) or old.basis is not problem.basis:
            return None, False
        moved = (problem.geometry.positions - old.geometry.positions) @ problem.geometry.lattice
        return self.ground.orbitals, float(np.linalg.norm(moved, axis=1).max()) < _CLOSE

    def mixer_for(self, problem: KohnShamProblem, settings: PlaneWaveSettings) -> AndersonMixer:
        """A density mixer for another problem, with this one's history where the density's plane waves are the same."""
        old, new = self.ground.problem.basis, problem.basis
        same = old is new or np.array_equal(old.density_m, new.density_m)
        if self.mixer is None or not same:
            return AndersonMixer(new.inverse_g2, fraction=settings.mixing)
        return self.mixer.for_next_problem(new.inverse_g2)

    def density_for(self, problem: KohnShamProblem) -> Coefficients:
        """Start density (D,) for another problem: the old one, with Gaussians of the ions moved along with them."""
        old = self.ground.problem
        carried = _carry(old.basis, problem.basis, self.ground.density * old.basis.volume) / problem.basis.volume
        before = _carry(old.basis, problem.basis, old.superposed_density() * old.basis.volume) / problem.basis.volume
        density = carried + problem.superposed_density() - before
        density[0] = problem.electrons / problem.basis.volume
        return density

    def orbitals_for(self, problem: KohnShamProblem) -> tuple[Coefficients, ...] | None:
        """Start orbitals (P_k, n) for each k point; None where the k meshes differ, or from a reduced basis."""
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
    """A density on the crystal's cell, as a start of the plane-wave engine.

    Attributes:
        crystal: the reference crystal.
        source: the density and the atoms that it belongs to.
        hessian: (n_int, n_int) second derivatives along the relaxation's coordinates, Hartree/Bohr², or None.
        bloch: None, as there is no reduced basis.
    """

    crystal: Crystal
    source: DensityStart
    hessian: FloatArray | None = None
    bloch: None = None

    def reduced_guess(self, problem: KohnShamProblem) -> tuple[None, bool]:
        """None and False, as there are no orbitals."""
        return None, False

    def orbitals_for(self, problem: KohnShamProblem) -> None:
        """None, as there are no orbitals."""

    def mixer_for(self, problem: KohnShamProblem, settings: PlaneWaveSettings) -> AndersonMixer:
        """A density mixer without history."""
        return AndersonMixer(problem.basis.inverse_g2, fraction=settings.mixing)

    def density_for(self, problem: KohnShamProblem) -> Coefficients:
        """Start density (D,) of a problem, from a field of the crystal's cell: m_p = P m_c, as a_p = P a_c.

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
    """Rows (P_old, n) re-ordered to the integer vectors of m_new; vectors that m_old lacks get 0."""
    reach = int(max(np.abs(m_old).max(), np.abs(m_new).max()))
    table = np.full((2 * reach + 1,) * 3, -1)
    table[tuple((m_old + reach).T)] = np.arange(len(m_old))
    old_rows = table[tuple((m_new + reach).T)]
    return np.where(old_rows[:, None] >= 0, rows[old_rows], 0.0)
