"""The arguments ENGINE and MODEL: a trained model, or (ENGINE only) a study file for first principles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellfields.errors import InputError

if TYPE_CHECKING:
    from cellfields.engines.contract import Engine
    from cellfields.surrogate import Surrogate
    from cellfields.surrogate.training_domain import Outside

ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="Trained model: a file, or the name of one that ships (mg).", show_default=False
    ),
]
EngineArgument = Annotated[
    Path,
    typer.Argument(
        metavar="ENGINE",
        help="Trained model, file or name (it answers), or study file, *.toml (first principles answer).",
        show_default=False,
    ),
]


def open_engine(path: Path) -> Engine:
    """Open a trained model, or make the first-principles engine of a study file (.toml).

    Raises:
        InputError: the file does not exist, or its content is wrong.
    """
    if path.suffix == ".toml":
        from cellfields.pipeline.configuration import load_configuration
        from cellfields.pipeline.study import make_engine

        configuration = load_configuration(path)
        return make_engine(configuration, configuration.crystal.build())
    from cellfields.cli._console import note_held

    surrogate = open_model(path)
    note_held(surrogate.held)
    return surrogate


def open_model(path: Path, *, outside: Outside = "flag") -> Surrogate:
    """Open a trained model.

    Args:
        path: file of the model, or name of a model that comes with the package.
        outside: what the model does outside its training domain. By default it flags its predictions, and the commands
            print a warning themselves.

    Raises:
        InputError: the path is that of a study file, the file does not exist, or its content is wrong.
    """
    from cellfields.surrogate import Surrogate

    if path.suffix.lower() == ".toml":
        raise InputError(
            f"{path} is a study file, not a trained model: `cellfields solve {path}` answers from first principles; "
            "the model of a study is in its output folder (run/model.safetensors) once it is trained"
        )
    return Surrogate.load(path, outside=outside)
