"""``cellfields solve``: one deformation, from first principles."""

from __future__ import annotations

from cellfields.cli._arguments import (
    ConfigArgument,
    DeformationOption,
    FieldsOption,
    GridOption,
    JsonOption,
    PseudopotentialOption,
)


def solve(
    config: ConfigArgument,
    d: DeformationOption,
    json: JsonOption = None,
    fields: FieldsOption = None,
    grid: GridOption = None,
    pseudopotential: PseudopotentialOption = None,
) -> None:
    """Solve one deformation from first principles.

    Example: cellfields solve magnesium.toml --D 1.01,1,1,90,90,90 --json -
    """
    from cellfields.cli._arguments import parse_deformation, parse_grid, parse_pseudopotentials
    from cellfields.cli._output import check_target
    from cellfields.cli._state import hand_out
    from cellfields.config import load_configuration
    from cellfields.study import make_engine

    deformation, shape = parse_deformation(d), parse_grid(grid)
    check_target(json, "--json")
    check_target(fields, "--fields")
    configuration = load_configuration(config)
    crystal = configuration.crystal.build()
    files = parse_pseudopotentials(pseudopotential, crystal.species)
    configuration = configuration.with_pseudopotentials(files)
    state = make_engine(configuration, crystal).solve(deformation)
    hand_out(state, crystal, json=json, fields=fields, grid=shape)
