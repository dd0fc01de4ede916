"""Texts from the command line → deformations and grids, and the options that several commands share."""

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
    """From ``SYMBOL=PATH`` texts; a crystal of one species needs no symbol.

    Raises:
        InputError: a species that the crystal does not have, no symbol where one is needed, or no such file.
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
    """From ``λa,λb,λc,θa,θb,θc``.

    Raises:
        InputError: not six numbers, or numbers out of range.
    """
    from cellfields.crystal.deformation import Deformation

    return Deformation.from_array(_numbers(text, float, 6, "--D", "six numbers λa,λb,λc,θa,θb,θc"))


def parse_grid(text: str | None, *, written: bool = True) -> tuple[int, int, int] | None:
    """From ``n1,n2,n3``, each in 1 … 1000; None stays None.

    Raises:
        InputError: something else, or a grid although no fields are ``written`` on it.
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
    """The smallest grid with quick FFTs that holds every coefficient of the basis."""
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
