"""The protocol in small on an engine with a closed formula: what the tests of the studies share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.engines.identity import EngineIdentity
from cellfields.reproductions.teh2021.protocol import Architectures, Plan
from cellfields.reproductions.teh2021.published import MODELS, Published
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate import PaperNetworks, Polynomials
from tests.toy import ToyEngine, magnesium

PAPER = PaperNetworks(field_widths=(6,), small_widths=(6,), modes=4, epochs=10, symmetry=True)
BEST = Polynomials(modes=4, degree=3, lengths=(4.5,))


class ToyLabels(ToyEngine):
    """The toy engine with settings, a count of its solves, and atoms that can be held."""

    def __init__(self, crystal: Crystal, shift: float = 0.0, heat: float = 1.0) -> None:
        """``shift`` of F in Hartree, as a mesh might make it; ``heat`` multiplies the entropy."""
        super().__init__(crystal, field_cutoff=1.0)
        self.shift, self.heat, self.solved = shift, heat, 0

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity({"engine": "toy", "shift": self.shift, "heat": self.heat})

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        self.solved += 1
        state = super().solve(deformation)
        assert state.fields is not None and state.entropic_energy is not None
        coefficients = dict(state.fields.coefficients)
        coefficients["entropy_density"] = self.heat * coefficients["entropy_density"]
        return replace(
            state,
            free_energy=state.free_energy + self.shift,
            entropic_energy=self.heat * state.entropic_energy,
            fields=replace(state.fields, coefficients=coefficients),
        )

    def evaluate(self, deformation: Deformation, internal: FloatArray, *, start: Any | None = None) -> CellState:
        state = self.solve(deformation)
        forces = np.zeros((self.crystal.n_atoms, 3))
        forces[0] = internal - state.internal
        return replace(state, internal=internal, positions=self.crystal.positions(internal), forces=forces)


def draw(count: int, seed: int) -> tuple[Deformation, ...]:
    return tuple(sample_deformations(magnesium(), count, seed=seed, stretch_sigma=0.015, angle_sigma=1.0))


def toy_plan(**changes: Any) -> Plan:
    """Twelve strains to learn from, four to be judged by."""
    crystal = magnesium()
    plan = Plan(
        engine=ToyLabels(crystal),
        train=draw(12, 0),
        test=draw(4, 1),
        paper=PAPER,
        best=BEST,
        sizes=(9, 100),
        architectures=Architectures(fields=((6,), (5,)), small=((6,),), epochs=5, folds=3),
        refinements=3,
        converged=(ToyLabels(crystal, shift=1e-3), 10, 3),
        smearing=(ToyLabels(crystal, heat=50.0), 9, 2),
    )
    return replace(plan, **changes)


def published(strains: tuple[Deformation, ...]) -> Published:
    """Numbers as the authors might have published them for these strains: every error of model k is k + 1 per cent."""
    n = len(strains)
    quantities = [f"{name}.{measure}" for name in FIELD_NAMES for measure in ("relative_l2", "nrmse")]
    models = {
        label: {q: np.full(n, 0.01 * (k + 1)) for q in (*quantities, *(["position"] if k == 0 else []))}
        for k, label in enumerate(MODELS)
    }
    return Published(Path("nowhere"), strains, models, np.zeros(n))
