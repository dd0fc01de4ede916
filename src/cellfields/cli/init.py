"""``cellfields init``: a commented study file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FILE_NAME = "magnesium.toml"


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder to write it to; made if need be.", show_default=False)
    ] = Path("."),
) -> None:
    """Write a commented magnesium.toml to start from.

    Example: cellfields init study
    """
    from cellfields.cli._console import note
    from cellfields.cli._output import write_file
    from cellfields.cli._template import TEMPLATE
    from cellfields.errors import InputError

    target = directory / FILE_NAME
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already; it is not overwritten")
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file, not a folder")
    directory.mkdir(parents=True, exist_ok=True)
    write_file(target, TEMPLATE.encode("utf-8"))
    print(target)
    note(f"next: cellfields run {target}")
