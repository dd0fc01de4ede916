"""Arguments and options that several commands share, and functions that parse and check their texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellfields.errors import InputError

if TYPE_CHECKING:
    from cellfields.crystal.deformation import Deformation
    from cellfields.state.fields import FourierBasis

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="Study file (TOML).", show_default=False)]
DeformationOption = Annotated[
    str,
    typer.Option("--D", "-D", metavar="λa,λb,λc,θa,θb,θc", help="Stretches and angles (degrees).", show_default=False),
]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write JSON (atomic units); - is stdout.", show_default=False),
]
FieldsOption = Annotated[
    Path | None,
    typer.Option("--fields", metavar="FILE.npz", help="Write the fields on a grid.", show_default=False),
]
GridOption = Annotated[
    str | None,
    typer.Option("--grid", metavar="n1,n2,n3", help="Grid of --fields; default: the smallest that holds everything."),
]

PseudopotentialOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pseudopotential",
        metavar="[SYMBOL=]PATH",
        help="Pseudopotential file, instead of the study's; once a species.",
        show_default=False,
    ),
]


def parse_pseudopotentials(texts: list[str] | None, species: tuple[str, ...]) -> dict[str, Path]:
    """Chemical symbol → pseudopotential file, from the texts of ``--pseudopotential``.

    Args:
        texts: ``SYMBOL=PATH``, or ``PATH`` for a crystal of one species; None for no files.
        species: chemical symbols of the crystal's atoms.

    Raises:
        InputError: the crystal does not have the species, a symbol is missing, or the file does not exist.
    """
    result: dict[str, Path] = {}
    kinds = tuple(dict.fromkeys(species))
    for text in texts or []:
        symbol, separator, path = text.partition("=")
        if not separator:
            if len(kinds) > 1:
                raise InputError(f"--pseudopotential {text}: say for which of {', '.join(kinds)}, as SYMBOL=PATH")
            symbol, path = kinds[0], text
        if symbol not in kinds:
            raise InputError(f"--pseudopotential {text}: the crystal has no {symbol} (it has {', '.join(kinds)})")
        if not Path(path).is_file():
            raise InputError(f"--pseudopotential {text}: there is no file {path}")
        result[symbol] = Path(path).resolve()
    return result


def parse_deformation(text: str) -> Deformation:
    """Deformation from a text ``λa,λb,λc,θa,θb,θc``, with the angles in degrees.

    Raises:
        InputError: the text does not hold six numbers, or a number is out of range.
    """
    from cellfields.crystal.deformation import Deformation

    return Deformation.from_array(_numbers(text, float, 6, "--D", "six numbers λa,λb,λc,θa,θb,θc"))


def parse_grid(text: str | None, *, written: bool = True) -> tuple[int, int, int] | None:
    """Points along each axis of a grid, from a text ``n1,n2,n3``; None where the text is None.

    Args:
        text: three whole numbers in 1 … 1000.
        written: whether fields are written on the grid.

    Raises:
        InputError: the text is no grid, or no fields are written on it.
    """
    if text is None:
        return None
    n1, n2, n3 = (int(x) for x in _numbers(text, int, 3, "--grid", "three whole numbers n1,n2,n3 in 1 … 1000"))
    if not all(1 <= n <= 1000 for n in (n1, n2, n3)):
        raise InputError(f"--grid = {text!r} must be three whole numbers n1,n2,n3 in 1 … 1000")
    if not written:
        raise InputError(f"--grid {text} is the grid of --fields, which is missing: add --fields FILE.npz")
    return n1, n2, n3


def default_grid(basis: FourierBasis) -> tuple[int, int, int]:
    """Points along each axis of the smallest grid with fast FFTs that holds every coefficient of the basis."""
    import numpy as np
    from scipy.fft import next_fast_len

    n1, n2, n3 = (next_fast_len(2 * int(reach) + 1, real=True) for reach in np.abs(basis.indices).max(axis=0))
    return n1, n2, n3


def _numbers(text: str, kind: type, count: int, option: str, wanted: str) -> list[float]:
    parts = text.strip().strip("()[]").split(",")
    try:
        values = [kind(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != count:
        raise InputError(f"{option} = {text!r} must be {wanted}, separated by commas")
    return values
