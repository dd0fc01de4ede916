"""One trained model and its file: taken as it is where it was made of just these states, trained where it was not.

metadata["training_hash"] = SHA-256 of all that a training depends on (crystal, engine, states, recipe)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cellfields.crystal import Crystal
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.storage.atomic import make_directory
from cellfields.surrogate.recipe import Recipe
from cellfields.surrogate.surrogate import Surrogate
from cellfields.surrogate.training_domain import Outside

TrainingProgress = Callable[[str, int, int], None]


def saved_model(path: Path, training_hash: str, *, outside: Outside = "warn") -> Surrogate | None:
    """The model in a file, if it was trained on what the hash says; None where there is none, or another, or a damaged.

    Args:
        path: of the model file.
        training_hash: of everything that the training depends on.
        outside: what the model does outside its training domain.
    """
    if not path.is_file():
        return None
    try:
        surrogate = Surrogate.load(path, outside=outside)
    except InputError:  # truncated, or of another version: it is made anew
        return None
    return surrogate if surrogate.metadata.get("training_hash") == training_hash else None


def train_and_save(
    path: Path,
    training_hash: str,
    crystal: Crystal,
    states: Sequence[CellState],
    recipe: Recipe,
    identity: EngineIdentity,
    on_progress: TrainingProgress | None = None,
) -> Surrogate:
    """Train a model and save it with the hash of what it depends on.

    Args:
        path: of the model file, in a directory that need not exist yet.
        training_hash: of everything that the training depends on.
        crystal, states, recipe, identity, on_progress: as for :meth:`Surrogate.train`.

    Raises:
        InputError: as :meth:`Surrogate.train`.
        StoreError: the file cannot be written.
    """
    surrogate = Surrogate.train(crystal, states, recipe, identity=identity, on_progress=on_progress)
    surrogate = replace(surrogate, metadata={**surrogate.metadata, "training_hash": training_hash})
    make_directory(path.parent)
    surrogate.save(path)
    return surrogate
