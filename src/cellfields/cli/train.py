"""``cellfields train``: states of the training strains → a surrogate, saved as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellfields.cli._arguments import ConfigArgument

if TYPE_CHECKING:
    from cellfields.dataset import DatasetStore
    from cellfields.pipeline.study import Study
    from cellfields.surrogate import Surrogate


def train(config: ConfigArgument) -> None:
    """Train the surrogate on the solved strains.

    Example: cellfields train magnesium.toml
    """
    from cellfields.cli._console import clock, print_table
    from cellfields.pipeline.study import Study

    study = Study.load(config)
    surrogate = train_study(study, study.open_store())
    rows = [
        ("training states", str(surrogate.metadata["n_train"])),
        ("training time", clock(float(surrogate.metadata["training_seconds"]))),
    ]
    print_table(f"model {study.configuration.model_path}", ("", ""), rows)


def train_study(study: Study, store: DatasetStore) -> Surrogate:
    """Train with progress bars and save the model beside the dataset.

    Raises:
        InputError: too few training states.
    """
    from dataclasses import replace

    from cellfields.cli._console import progress

    training_hash = study.training_hash(store)  # of the states that are read now, whatever is solved meanwhile
    states = study.training_states(store)
    from cellfields.surrogate import Surrogate  # seconds of import: only now that there is something to train on

    with progress() as tasks:
        surrogate = Surrogate.train(
            study.crystal,
            states,
            study.configuration.surrogate,
            on_progress=lambda quantity, done, total: tasks.update(f"training {quantity}", done, total),
            identity=study.identity,
        )
    surrogate = replace(surrogate, metadata={**surrogate.metadata, "training_hash": training_hash})
    surrogate.save(study.configuration.model_path)
    return surrogate


def current_model(study: Study, store: DatasetStore) -> Surrogate | None:
    """The saved model, if it was trained on just these states with just this recipe; else None."""
    from cellfields.errors import InputError
    from cellfields.surrogate import Surrogate

    path = study.configuration.model_path
    if not path.is_file():
        return None
    try:
        surrogate = Surrogate.load(path)
    except InputError:  # truncated, or of another version: it is made anew
        return None
    return surrogate if surrogate.metadata.get("training_hash") == study.training_hash(store) else None


def require_model(study: Study, store: DatasetStore) -> Surrogate:
    """The saved model.

    Raises:
        CorruptFileError: its file is truncated or altered.
        InputError: there is none, or it was trained on other states or with another recipe.
    """
    from cellfields.errors import InputError

    path = study.configuration.model_path
    if not path.is_file():
        raise InputError(f"there is no model {path} yet: run `cellfields train` first")
    from cellfields.surrogate import Surrogate

    surrogate = Surrogate.load(path)
    if surrogate.metadata.get("training_hash") != study.training_hash(store):
        raise InputError(f"{path} was trained on other states or with other settings: run `cellfields train` again")
    return surrogate
