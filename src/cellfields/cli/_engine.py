"""ENGINE on the command line: a trained model answers, or, for a study file, first principles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cellfields.state import Engine

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
        from cellfields.config import load_configuration
        from cellfields.study import make_engine

        configuration = load_configuration(path)
        return make_engine(configuration, configuration.crystal.build())
    from cellfields.cli._console import note_held
    from cellfields.surrogate import Surrogate

    surrogate = Surrogate.load(path, outside="flag")  # the commands say it in their own words
    note_held(surrogate.held)
    return surrogate
