"""``cellfields init``: writes a commented study file of magnesium or of the user's own crystal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FILE_NAME = "magnesium.toml"


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder to write it to; made if need be.", show_default=False)
    ] = Path("."),
    structure: Annotated[
        Path | None,
        typer.Option(
            "--structure",
            metavar="FILE",
            help="Your crystal: CIF, POSCAR, extended XYZ, XSF, … A copy goes beside the study file.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        int | None,
        typer.Option(metavar="N", help="Which structure of FILE, from 0, if it holds several.", show_default=False),
    ] = None,
) -> None:
    """Write a commented magnesium.toml to start from, or with --structure a study of your own crystal.

    Example: cellfields init --structure mine.cif study
    """
    from cellfields.cli._console import note
    from cellfields.cli._output import write_file
    from cellfields.cli._template import TEMPLATE
    from cellfields.errors import InputError

    if structure is None and index is not None:
        raise InputError("--index chooses a structure of a file: it must be given together with --structure")
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file, not a folder")
    if structure is None:
        target, text, next_command = directory / FILE_NAME, TEMPLATE, "run"
        files = {target: text.encode("utf-8")}
    else:
        target, files = _study_of_structure(directory, structure, index)
        next_command = "converge"
    for path in files:
        if path.exists() or path.is_symlink():
            raise InputError(f"{path} exists already; it is not overwritten")
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        write_file(path, content)
    print(target)
    note(f"next: cellfields {next_command} {target}")


def _study_of_structure(directory: Path, structure: Path, index: int | None) -> tuple[Path, dict[Path, bytes]]:
    """The path of the study file, and the content of all files to write.

    These are the study file and, unless the structure file is in the folder already, a copy of it.

    Raises:
        InputError: :meth:`Crystal.from_file` refuses the structure, or it has the name of the study file.
    """
    from cellfields.cli._structure_template import formula, structure_template
    from cellfields.crystal import Crystal
    from cellfields.errors import InputError

    crystal = Crystal.from_file(structure, index=index)
    target = directory / f"{formula(crystal)}.toml"
    copy = directory / structure.name
    files = {target: structure_template(crystal, structure.name, target.name, index).encode("utf-8")}
    if copy.resolve() != structure.resolve():
        files[copy] = structure.read_bytes()
    if target == copy:
        raise InputError(f"--structure {structure} must not be called like the study file, {target.name}")
    return target, files
