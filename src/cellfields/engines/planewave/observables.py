"""Observables of a ground state: forces, stress, energy terms and the four fields.

force_a = −∂F/∂R_a (Hellmann–Feynman),     σ = V⁻¹ ∂F/∂η (Nielsen and Martin, Phys. Rev. B 32, 3780 (1985))
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.crystal import Crystal
from cellfields.dft.starting_density import gaussian_form_factor
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.scf import GroundState
from cellfields.engines.planewave.terms import core, core_density, hartree, local, xc
from cellfields.state.fields import ElectronicFields, FourierBasis


def forces(ground: GroundState) -> FloatArray:
    """Forces (n, 3) on the primitive cell's atoms, Hartree/Bohr.

    They include the first-order correction for a density that is not quite self-consistent (Chan, Bohnen, Ho, Phys.
    Rev. B 47, 4771 (1993)), with the response of the density to a moving ion taken from superposed Gaussians. They add
    up to zero: by inversion, or because the small net force, with which the grid of E_xc resists a translation of the
    whole crystal, is subtracted in equal parts.
    """
    problem = ground.problem
    geometry, basis = problem.geometry, problem.basis
    total = local.forces(geometry, basis, ground.density) + problem.ewald.forces
    total += ground.orbitals.nonlocal_forces(ground.occupations.weights)
    if problem.core_density is not None:
        potential = xc.grid_potential(basis, ground.density, problem.functional, problem.core_density)
        total += core_density.forces(geometry, basis, potential)
    total += _self_consistency_correction(ground)
    return total if geometry.partners is not None else total - total.mean(axis=0)


def crystal_forces(ground: GroundState, crystal: Crystal) -> FloatArray:
    """Forces (N, 3) on the crystal's atoms, Hartree/Bohr, equal on translation images."""
    return on_all_atoms(crystal, forces(ground))


def on_all_atoms(crystal: Crystal, primitive: FloatArray) -> FloatArray:
    """Vectors (N, 3) on the crystal's atoms, equal on translation images, from those (n, 3) on the primitive cell's."""
    result = np.zeros((crystal.n_atoms, 3))
    for vector, atom in zip(primitive, crystal.primitive_atoms, strict=True):
        result[crystal.translation_images[:, atom]] = vector
    return result


def _self_consistency_correction(ground: GroundState) -> FloatArray:
    geometry, basis = ground.problem.geometry, ground.problem.basis
    missing = ground.potentials.effective - ground.potentials_in.effective
    phases = 2 * np.pi * basis.density_m @ geometry.positions.T
    shape = gaussian_form_factor(basis.density_g2)
    pulls = geometry.arithmetic.pull((shape * missing)[:, None], phases)
    return np.asarray(geometry.charges[:, None] * (pulls.T @ basis.density_g))


def stress(ground: GroundState) -> FloatArray:
    """Cauchy stress (3, 3), Hartree/Bohr³, tension positive: the exact derivative of F at fixed plane waves."""
    problem = ground.problem
    geometry, basis = problem.geometry, problem.basis
    total = (
        hartree.stress(basis, ground.density)
        + xc.stress(basis, ground.density, problem.functional, problem.core_density)
        + local.stress(geometry, basis, ground.density)
        + problem.ewald.stress
        + core.stress(geometry, problem.electrons)
        + ground.orbitals.stress(ground.occupations.weights)
    )
    if problem.core_density is not None:
        potential = xc.grid_potential(basis, ground.density, problem.functional, problem.core_density)
        total += core_density.strain_derivative(geometry, basis, potential)
    return np.asarray(0.5 * (total + total.T) / geometry.volume)


def energy_terms(ground: GroundState) -> dict[str, float]:
    """The parts that F is the sum of, by name, Hartree per primitive cell (paper, eq. 19 and 21)."""
    problem = ground.problem
    weights = ground.occupations.weights
    terms = {
        "kinetic": ground.orbitals.kinetic_energy(weights),
        "hartree": ground.potentials.hartree_energy,
        "xc": ground.potentials.xc_energy,
        "local_psp": local.energy(problem.basis, ground.density, problem.local_potential),
        "nonlocal_psp": ground.orbitals.nonlocal_energy(weights),
        "ewald": problem.ewald.energy,
        "psp_core": problem.core_energy,
        "entropic": ground.final_occupations.entropic_energy,
    }
    if ground.corrected is not None:
        terms["basis_correction"] = ground.final_occupations.band_energy - ground.occupations.band_energy
    return terms


def electronic_fields(ground: GroundState, crystal: Crystal, target: FourierBasis) -> ElectronicFields:
    """Fields ρ, φ, u, s of the crystal's cell.

    Args:
        ground: solution in the primitive cell.
        crystal: the reference crystal.
        target: Fourier basis in which they are expanded.
    """
    basis = ground.problem.basis
    occupations = ground.final_occupations
    densities = {
        "density": ground.density,
        "band_energy_density": ground.orbitals.density(occupations.weights * ground.final_energies),
        "entropy_density": ground.orbitals.density(occupations.entropies),
    }
    volume = basis.volume * crystal.n_translations
    coefficients: Mapping[str, Coefficients] = {
        **{name: volume * to_crystal(basis, crystal, target, values) for name, values in densities.items()},
        "coulomb_potential": to_crystal(basis, crystal, target, ground.potentials.coulomb),
    }
    return ElectronicFields(target, coefficients, volume)


def to_crystal(basis: PlaneWaveBasis, crystal: Crystal, target: FourierBasis, values: Coefficients) -> Coefficients:
    """Coefficients (M,) on the crystal's cell from density-sphere coefficients (D,) of the primitive cell.

    G·a_c = 2π m_c and a_p = P a_c give m_p = P m_c. Coefficients outside the sphere are zero.
    """
    m = np.rint(target.indices @ crystal.primitive.T).astype(np.int64)
    box = np.zeros(basis.grid_size, dtype=values.dtype)
    box[basis.density_index] = values
    resolved = (2 * np.abs(m) < np.array(basis.shape)).all(axis=1)
    return np.where(resolved, box[basis.flat_index(m)], 0.0)
