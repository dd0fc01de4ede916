"""The Kohn–Sham Hamiltonian at each k point:  H(k) = ½|k+G|² + V_eff(r) + Σ β h β   (paper, eq. 1).

V_eff = V_H + V_loc + V_xc. A :class:`KohnShamProblem` holds what stays fixed during self-consistency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.dft.settings import Functional
from cellfields.dft.starting_density import gaussian_form_factor
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.terms import core, core_density, hartree, local, xc
from cellfields.engines.planewave.terms.ewald import Ewald, ewald
from cellfields.engines.planewave.terms.nonlocal_ import Projectors, projectors


@dataclass(frozen=True, eq=False)
class Potentials:
    """Potentials and energies of a density, in Hartree.

    Attributes:
        effective: V_H + V_loc + V_xc (D,).
        coulomb: V_H + V_loc (D,), zero mean.
        xc: V_xc (D,).
        hartree_energy: E_H per primitive cell.
        xc_energy: E_xc per primitive cell.
    """

    effective: Coefficients
    coulomb: Coefficients
    xc: Coefficients
    hartree_energy: float
    xc_energy: float


class BlochHamiltonian:
    """H at one k point, but for the effective potential, which the methods take.

    Attributes:
        q: (P, 3) k + G, 1/Bohr.
        kinetic: (P,) ½|k+G|², Hartree.
        index: (P,) flat FFT index of the plane waves.
        projectors: the non-local pseudopotential.
        dtype: of coefficients.
    """

    def __init__(self, basis: PlaneWaveBasis, index: IntArray, q: FloatArray, nonlocal_part: Projectors) -> None:
        self.q = q
        energies = 0.5 * (q**2).sum(axis=1)
        self.kinetic: FloatArray = basis.kinetic.values(energies)
        self.kinetic_slopes: FloatArray = basis.kinetic.slopes(energies)
        self.index = index
        self.projectors = nonlocal_part
        self.dtype = basis.arithmetic.dtype
        self._basis = basis

    def apply(self, potential: FloatArray, vectors: Coefficients) -> Coefficients:
        """H u (P, n) of coefficient vectors u (P, n), with V_eff on the grid, shaped (n1, n2, n3)."""
        result = self._basis.multiply(potential, self.index, vectors)
        result += self.kinetic[:, None] * vectors
        result += self.projectors.apply(vectors)
        return result

    def among(self, potential: FloatArray, chosen: IntArray) -> Coefficients:
        """Matrix ⟨G|H|G'⟩ (n, n) among some of the plane waves, by one FFT of the potential.

        Args:
            potential: V_eff on the grid, shaped (n1, n2, n3).
            chosen: (n,) rows of the plane waves in the sphere.
        """
        shape = np.array(potential.shape)
        m = np.stack(np.unravel_index(self.index[chosen], potential.shape), axis=-1)
        spectrum = self._basis.arithmetic.field(scipy.fft.fftn(potential, norm="forward"))
        matrix = spectrum[tuple(np.moveaxis((m[:, None] - m[None]) % shape, -1, 0))].astype(self.dtype)
        unit = np.zeros((len(self.kinetic), len(chosen)), dtype=self.dtype)
        unit[chosen, np.arange(len(chosen))] = 1.0
        return np.asarray(matrix + np.diag(self.kinetic[chosen]) + self.projectors.apply(unit)[chosen])


@dataclass(frozen=True, eq=False)
class KohnShamProblem:
    """The Kohn–Sham equations of one primitive cell with its ions in place.

    Attributes:
        geometry: lattice and ions.
        basis: plane waves.
        electrons: per primitive cell (the geometry's; tests may take another number).
        functional: of exchange and correlation.
    """

    geometry: Geometry
    basis: PlaneWaveBasis
    electrons: float
    functional: Functional = "lda"

    @cached_property
    def core_density(self) -> FloatArray | None:
        """ρ_c on the grid (N,) of the non-linear core correction, where ions have one."""
        return core_density.density(self.geometry, self.basis)

    @cached_property
    def local_potential(self) -> Coefficients:
        """Local pseudopotential V_loc (D,), Hartree."""
        return local.potential(self.geometry, self.basis)

    @cached_property
    def ewald(self) -> Ewald:
        """Ion–ion energy, forces and strain derivative."""
        return ewald(self.geometry)

    @cached_property
    def core_energy(self) -> float:
        """Energy E_core of the ions' finite size, Hartree per primitive cell."""
        return core.energy(self.geometry, self.electrons)

    @cached_property
    def blocks(self) -> tuple[BlochHamiltonian, ...]:
        """H at every k point."""
        basis = self.basis
        result = []
        for m, index, k in zip(basis.wave_m, basis.wave_index, basis.k_cartesian, strict=True):
            q = m @ basis.reciprocal + k
            result.append(BlochHamiltonian(basis, index, q, projectors(self.geometry, m, q)))
        return tuple(result)

    def potentials(self, density: Coefficients) -> Potentials:
        """Potentials and energies of a density (D,), electrons/Bohr³."""
        coulomb = hartree.potential(self.basis, density) + self.local_potential
        xc_energy, xc_potential = xc.energy_and_potential(self.basis, density, self.functional, self.core_density)
        return Potentials(coulomb + xc_potential, coulomb, xc_potential, hartree.energy(self.basis, density), xc_energy)

    def superposed_density(self, positions: FloatArray | None = None) -> Coefficients:
        """Start density (D,): a Gaussian of the valence charge at each ion, scaled to the electron number.

        Args:
            positions: (n, 3) fractional in the primitive cell; the ions' positions unless given.
        """
        places = self.geometry.positions if positions is None else positions
        phases = 2 * np.pi * self.basis.density_m @ places.T
        shape = gaussian_form_factor(self.basis.density_g2)
        density = shape * (self.basis.arithmetic.wave(phases) @ self.geometry.charges) / self.geometry.volume
        return np.asarray(density * (self.electrons / (density[0].real * self.geometry.volume)))
