"""All routes by name, and all of them at once from one diagonalisation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cellfields.energetics.direct import direct_energy
from cellfields.energetics.harris_foulkes import harris_foulkes_energy
from cellfields.energetics.orbital import orbital_energy
from cellfields.energetics.scf import scf_energy
from cellfields.energetics.sum import sum_energy
from cellfields.energetics.trial import RouteEnergy, TrialDensity
from cellfields.engines.identity import EngineIdentity
from cellfields.engines.planewave.planewave_engine import PlaneWaveEngine
from cellfields.errors import InputError
from cellfields.state import CellState

Route = Callable[[TrialDensity], RouteEnergy]
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
