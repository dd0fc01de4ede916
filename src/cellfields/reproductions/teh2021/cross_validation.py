"""Choice of the networks' architectures by 4-fold cross-validation, as in the paper (section 4.2).

    e(widths) = √( Σ (y − N(D))² / Σ (y − ȳ)² )    over the samples of each fold in turn, learned from the other folds

Each quantity is treated separately. The modes are those of all training states: a fold leaves its samples out of the
training of the network, but not out of the modes. Folds are trained one after the other, because vectorising over them
(``vmap``) was measured to be 10 to 30 % slower on a CPU core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.pipeline.samples import Samples
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate import Networks
from cellfields.surrogate.training import fit_regressor

Widths = tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """One architecture for one quantity, with mean and standard deviation over the folds of the error e."""

    quantity: str
    widths: Widths
    error: float
    deviation: float


@dataclass(frozen=True)
class CrossValidation:
    """All architectures of all quantities; the first one of each quantity is the paper's.

    Attributes:
        choices: the architectures with their errors.
        training: number of training strains.
        folds: number of folds.
        epochs: epochs of each training.
    """

    choices: tuple[Choice, ...]
    training: int
    folds: int
    epochs: int

    def best(self, quantity: str) -> Choice:
        """The architecture with the smallest error in a quantity."""
        return min((c for c in self.choices if c.quantity == quantity), key=lambda choice: choice.error)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the quantities, in the order of the choices."""
        return tuple(dict.fromkeys(choice.quantity for choice in self.choices))


def study(bench: Workbench) -> CrossValidation:
    """Train every architecture of the plan on every fold."""
    plan, training = bench.plan, bench.training
    architectures = plan.architectures
    recipe = plan.paper.model_copy(update={"epochs": architectures.epochs})
    names = (*FIELD_NAMES, "internal", "free_energy")
    choices = []
    for name in names:
        small = name in ("internal", "free_energy")
        for widths in architectures.small if small else architectures.fields:
            choice = _errors(bench, training, name, widths, recipe, architectures.folds)
            if choice is not None:
                choices.append(choice)
    return CrossValidation(tuple(choices), len(training), architectures.folds, architectures.epochs)


def _errors(
    bench: Workbench, training: Samples, name: str, widths: Widths, recipe: Networks, folds: int
) -> Choice | None:
    label = f"{name} {'-'.join(map(str, widths))}"

    def make() -> list[float] | None:
        learned = bench.encoded(training, recipe.modes)
        if name not in learned.outputs:  # the training states do not know this quantity
            return None
        rows, outputs = learned.outputs[name]
        errors = []
        for fold in range(folds):
            bench.report_progress(f"cross-validation: {label}", fold, folds)
            held = rows // learned.images % folds == fold  # all images of a strain are in the same fold
            errors.append(_fold_error(name, learned.deformations[rows], outputs, held, widths, recipe))
        bench.report_progress(f"cross-validation: {label}", folds, folds)
        return errors

    depends_on = [name, list(widths), recipe.hashed_table(), folds, training.key]
    errors = bench.keep("cross-validation", depends_on, make)
    if errors is None:
        return None
    return Choice(name, widths, float(np.mean(errors)), float(np.std(errors)))


def _fold_error(
    name: str, deformations: FloatArray, outputs: FloatArray, held: Array, widths: Widths, recipe: Networks
) -> float:
    regressor, _ = fit_regressor(name, deformations[~held], outputs[~held], widths, recipe)
    residual = outputs[held] - np.asarray(regressor(deformations[held]))
    spread = outputs[held] - outputs.mean(axis=0)
    return float(np.sqrt((residual**2).sum() / (spread**2).sum()))
