"""``cellfields predictor``: predicts piecewise-periodic fields for the elements of a coarse mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellfields.cli._arguments import JsonOption
from cellfields.cli._engine import ModelArgument, open_model


def predictor(
    model: ModelArgument,
    deformations: Annotated[
        Path,
        typer.Option(
            "--deformations",
            metavar="FILE",
            help="Deformation gradients, one an element: .npy, .npz (n,3,3) or .csv, nine numbers a row.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.nc", help="File to write.")] = Path(
        "predictor.nc"
    ),
    grid: Annotated[
        str | None,
        typer.Option("--grid", metavar="n1,n2,n3", help="Write values on a grid over each cell.", show_default=False),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME", help="Only this field; may be repeated.", show_default=False),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Predict the fields of every element of a deformed body, in one chunked file.

    Without --grid the file holds the fields as functions, compactly; cellfields.export.predictor reads it.

    Example: cellfields predictor run/model.safetensors --deformations gradients.npy -o body.nc
    """
    import time

    from cellfields.cli._arguments import parse_grid
    from cellfields.cli._console import clock, note_unknown, progress, size, warn
    from cellfields.cli._output import check_target, write_json
    from cellfields.export.deformation_gradients import read_gradients
    from cellfields.export.predictor import netcdf4
    from cellfields.export.predictor_writer import write_predictor

    shape = parse_grid(grid)
    check_target(output, "--output")
    check_target(json, "--json")
    netcdf4()
    gradients = read_gradients(deformations)
    surrogate = open_model(model)
    started = time.perf_counter()
    with progress() as tasks:
        inside = write_predictor(
            output.absolute(),
            surrogate,
            gradients,
            fields=field,
            grid=shape,
            on_progress=lambda done, total: tasks.update("predicting", done, total),
        )
    seconds = time.perf_counter() - started
    note_unknown(surrogate)
    if inside < len(gradients):
        warn(
            f"{len(gradients) - inside} of {len(gradients)} elements lie outside the strains the model was trained on: "
            "extrapolations (in_domain in the file says which)"
        )
    written = output.stat().st_size
    table = {
        "file": str(output),
        "elements": len(gradients),
        "in_domain": inside,
        "fields": list(surrogate.encoding.reductions if field is None else dict.fromkeys(field)),
        "grid": None if shape is None else list(shape),
        "bytes": written,
        "seconds": round(seconds, 3),
    }
    if json is not None:
        write_json(json, table)
    else:
        print(f"{len(gradients)} elements in {clock(seconds)}: {output} ({size(written)})")
