"""Orbital:  F = T[ψ] + E_nl[ψ] + E_H[ρ_in] + ∫V_loc ρ_in + ∫e_xc[ρ_in] + E_Ewald + E_core − TS   (eq. 19; Figure 7 c)

ψ and f are those of V_in; everything that a density decides is left to ρ_in ("the combination of the learned electron
density and atomic coordinates with the computed orbitals", section 4.4). With F_HF that of Harris and Foulkes

    F = F_HF + ∫V_in (ρ_in − ρ_out)

so that, unlike F_HF and the SCF route, it is of first order in ρ_in − ρ_out.
"""

from __future__ import annotations

from cellfields.energetics.trial import RouteEnergy, TrialDensity
from cellfields.engines.planewave.observables import energy_terms
from cellfields.engines.planewave.terms import local


def orbital_energy(trial: TrialDensity) -> RouteEnergy:
    """F from the orbitals' kinetic and non-local energy and ρ_in.

    Raises:
        EigensolverNotConverged: see :attr:`~cellfields.energetics.TrialDensity.diagonalised`.
    """
    problem, potentials = trial.cell.problem, trial.potentials
    of_density = {
        "hartree": potentials.hartree_energy,
        "xc": potentials.xc_energy,
        "local_psp": local.energy(problem.basis, trial.density, problem.local_potential),
    }
    return RouteEnergy(trial.per_crystal_cell(energy_terms(trial.diagonalised) | of_density))
