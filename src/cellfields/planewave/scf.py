"""Self-consistency:  ρ → V_eff[ρ] → (E, ψ) → f → ρ_out, until ρ_out = ρ.

    F_KS[ρ_out] = U − ∫V_in ρ_out + ∫V_loc ρ_out + E_H[ρ_out] + E_xc[ρ_out] + E_Ewald + E_core − TS
    F_Harris[ρ_in] = U − E_H[ρ_in] − ∫V_xc ρ_in + E_xc[ρ_in] + E_Ewald + E_core − TS

Both are stationary; their difference measures what is left to converge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import SCFNotConverged
from cellfields.planewave.density import weighted_density
from cellfields.planewave.eigensolver import davidson
from cellfields.planewave.hamiltonian import BlochHamiltonian, KohnShamProblem, Potentials
from cellfields.planewave.mixing import AndersonMixer
from cellfields.planewave.occupation import Occupations, occupy
from cellfields.planewave.settings import PlaneWaveSettings
from cellfields.planewave.terms import local

_EMPTY = 1e-10  # occupation below which a band need not converge
_START_EXTRA = 4  # start vectors beyond the wanted bands
_LOOSEST, _TIGHTEST = 1e-2, 1e-8  # bounds of the eigensolver's residual norm, Hartree
_EIGEN_TO_DENSITY = 0.03  # eigensolver tolerance over density residual: looser spoils the mixing history


@dataclass(frozen=True, eq=False)
class GroundState:
    """Self-consistent solution of a :class:`KohnShamProblem`.

    Attributes:
        problem: what was solved.
        density: ρ_out (D,); density_in the one whose potential made the orbitals.
        potentials: of ``density``; potentials_in of ``density_in``.
        orbitals: for each k coefficients (P_k, n).
        energies: (K, n) eigenvalues.
        occupations: of the states.
        free_energy: F_KS.
        history: one mapping a step.
    """

    problem: KohnShamProblem
    density: FloatArray
    density_in: FloatArray
    potentials: Potentials
    potentials_in: Potentials
    orbitals: tuple[FloatArray, ...]
    energies: FloatArray
    occupations: Occupations
    free_energy: float
    history: tuple[dict[str, float], ...]


def solve_scf(
    problem: KohnShamProblem,
    settings: PlaneWaveSettings,
    *,
    density: FloatArray | None = None,
    orbitals: Sequence[FloatArray] | None = None,
) -> GroundState:
    """Iterate to self-consistency.

    Args:
        problem: cell, ions, basis.
        settings: tolerances, smearing, bands.
        density: start density (D,), or None for superposed ions.
        orbitals: start orbitals for each k, or None.

    Raises:
        SCFNotConverged: with the history of energies and residuals.
    """
    basis = problem.basis
    density_in = problem.superposed_density() if density is None else density
    bands = settings.bands or default_bands(problem.electrons, settings.smearing)
    vectors = [_start_vectors(block, bands) for block in problem.blocks] if orbitals is None else list(orbitals)
    mixer = AndersonMixer(basis.inverse_g2, fraction=settings.mixing)
    history: list[dict[str, float]] = []
    tolerance = _LOOSEST if orbitals is None else 1e-3
    needed = [bands] * len(vectors)

    for step in range(settings.max_scf_steps):
        potentials_in = problem.potentials(density_in)
        grid = basis.to_real(potentials_in.effective).reshape(basis.shape)
        energies = np.empty((len(vectors), bands))
        residual = 0.0
        for i, block in enumerate(problem.blocks):
            pairs = davidson(
                partial(block.apply, grid),
                block.kinetic,
                vectors[i],
                bands,
                tolerance=tolerance,
                needed=needed[i],
            )
            energies[i], vectors[i] = pairs.values, pairs.vectors
            residual = max(residual, float(pairs.residuals[: needed[i]].max()))
        occupations = occupy(energies, basis.k_weights, problem.electrons, settings.smearing, settings.smearing_width)
        if (
            settings.bands is None
            and np.abs(occupations.per_state[:, -1]).max() > _EMPTY
            and settings.smearing != "none"
        ):
            bands += max(2, bands // 4)
            vectors = [_grown(block, x, bands) for block, x in zip(problem.blocks, vectors, strict=True)]
            needed = [bands] * len(vectors)
        filled = np.abs(occupations.per_state[:, : energies.shape[1]]) > _EMPTY
        needed = [max(1, min(int(f.sum()) + 1, bands)) for f in filled]

        density_out = weighted_density(basis, vectors, _padded(occupations.weights, bands))
        potentials_out = problem.potentials(density_out)
        harris, kohn_sham = _energies(problem, density_in, density_out, potentials_in, potentials_out, occupations)
        change = density_out - density_in
        norm = float(np.sqrt(4 * np.pi * basis.volume * (change**2 @ basis.inverse_g2)))
        history.append(
            {
                "step": step,
                "free_energy": kohn_sham,
                "harris_minus_kohn_sham": harris - kohn_sham,
                "density_residual": norm,
                "eigenvalue_residual": residual,
                "fermi_energy": occupations.fermi_energy,
            }
        )
        small = abs(harris - kohn_sham) < settings.scf_tolerance and norm < 0.2 * np.sqrt(settings.scf_tolerance)
        if small and energies.shape[1] == bands and residual**2 < settings.scf_tolerance:
            return GroundState(
                problem, density_out, density_in, potentials_out, potentials_in, tuple(vectors), energies,
                occupations, kohn_sham, tuple(history),
            )  # fmt: skip
        density_in = mixer.mix(density_in, density_out)
        tolerance = float(np.clip(_EIGEN_TO_DENSITY * norm, _TIGHTEST, tolerance))
    raise SCFNotConverged(
        f"self-consistency was not reached in {settings.max_scf_steps} steps: "
        f"|F_Harris − F_KS| = {abs(history[-1]['harris_minus_kohn_sham']):.1e} Ha, wanted {settings.scf_tolerance:.1e}",
        history,
    )


def default_bands(electrons: float, smearing: str) -> int:
    """Filled bands, plus a third (at least three) for the smeared states of a metal; the SCF adds more when needed."""
    filled = int(np.ceil(electrons / 2 - 1e-9))
    return filled if smearing == "none" else filled + max(3, filled // 3)


def _start_vectors(block: BlochHamiltonian, bands: int) -> FloatArray:
    """The plane waves of lowest kinetic energy."""
    count = min(bands + _START_EXTRA, len(block.kinetic))
    vectors = np.zeros((len(block.kinetic), count))
    vectors[np.argsort(block.kinetic, kind="stable")[:count], np.arange(count)] = 1.0
    return vectors


def _grown(block: BlochHamiltonian, vectors: FloatArray, bands: int) -> FloatArray:
    """Orbitals with more start vectors: the next plane waves, mixed so that they are independent of the orbitals."""
    extra = _start_vectors(block, bands)
    extra = extra - vectors @ (vectors.T @ extra)
    norms = np.linalg.norm(extra, axis=0)
    keep = np.argsort(-norms, kind="stable")[: bands - vectors.shape[1] + 2]
    return np.concatenate([vectors, extra[:, np.sort(keep)]], axis=1)


def _padded(weights: FloatArray, bands: int) -> FloatArray:
    return np.pad(weights, ((0, 0), (0, bands - weights.shape[1])))


def _energies(
    problem: KohnShamProblem,
    density_in: FloatArray,
    density_out: FloatArray,
    potentials_in: Potentials,
    potentials_out: Potentials,
    occupations: Occupations,
) -> tuple[float, float]:
    """(F_Harris, F_KS)."""
    volume = problem.geometry.volume
    constant = problem.ewald.energy + problem.core_energy + occupations.entropic_energy + occupations.band_energy
    harris = (
        constant
        - potentials_in.hartree_energy
        + potentials_in.xc_energy
        - volume * float(potentials_in.xc @ density_in)
    )
    kohn_sham = (
        constant
        - volume * float(potentials_in.effective @ density_out)
        + local.energy(problem.basis, density_out, problem.local_potential)
        + potentials_out.hartree_energy
        + potentials_out.xc_energy
    )
    return harris, kohn_sham
