"""SCF:  F_KS[ρ_out] = T[ψ] + E_nl[ψ] + E_H[ρ_out] + ∫V_loc ρ_out + ∫e_xc[ρ_out] + E_Ewald + E_core − TS   (Figure 7 d)

One self-consistency step: ψ and f of V_in, and the functional (paper, eq. 19 and 21) at the density that they make,
unmixed. ψ and f are a trial point of the variational principle, so with a smearing whose entropy makes F a minimum
(Fermi–Dirac, Gaussian; filled bands) the error is never negative:

    F_KS[ρ_out] − F_scf = ½ ∫∫ δ' (K − χ₀⁻¹) δ' + O(δ'³) ,      δ' = ρ_out − ρ_scf ,   K = 1/r + f_xc

With cold smearing and its negative occupations it is of second order all the same, and in practice positive.
"""

from __future__ import annotations

from cellfields.energetics.trial import RouteEnergy, TrialDensity
from cellfields.engines.planewave.observables import energy_terms


def scf_energy(trial: TrialDensity) -> RouteEnergy:
    """F at ρ_out.

    Raises:
        EigensolverNotConverged: see :attr:`~cellfields.energetics.TrialDensity.diagonalised`.
    """
    return RouteEnergy(trial.per_crystal_cell(energy_terms(trial.diagonalised)))
