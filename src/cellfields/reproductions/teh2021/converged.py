"""Errors with labels of the paper's k mesh and of a converged one, on the same strains with the same atoms.

    label' (D) = evaluate(D, ξ_paper(D)) on the finer mesh          atoms held where the paper's mesh relaxed them

The labels of the paper's mesh contain its quadrature error, a part of which is smooth enough to be learned. Atoms are
held so that only the mesh differs; the forces on them are then as large as the force error of the coarser mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import FirstPrinciplesEngine, RecoverableEngine, Remedy
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import EngineErrors
from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021.accuracy import RECIPE_LABELS
from cellfields.reproductions.teh2021.protocol import in_turn
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES

LINEAR = "linear"


class HeldAtoms:
    """A first-principles engine that holds the atoms at given positions; it can be pickled if its engine can."""

    def __init__(self, engine: FirstPrinciplesEngine, places: Mapping[Deformation, FloatArray], origin: str) -> None:
        """Hold the atoms of an engine.

        Args:
            engine: solves the electrons.
            places: D → internal coordinates of the atoms.
            origin: identifies the engine that relaxed these coordinates.
        """
        self.engine, self.places, self.origin = engine, dict(places), origin

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.engine.crystal

    @property
    def identity(self) -> EngineIdentity:
        """Identity of the engine, with an entry for the origin of the atoms' coordinates."""
        return EngineIdentity({**self.engine.identity.table, "atoms held where they were relaxed by": self.origin})

    def remedies(self) -> tuple[Remedy, ...]:
        """The remedies of the engine, each with the atoms held at these coordinates."""
        remedies = self.engine.remedies() if isinstance(self.engine, RecoverableEngine) else ()
        return tuple(
            Remedy(remedy.name, HeldAtoms(remedy.engine, self.places, self.origin))
            for remedy in remedies
            if isinstance(remedy.engine, FirstPrinciplesEngine)
        )

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        """State of the deformed cell with the atoms held.

        Raises:
            InputError: no coordinates are known for this strain.
        """
        if deformation not in self.places:
            raise InputError(f"no positions are known for D = {tuple(deformation.as_array().tolist())}")
        return self.engine.evaluate(deformation, self.places[deformation], start=start)


@dataclass(frozen=True)
class Meshes:
    """Errors on the same strains with labels of either mesh.

    Attributes:
        training, test: numbers of states, which are equal for both meshes.
        errors: mesh ("paper's mesh", "converged mesh") → engine → quantity → {mean, median, p99, max}.
        differences: quantity → mean difference of the labels themselves, in the measures of an evaluation.
        largest_force: largest component of a force on the held atoms on the converged mesh, Hartree/Bohr.
        settings: ``kmesh`` of the converged labels, where it is known.
    """

    training: int
    test: int
    errors: dict[str, dict[str, dict[str, dict[str, float]]]]
    differences: dict[str, float]
    largest_force: float
    settings: dict[str, Any]


def study(bench: Workbench) -> Meshes | None:
    """Solve labels on the converged mesh, where that is allowed, and compare; None with too few labels."""
    engine, most_train, most_test = bench.plan.converged
    train, test = bench.training[:most_train], bench.test[:most_test]
    held = HeldAtoms(engine, _places(train, test), bench.training.store.info().engine_hash)
    paper_store = bench.training.store  # holds training and test states, whose densities start the SCF cycles below
    strains = in_turn(train.deformations, test.deformations)
    store = bench.labels("converged", held, strains, lambda strain: DensityStart.of(paper_store.read(strain)))
    if store is None:
        return None
    finer = [Samples.solved(store, part.deformations) for part in (train, test)]
    if len(finer[0]) < MINIMUM_TRAINING_STATES or len(finer[1]) < 2:
        return None
    coarser = [Samples(bench.training.store, part.deformations) for part in finer]
    errors = {
        "paper's mesh": judge(bench, coarser[0], coarser[1]),
        "converged mesh": judge(bench, finer[0], finer[1]),
    }
    pairs = list(zip(finer[1].states, coarser[1].states, strict=True))
    return Meshes(
        training=len(finer[0]),
        test=len(finer[1]),
        errors={
            mesh: {name: {q: result.summary(q) for q in result.errors} for name, result in table.items()}
            for mesh, table in errors.items()
        },
        differences=_differences(bench, coarser[1], finer[1]),
        largest_force=max(float(np.abs(a.forces).max()) for a, _ in pairs if a.forces is not None),
        settings={"kmesh": list(kmesh)} if (kmesh := engine.identity.kmesh) else {},
    )


def judge(bench: Workbench, training: Samples, test: Samples) -> dict[str, EngineErrors]:
    """Errors on test states of both recipes and linear regression, trained on training states."""
    plan = bench.plan
    judged = {
        n: bench.judged(n, r, training, test)[0] for n, r in zip(RECIPE_LABELS, (plan.paper, plan.best), strict=True)
    }
    return judged | {LINEAR: bench.judged_baseline(LINEAR, training, test, plan.paper.modes)}


def _places(*parts: Samples) -> dict[Deformation, FloatArray]:
    return {state.deformation: state.internal for part in parts for state in part.states}


def _differences(bench: Workbench, coarser: Samples, finer: Samples) -> dict[str, float]:
    """Quantity → mean error of the coarser mesh's labels, taken as predictions of the finer mesh's labels."""

    class Labels:
        crystal = bench.crystal

        def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
            return coarser.store.read(deformation)

    judged = bench.held_out_states(finer).judge(Labels())
    return {quantity: judged.summary(quantity)["mean"] for quantity in judged.errors if quantity != "position"}
