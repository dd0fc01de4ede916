"""Errors of the free energy of predicted states by five routes, on test strains (paper, Figure 7).

    D → surrogate → (ρ, u, s, atoms, F) → direct | sum | orbital | SCF | Harris–Foulkes → F − F_DFT

The routes are computed for both recipes with the engine of the labels. The energies of each strain are kept separately,
so that a run that is killed loses only the strain at which it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.energetics import ROUTES, energy_routes
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import ConvergenceError
from cellfields.reproductions.teh2021.accuracy import RECIPE_LABELS
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate import Surrogate

_LABEL_BY_SUM = "label's own fields"  # energy by eq. 20 from the fields of the label itself
_FEWEST = 2  # strains


@dataclass(frozen=True)
class EnergyRoutes:
    """Free energies in Hartree per cell.

    Attributes:
        asked: number of strains that the plan asks for.
        truth: free energy of each strain's label.
        energies: recipe → route → predicted free energies, in the order of ``truth``.
        largest_label_error: largest error of the route "sum" on the labels' own fields.
        failed: number of strains that are left out because some route gave no energy for a predicted state.
    """

    asked: int
    truth: list[float]
    energies: dict[str, dict[str, list[float]]]
    largest_label_error: float
    failed: int

    def errors(self, recipe: str, route: str) -> FloatArray:
        """Absolute errors (n,) of a recipe by a route, Hartree."""
        return np.asarray(np.abs(np.array(self.energies[recipe][route]) - np.array(self.truth)))

    def summary(self, recipe: str, route: str) -> dict[str, float]:
        """Mean ("mean") and largest error ("max") of a recipe by a route, Hartree."""
        errors = self.errors(recipe, route)
        return {"mean": float(errors.mean()), "max": float(errors.max())}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, in Hartree: errors and energies by recipe and route, and numbers of strains."""
        summaries = {
            recipe: {route: self.summary(recipe, route) for route in routes} for recipe, routes in self.energies.items()
        }
        return {
            "strains": len(self.truth),
            "asked_for": self.asked,
            "failed": self.failed,
            "largest_error_of_eq_20_on_labels": self.largest_label_error,
            "errors": summaries,
            "truth": self.truth,
            "energies": self.energies,
        }


def study(bench: Workbench) -> EnergyRoutes | None:
    """Compute the energies of the first solved test strains by five routes.

    Returns:
        The energies; None where the engine is not the embedded one, or fewer than two strains have energies.
    """
    plan, engine = bench.plan, bench.plan.engine
    if not isinstance(engine, PlaneWaveEngine):
        return None
    test = bench.test[: plan.routes]
    surrogates = {
        name: bench.surrogate(recipe, bench.training, name)
        for name, recipe in zip(RECIPE_LABELS, (plan.paper, plan.best), strict=True)
    }
    rows = []
    for row, strain in enumerate(test.deformations):
        bench.report_progress("energies by five routes", row, len(test))
        rows.append(_energies_of_strain(bench, engine, surrogates, strain))
    bench.report_progress("energies by five routes", len(test), len(test))
    complete = [row for row in rows if row is not None]
    if len(complete) < _FEWEST:
        return None
    return EnergyRoutes(
        asked=plan.routes,
        truth=[row["truth"] for row in complete],
        energies={name: {route: [row[name][route] for row in complete] for route in ROUTES} for name in surrogates},
        largest_label_error=max(abs(row[_LABEL_BY_SUM] - row["truth"]) for row in complete),
        failed=len(rows) - len(complete),
    )


def _energies_of_strain(
    bench: Workbench, engine: PlaneWaveEngine, surrogates: Mapping[str, Surrogate], strain: Deformation
) -> dict[str, Any] | None:
    """Energies of one strain: those of its label, and recipe → route → energy; None where a route fails."""
    store = bench.test.store
    made_by, key = store.identity, store.key(strain)

    def of_label() -> dict[str, float]:
        label = store.read(strain)
        by_sum = energy_routes(engine, label, ["sum"], made_by=made_by)["sum"].free_energy
        return {"truth": label.free_energy, _LABEL_BY_SUM: by_sum}

    def of_prediction(surrogate: Surrogate) -> dict[str, float]:
        energies = energy_routes(engine, surrogate.solve(strain), made_by=made_by)
        return {route: energy.free_energy for route, energy in energies.items()}

    try:
        row: dict[str, Any] = bench.keep("routes of a label", key, of_label)
        for name, surrogate in surrogates.items():
            model = surrogate.metadata["training_hash"]
            row[name] = bench.keep("routes of a prediction", [model, key], partial(of_prediction, surrogate))
    except ConvergenceError:  # the predicted state is too far from a solution; the strain is counted as failed
        return None
    return row
