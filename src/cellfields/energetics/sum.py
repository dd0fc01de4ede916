"""Sum:  F = ∫u − E_H[ρ] − ∫V_xc[ρ] ρ + ∫e_xc[ρ] + E_Ewald + E_core − ∫s/β         (paper, eq. 20 and 21; Figure 7 b)

All from the state's fields and atoms: no orbital is computed. ∫V_xc ρ is over the valence density, while e_xc and V_xc
see the ions' core density too where there is a non-linear core correction.

The zero of u: eigenvalues relative to a zero mean of V_H + V_loc, V_xc unshifted. E_core = N V⁻¹ Σ_a α_a is then the
whole of the energy of that mean. Another zero, E → E + c, would add c N to ∫u.

First order in errors of all three fields: δF = ∫δu − ∫(V_H + f_xc ρ) δρ − ∫δs/β, with f_xc = dV_xc/dρ.
"""

from __future__ import annotations

from cellfields.energetics.trial import RouteEnergy, TrialDensity
from cellfields.errors import InputError


def sum_energy(trial: TrialDensity) -> RouteEnergy:
    """F from ρ, u, s and the atoms.

    Raises:
        InputError: the state lacks u, or s with smearing.
    """
    fields, settings = trial.state.fields, trial.engine.settings
    smeared = settings.smearing != "none"
    for name in ("band_energy_density", *(("entropy_density",) if smeared else ())):
        if fields is None or name not in fields:
            raise InputError(f"sum: the state has no {name}")
    assert fields is not None
    entropic = -settings.smearing_width * fields.integral("entropy_density") if smeared else 0.0
    return RouteEnergy({"band": fields.integral("band_energy_density"), **trial.double_counting, "entropic": entropic})
