"""Figure 7: the free energy of predicted states by five routes, on test strains, against the labels.

    D → surrogate → (ρ, u, s, atoms, F) → direct | sum | orbital | SCF | Harris–Foulkes → F − F_DFT

Both recipes; the engine is the one of the labels. What a strain gives is kept by itself, so that a run that is killed
loses the strain it was at and no other.
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
from cellfields.reproductions.teh2021.accuracy import OURS
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.surrogate import Surrogate

_OWN = "label's own fields"  # eq. 20 on the label itself: what its SCF tolerance leaves, and the zero of U
_FEWEST = 2


@dataclass(frozen=True)
class EnergyRoutes:
    """Free energies in Hartree per cell.

    Attributes:
        asked: strains that the plan asks for.
        truth: the labels', one a strain.
        energies: recipe → route → the predicted ones, in the same order.
        own: largest error of the sum route on the labels' own fields.
        failed: strains left out, because a predicted state gave no energy by some route.
    """

    asked: int
    truth: list[float]
    energies: dict[str, dict[str, list[float]]]
    own: float
    failed: int

    def errors(self, recipe: str, route: str) -> FloatArray:
        """Absolute errors (n,), Hartree."""
        return np.asarray(np.abs(np.array(self.energies[recipe][route]) - np.array(self.truth)))

    def summary(self, recipe: str, route: str) -> dict[str, float]:
        """Mean and largest error, Hartree."""
        errors = self.errors(recipe, route)
        return {"mean": float(errors.mean()), "max": float(errors.max())}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: the errors by route, and the energies that they are of."""
        summaries = {
            recipe: {route: self.summary(recipe, route) for route in routes} for recipe, routes in self.energies.items()
        }
        return {
            "strains": len(self.truth),
            "asked_for": self.asked,
            "failed": self.failed,
            "largest_error_of_eq_20_on_labels": self.own,
            "errors": summaries,
            "truth": self.truth,
            "energies": self.energies,
        }


def study(bench: Workbench) -> EnergyRoutes | None:
    """Five routes on the first solved test strains; None where the engine of the labels is not the embedded one."""
    plan, engine = bench.plan, bench.plan.engine
    if not isinstance(engine, PlaneWaveEngine):
        return None
    test = bench.test[: plan.routes]
    surrogates = {
        name: bench.surrogate(recipe, bench.training, name)
        for name, recipe in zip(OURS, (plan.paper, plan.best), strict=True)
    }
    found = []
    for row, strain in enumerate(test.deformations):
        bench.report_progress("energies by five routes", row, len(test))
        found.append(_of_strain(bench, engine, surrogates, strain))
    bench.report_progress("energies by five routes", len(test), len(test))
    whole = [row for row in found if row is not None]
    if len(whole) < _FEWEST:
        return None
    return EnergyRoutes(
        asked=plan.routes,
        truth=[row["truth"] for row in whole],
        energies={name: {route: [row[name][route] for row in whole] for route in ROUTES} for name in surrogates},
        own=max(abs(row[_OWN] - row["truth"]) for row in whole),
        failed=len(found) - len(whole),
    )


def _of_strain(
    bench: Workbench, engine: PlaneWaveEngine, surrogates: Mapping[str, Surrogate], strain: Deformation
) -> dict[str, Any] | None:
    """What is kept of one strain: the label's energies, and each surrogate's by all routes; None where one fails."""
    store = bench.test.store
    made_by, key = store.identity, store.key(strain)

    def of_label() -> dict[str, float]:
        label = store.read(strain)
        own = energy_routes(engine, label, ["sum"], made_by=made_by)["sum"].free_energy
        return {"truth": label.free_energy, _OWN: own}

    def of_prediction(surrogate: Surrogate) -> dict[str, float]:
        energies = energy_routes(engine, surrogate.solve(strain), made_by=made_by)
        return {route: energy.free_energy for route, energy in energies.items()}

    try:
        row: dict[str, Any] = bench.keep("routes of a label", key, of_label)
        for name, surrogate in surrogates.items():
            model = surrogate.metadata["training_hash"]
            row[name] = bench.keep("routes of a prediction", [model, key], partial(of_prediction, surrogate))
    except ConvergenceError:  # a prediction too far off: it is counted, not kept, and the others go on
        return None
    return row
