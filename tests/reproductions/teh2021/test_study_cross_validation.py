"""Architectures by folds: every state is held out once, a strain with all its images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.reproductions.teh2021 import cross_validation
from cellfields.reproductions.teh2021.cross_validation import Choice, CrossValidation
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.state.fields import FIELD_NAMES
from cellfields.surrogate.training import fit_regressor


def elsewhere(bench: Workbench, directory: Path) -> Workbench:
    """The same labels, no results: what was kept is not to be seen."""
    fresh = Workbench(bench.plan, directory, solve=False)
    fresh.__dict__["training"], fresh.__dict__["test"] = bench.training, bench.test
    return fresh


@pytest.fixture(scope="module")
def held(toy_bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> tuple[CrossValidation, dict]:
    """The study with a stand-in for the training, and (quantity, widths) → which states each fold held out."""
    seen: dict[tuple[str, tuple[int, ...]], list[np.ndarray]] = {}

    def fold_error(name, deformations, outputs, held, widths, recipe):  # type: ignore[no-untyped-def]
        assert recipe.epochs == toy_bench.plan.architectures.epochs
        assert len(deformations) == len(outputs) == len(held)
        folds = seen.setdefault((name, widths), [])
        folds.append(held)
        return len(folds) + 10.0 * (widths[0] == 6)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation, "_fold_error", fold_error)
        found = cross_validation.study(elsewhere(toy_bench, tmp_path_factory.mktemp("folds")))
    return found, seen


def test_every_strain_is_held_out_once_with_its_images(held: tuple[CrossValidation, dict]) -> None:
    for folds in held[1].values():
        assert len(folds) == 3
        strains = np.array(folds).reshape(3, 12, 4)  # fold, strain, image
        assert (strains == strains[:, :, :1]).all()
        assert (strains[:, :, 0].sum(axis=0) == 1).all()
        assert (strains[:, :, 0].sum(axis=1) == 4).all()


def test_every_architecture_of_every_quantity(held: tuple[CrossValidation, dict]) -> None:
    found = held[0]
    assert found.quantities == (*FIELD_NAMES, "internal", "free_energy")
    assert [c.widths for c in found.choices if c.quantity == "density"] == [(6,), (5,)]  # the paper's first
    assert [c.widths for c in found.choices if c.quantity == "internal"] == [(6,)]
    assert (found.training, found.folds, found.epochs) == (12, 3, 5)
    assert found.best("density") == Choice("density", (5,), 2.0, pytest.approx(np.std([1, 2, 3])))


def test_the_error_is_that_of_a_network_that_has_not_seen_the_fold(toy_bench: Workbench) -> None:
    learned = toy_bench.encoded(toy_bench.training, 4)
    rows, outputs = learned.outputs["free_energy"]
    recipe = toy_bench.plan.paper.model_copy(update={"epochs": 5})
    held = rows // learned.images % 3 == 1
    error = cross_validation._fold_error("free_energy", learned.deformations, outputs, held, (6,), recipe)
    regressor, _ = fit_regressor("free_energy", learned.deformations[~held], outputs[~held], (6,), recipe)
    residual = outputs[held] - regressor(learned.deformations[held])
    spread = outputs[held] - outputs.mean(axis=0)
    assert error == pytest.approx(np.sqrt((residual**2).sum() / (spread**2).sum()), rel=1e-6)
    changed = outputs + 100.0 * held[:, None] * np.arange(len(outputs))[:, None]  # the held ones, and nothing else
    assert cross_validation._fold_error("free_energy", learned.deformations, changed, held, (6,), recipe) != error


def test_what_there_is_nothing_to_learn_of_is_left_out(toy_bench: Workbench, tmp_path: Path) -> None:
    bench = elsewhere(toy_bench, tmp_path)
    learned = bench.encoded(bench.training, 4)
    bench._encodings.clear()
    bench._encodings[f"{bench.training.key}-4"] = replace(
        learned, outputs={name: learned.outputs[name] for name in ("free_energy",)}
    )
    assert cross_validation.study(bench).quantities == ("free_energy",)
