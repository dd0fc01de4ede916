"""Routes from a state's density, fields and atoms to its free energy (paper, section 4.4 and Figure 7).

    direct           F = Φ^𝓕(D)                                                                        Figure 7 a
    sum              F = ∫u − E_H[ρ] − ∫V_xc ρ + ∫e_xc + E_Ewald + E_core − ∫s/β                       Figure 7 b
    orbital          F = T[ψ] + E_nl[ψ] + E_H[ρ_in] + ∫V_loc ρ_in + ∫e_xc[ρ_in] + E_Ewald + E_core − TS   Figure 7 c
    SCF              F = T[ψ] + E_nl[ψ] + E_H[ρ_out] + ∫V_loc ρ_out + ∫e_xc[ρ_out] + E_Ewald + E_core − TS   Figure 7 d
    Harris–Foulkes   F = Σ w f E − E_H[ρ_in] − ∫V_xc ρ_in + ∫e_xc[ρ_in] + E_Ewald + E_core − TS

ψ, E and f are those of V_in, the potential of the state's density ρ_in; ρ_out is the density that they make. The last
three routes share one diagonalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cellfields.energetics.trial import RouteEnergy, TrialDensity
from cellfields.engines.identity import EngineIdentity
from cellfields.engines.planewave.observables import energy_terms
from cellfields.engines.planewave.planewave_engine import PlaneWaveEngine
from cellfields.engines.planewave.terms import local
from cellfields.errors import InputError
from cellfields.state import CellState

Route = Callable[[TrialDensity], RouteEnergy]


def direct_energy(trial: TrialDensity) -> RouteEnergy:
    """The free energy that the state itself holds; nothing is computed.

    A surrogate has learned it apart from the fields, so that it need not be consistent with them.

    Raises:
        InputError: the state has none.
    """
    if not trial.state.knows("free_energy"):
        raise InputError("direct: the state does not know its free energy")
    return RouteEnergy({"free_energy": float(trial.state.free_energy)})


def sum_energy(trial: TrialDensity) -> RouteEnergy:
    """The free energy from ρ, u, s and the atoms, without computing an orbital (paper, eq. 20 and 21).

    ∫V_xc ρ is over the valence density, while e_xc and V_xc see the ions' core density too where there is a non-linear
    core correction. Eigenvalues are relative to a zero mean of V_H + V_loc, V_xc unshifted; E_core = N V⁻¹ Σ_a α_a is
    then the whole of the energy of that mean. Another zero, E → E + c, would add c N to ∫u.

    The error is of first order in those of all three fields: δF = ∫δu − ∫(V_H + f_xc ρ) δρ − ∫δs/β, f_xc = dV_xc/dρ.

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


def orbital_energy(trial: TrialDensity) -> RouteEnergy:
    """The free energy from the orbitals' kinetic and non-local energy, and from ρ_in in everything else (eq. 19).

    With F_HF that of Harris and Foulkes F = F_HF + ∫V_in (ρ_in − ρ_out), so that, unlike F_HF and the SCF route, it is
    of first order in ρ_in − ρ_out.

    Raises:
        EigensolverNotConverged: the orbitals in V_in did not converge.
    """
    problem, potentials = trial.cell.problem, trial.potentials
    of_density = {
        "hartree": potentials.hartree_energy,
        "xc": potentials.xc_energy,
        "local_psp": local.energy(problem.basis, trial.density, problem.local_potential),
    }
    return RouteEnergy(trial.per_crystal_cell(energy_terms(trial.diagonalised) | of_density))


def scf_energy(trial: TrialDensity) -> RouteEnergy:
    """The free energy after one step of self-consistency: the functional (eq. 19 and 21) at ρ_out, unmixed.

    ψ and f are a trial point of the variational principle, so with a smearing whose entropy makes F a minimum
    (Fermi–Dirac, Gaussian; filled bands) the error is never negative:

        F_KS[ρ_out] − F_scf = ½ ∫∫ δ' (K − χ₀⁻¹) δ' + O(δ'³) ,      δ' = ρ_out − ρ_scf ,   K = 1/r + f_xc

    With cold smearing and its negative occupations it is of second order all the same, and in practice positive.

    Raises:
        EigensolverNotConverged: the orbitals in V_in did not converge.
    """
    return RouteEnergy(trial.per_crystal_cell(energy_terms(trial.diagonalised)))


def harris_foulkes_energy(trial: TrialDensity) -> RouteEnergy:
    """The free energy from the eigenvalues and occupations in V_in, and from ρ_in; the paper does not have it.

    It is the sum route with ∫u and ∫s from one diagonalisation in ρ_in's own potential (J. Harris, Phys. Rev. B 31,
    1770 (1985); W. M. C. Foulkes and R. Haydock, Phys. Rev. B 39, 12520 (1989)). It costs what the orbital route costs
    and is stationary: with δ = ρ_in − ρ_scf

        F[ρ_in] − F_scf = −½ ∫∫ δ (K − K χ₀ K) δ + O(δ³) ,      K = 1/r + f_xc

    second order in δ, as the SCF route, and mostly from below.

    Raises:
        EigensolverNotConverged: the orbitals in V_in did not converge.
    """
    occupations = trial.diagonalised.final_occupations
    electrons = trial.per_crystal_cell({"band": occupations.band_energy, "entropic": occupations.entropic_energy})
    return RouteEnergy({"band": electrons["band"], **trial.double_counting, "entropic": electrons["entropic"]})


ROUTES: Mapping[str, Route] = {  # the paper's four in its order, and one more
    "direct": direct_energy,
    "sum": sum_energy,
    "orbital": orbital_energy,
    "SCF": scf_energy,
    "Harris–Foulkes": harris_foulkes_energy,
}


def energy_routes(
    engine: PlaneWaveEngine,
    state: CellState,
    routes: Collection[str] = tuple(ROUTES),
    *,
    made_by: EngineIdentity | None = None,
) -> dict[str, RouteEnergy]:
    """The free energy of a state by several routes; those that need orbitals share one diagonalisation.

    Args:
        engine: evaluates the functional.
        state: solved or predicted; ρ and atoms at least.
        routes: some of :data:`ROUTES`.
        made_by: see :meth:`TrialDensity.of`.

    Returns:
        Route → energy, in the order of :data:`ROUTES`.

    Raises:
        InputError: an unknown route, a state that does not fit the engine or lacks what a route needs.
        EigensolverNotConverged: the orbitals did not converge.
    """
    if unknown := [name for name in routes if name not in ROUTES]:
        raise InputError(f"route {unknown[0]!r} is unknown; there are {', '.join(ROUTES)}")
    trial = TrialDensity.of(engine, state, made_by=made_by)
    return {name: route(trial) for name, route in ROUTES.items() if name in routes}
