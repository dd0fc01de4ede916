"""``cellfields predict``: one deformation, from a trained surrogate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellfields.cli._arguments import DeformationOption, FieldsOption, GridOption, JsonOption


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Trained model.", show_default=False)],
    d: DeformationOption,
    json: JsonOption = None,
    fields: FieldsOption = None,
    grid: GridOption = None,
) -> None:
    """Predict one deformation with a trained model.

    Example: cellfields predict run/model.safetensors --D 1.01,1,1,90,90,90 --fields fields.npz
    """
    from cellfields.cli._arguments import parse_deformation, parse_grid
    from cellfields.cli._console import warn
    from cellfields.cli._output import check_target
    from cellfields.cli._state import hand_out
    from cellfields.surrogate import Surrogate

    deformation, shape = parse_deformation(d), parse_grid(grid)
    check_target(json, "--json")
    check_target(fields, "--fields")
    surrogate = Surrogate.load(model)
    inside = bool(surrogate.in_domain(deformation))
    state = surrogate.solve(deformation)
    if not inside:
        warn("this deformation lies outside the strains the model was trained on; the prediction is an extrapolation")
    hand_out(state, surrogate.crystal, json=json, fields=fields, grid=shape, extra={"in_domain": inside})
