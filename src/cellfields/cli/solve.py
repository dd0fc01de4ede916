"""``cellfields solve``: one deformation, from first principles."""

from __future__ import annotations

from cellfields.cli._arguments import ConfigArgument, DeformationOption, FieldsOption, GridOption, JsonOption


def solve(
    config: ConfigArgument,
    d: DeformationOption,
    json: JsonOption = None,
    fields: FieldsOption = None,
    grid: GridOption = None,
) -> None:
    """Solve one deformation from first principles.

    Example: cellfields solve magnesium.toml --D 1.01,1,1,90,90,90 --json -
    """
    from cellfields.cli._arguments import parse_deformation, parse_grid
    from cellfields.cli._output import check_target
    from cellfields.cli._state import hand_out
    from cellfields.cli._study import make_engine
    from cellfields.config import load_configuration

    deformation, shape = parse_deformation(d), parse_grid(grid)
    check_target(json, "--json")
    check_target(fields, "--fields")
    configuration = load_configuration(config)
    crystal = configuration.crystal.build()
    state = make_engine(configuration, crystal).solve(deformation)
    hand_out(state, crystal, json=json, fields=fields, grid=shape)
