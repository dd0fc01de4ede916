"""Harris–Foulkes:  F[ρ_in] = U − E_H[ρ_in] − ∫V_xc ρ_in + ∫e_xc[ρ_in] + E_Ewald + E_core − TS,   (E, f) of V_in

The sum route with ∫u and ∫s from one diagonalisation in ρ_in's own potential (J. Harris, Phys. Rev. B 31, 1770 (1985);
W. M. C. Foulkes and R. Haydock, Phys. Rev. B 39, 12520 (1989)). The paper does not have it; it costs what the orbital
route costs and is stationary: with δ = ρ_in − ρ_scf

    F[ρ_in] − F_scf = −½ ∫∫ δ (K − K χ₀ K) δ + O(δ³) ,      K = 1/r + f_xc

second order in δ, as the SCF route, and mostly from below.
"""

from __future__ import annotations

from cellfields.energetics.trial import RouteEnergy, TrialDensity


def harris_foulkes_energy(trial: TrialDensity) -> RouteEnergy:
    """F from the eigenvalues and occupations in V_in, and ρ_in.

    Raises:
        EigensolverNotConverged: see :attr:`~cellfields.energetics.TrialDensity.diagonalised`.
    """
    occupations = trial.diagonalised.final_occupations
    electrons = trial.per_crystal_cell({"band": occupations.band_energy, "entropic": occupations.entropic_energy})
    return RouteEnergy({"band": electrons["band"], **trial.double_counting, "entropic": electrons["entropic"]})
