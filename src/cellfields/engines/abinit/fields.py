"""The four fields of the crystal from ABINIT's files.

    ρ, φ from its FFT grid,      u = Σ w f E |ψ|²,  s = Σ w 2S₁ |ψ|²  from its wavefunctions   (paper, eq. 17, 18)

f and S₁ are this package's functions of ABINIT's eigenvalues and Fermi level, so that ∫u = U and −σ∫s = −TS hold to
rounding. The Fermi level is ABINIT's, as with cold smearing several may hold the electrons, and ρ belongs to one of
them. Meshes halved by time reversal give the same fields, as |ψ_−k|² = |ψ_k|².
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.dft.occupation import SMEARINGS, Occupations, occupy
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit.output import AbinitOrbitals, AbinitOutput
from cellfields.errors import CorruptFileError
from cellfields.state.fields import ElectronicFields, FourierBasis

_SAME_OCCUPATION = 1e-5  # ABINIT interpolates in a table, which leaves 1e-8


def occupations_of(output: AbinitOutput, settings: PlaneWaveSettings) -> Occupations:
    """Electrons in each of ABINIT's states, at ABINIT's E_F, or at the middle of the gap where bands are filled.

    Args:
        output: with orbitals.
        settings: whose smearing and width are used.

    Raises:
        CorruptFileError: the occupations that ABINIT wrote differ by more than 1e-5.
    """
    assert output.orbitals is not None
    energies, weights = output.orbitals.energies, output.orbitals.k_weights
    if settings.smearing == "none":
        occupations = occupy(energies, weights, output.electrons, "none", settings.smearing_width)
    else:
        form, fermi, width = SMEARINGS[settings.smearing], output.energies["fermi_energy"], settings.smearing_width
        x = (fermi - energies) / width
        per_state = 2 * form.occupation(x)
        filled, entropies = weights[:, None] * per_state, weights[:, None] * 2 * form.entropy(x)
        band_energy, entropic_energy = float((filled * energies).sum()), -width * float(entropies.sum())
        occupations = Occupations(fermi, filled, entropies, band_energy, entropic_energy, per_state)
    difference = float(np.abs(occupations.per_state - output.orbitals.occupations).max())
    if difference > _SAME_OCCUPATION:
        raise CorruptFileError(
            f"ABINIT's occupations do not follow from its eigenvalues: they are off by {difference:.1e}"
        )
    return occupations


def electronic_fields(
    output: AbinitOutput, occupations: Occupations, crystal: Crystal, target: FourierBasis, cutoff: float
) -> ElectronicFields:
    """Fields ρ, φ, u, s of the crystal's cell.

    Args:
        output: with density, Coulomb potential and orbitals.
        occupations: electrons in each state of the output.
        crystal: the reference crystal.
        target: Fourier basis in which they are expanded.
        cutoff: of the orbitals, Hartree.
    """
    assert output.density is not None and output.coulomb_potential is not None and output.orbitals is not None
    volume = float(np.linalg.det(output.lattice))
    weights = np.stack([occupations.weights * output.orbitals.energies, occupations.entropies])
    band_energy, entropy = _orbital_sums(output.orbitals, weights, output.density.shape) / volume
    copies = volume * crystal.n_translations
    densities = {"density": output.density, "band_energy_density": band_energy, "entropy_density": entropy}
    coefficients = {
        name: copies * _to_crystal(values, output.lattice, crystal, target, cutoff)
        for name, values in densities.items()
    }
    potential = _to_crystal(output.coulomb_potential, output.lattice, crystal, target, cutoff)
    potential[0] = 0.0  # m = 0 comes first; the zero of φ is its mean
    return ElectronicFields(target, {**coefficients, "coulomb_potential": potential}, copies)


def _orbital_sums(orbitals: AbinitOrbitals, weights: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Sums Σ_{nk} w_{ank} |u_{nk}(r)|² on the FFT grid (A, n1, n2, n3), for weights (A, K, n)."""
    total = np.zeros((len(weights), *shape))
    for k, (waves, vectors) in enumerate(zip(orbitals.waves, orbitals.coefficients, strict=True)):
        filled = np.flatnonzero(np.abs(weights[:, k]).max(axis=0) > 0)
        box = np.zeros((len(filled), *shape), dtype=complex)
        box[(slice(None), *(waves % shape).T)] = vectors[filled]
        squares = np.abs(np.fft.ifftn(box, axes=(1, 2, 3), norm="forward")) ** 2
        total += np.einsum("an,nxyz->axyz", weights[:, k, filled], squares)
    return total


def _to_crystal(
    values: FloatArray, lattice: FloatArray, crystal: Crystal, target: FourierBasis, cutoff: float
) -> Array:
    """Coefficients (M,) on the crystal's cell, from values (n1, n2, n3) on the primitive cell's FFT grid.

    G·a_c = 2π m_c and a_p = P a_c give m_p = P m_c. Beyond the density's sphere ½|G|² < 4 E_cut there is only the tail
    of the ions' potential, which has no matrix elements between orbitals; it is left out, as in the embedded engine.
    """
    shape = np.array(values.shape)
    m = np.rint(target.indices @ crystal.primitive.T).astype(np.int64)
    g = m @ (2 * np.pi * np.linalg.inv(lattice).T)
    inside = ((g**2).sum(axis=1) / 2 < 4 * cutoff) & (2 * np.abs(m) < shape).all(axis=1)
    spectrum = np.fft.fftn(values, norm="forward")
    coefficients = np.where(inside, spectrum[tuple((m % shape).T)], 0.0)
    return np.asarray(coefficients.real if target.real else coefficients)
