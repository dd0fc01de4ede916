"""Units, plots and warnings that the commands about stress share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS = (".png", ".svg", ".pdf")

PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw it (png, svg, pdf).", show_default=False)
]


def gpa(stress: Any) -> Any:
    """Convert a number or array from Hartree/Bohr³ to GPa."""
    from cellfields.units import GPA

    return stress * GPA


def check_plot(path: Path | None) -> None:
    """Check before anything is computed that a drawing can be written.

    Raises:
        InputError: the name does not end in .png, .svg or .pdf, or its folder does not exist.
    """
    from cellfields.cli._output import check_target
    from cellfields.errors import InputError

    check_target(path, "--plot")
    if path is not None and path.suffix.lower() not in _KINDS:
        raise InputError(f"--plot {path}: the name must end in {', '.join(_KINDS)}")


def save_plot(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the suffix of the file's name gives."""
    from cellfields.cli._output import write_file
    from cellfields.evaluation.figures.style import image_bytes

    write_file(path, image_bytes(figure, path.suffix[1:].lower()))


def fixed(value: float, digits: int = 4) -> str:
    """A number as a text with ``digits`` digits after the point, without a minus sign before zero."""
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


def warn_outside(in_domain: Iterable[bool | None]) -> None:
    """Warn on stderr if some of a model's answers are extrapolations.

    Args:
        in_domain: for each answer whether it lies in the training domain; None for an engine without a domain.
    """
    from cellfields.cli._console import warn

    flags = list(in_domain)
    outside = sum(flag is False for flag in flags)
    if outside:
        warn(f"{outside} of {len(flags)} answers lie outside the strains the model was trained on: extrapolations")
