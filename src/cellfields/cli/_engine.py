"""ENGINE on the command line: a trained model answers, or, for a study file, first principles."""

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
    """The engine that a file stands for.

    Raises:
        InputError: there is no such file, or something is wrong in it.
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
    """The trained model in a file or of a name; by default the commands say in their own words what lies outside.

    Raises:
        InputError: a study file, no such file, or something is wrong in it.
    """
    from cellfields.surrogate import Surrogate

    if path.suffix.lower() == ".toml":
        raise InputError(
            f"{path} is a study file, not a trained model: `cellfields solve {path}` answers from first principles; "
            "the model of a study is in its output folder (run/model.safetensors) once it is trained"
        )
    return Surrogate.load(path, outside=outside)
