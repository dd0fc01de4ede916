"""``cellfields predict``: predicts the state of one deformation with a trained surrogate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import DeformationOption, FieldsOption, GridOption, JsonOption
from cellfields.cli._engine import ModelArgument, open_model

if TYPE_CHECKING:
    from collections.abc import Mapping


def predict(
    model: ModelArgument,
    d: DeformationOption,
    json: JsonOption = None,
    fields: FieldsOption = None,
    grid: GridOption = None,
    outside: Annotated[
        str,
        typer.Option(metavar="warn|raise|flag", help="What to do outside the strains that the model was trained on."),
    ] = "warn",
) -> None:
    """Predict one deformation with a trained model.

    Example: cellfields predict mg --D 1.01,1,1,90,90,90 --fields fields.npz
    """
    from cellfields.cli._arguments import parse_deformation, parse_grid
    from cellfields.cli._console import note_unknown, warn
    from cellfields.cli._output import check_target
    from cellfields.cli._state import output_state
    from cellfields.surrogate.training_domain import check_choice

    deformation, shape = parse_deformation(d), parse_grid(grid, written=fields is not None)
    check_target(json, "--json")
    check_target(fields, "--fields")
    check_choice(outside)
    # The warning is printed below as one line; the surrogate itself raises the error of "raise".
    surrogate = open_model(model, outside="raise" if outside == "raise" else "flag")
    state = surrogate.solve(deformation)
    extra: dict[str, Any] = {"in_domain": state.provenance["in_domain"]}
    if outside == "warn" and not extra["in_domain"]:
        warn("this deformation lies outside the strains the model was trained on; the prediction is an extrapolation")
    note_unknown(surrogate)
    if surrogate.uncertainties is not None:
        extra["uncertainty"] = surrogate.uncertainty(deformation)
    output_state(state, surrogate.crystal, json=json, fields=fields, grid=shape, extra=extra)
    if json is None and "uncertainty" in extra:
        _print_uncertainty(extra["uncertainty"])


def _print_uncertainty(uncertainty: Mapping[str, float]) -> None:
    from cellfields.cli._console import print_table
    from cellfields.evaluation.accuracy import QUANTITIES

    shown = [(QUANTITIES[name], value) for name, value in uncertainty.items()]
    rows = [(quantity.label, f"{quantity.scale * value:.2g}", quantity.unit) for quantity, value in shown]
    print_table("standard deviation of these predictions", ("", "value", "unit"), rows)
