"""``cellfields solve``: solves one deformation from first principles."""

from __future__ import annotations

from cellfields.cli._arguments import (
    ConfigArgument,
    DeformationOption,
    FieldsOption,
    GridOption,
    JsonOption,
    PseudopotentialOption,
)
from cellfields.cli._stress_check import CheckOption


def solve(
    config: ConfigArgument,
    d: DeformationOption,
    json: JsonOption = None,
    fields: FieldsOption = None,
    grid: GridOption = None,
    pseudopotential: PseudopotentialOption = None,
    check: CheckOption = True,
) -> None:
    """Solve one deformation from first principles.

    Example: cellfields solve magnesium.toml --D 1.01,1,1,90,90,90 --json -
    """
    from cellfields.cli._arguments import parse_deformation, parse_grid, parse_pseudopotentials
    from cellfields.cli._output import check_target
    from cellfields.cli._state import output_state
    from cellfields.cli._stress_check import check_stress, print_consistency
    from cellfields.pipeline.configuration import load_configuration
    from cellfields.pipeline.stress_check import warn_of_cutoff
    from cellfields.pipeline.study import make_engine

    deformation, shape = parse_deformation(d), parse_grid(grid, written=fields is not None)
    check_target(json, "--json")
    check_target(fields, "--fields")
    configuration = load_configuration(config)
    crystal = configuration.crystal.build()
    files = parse_pseudopotentials(pseudopotential, crystal.species)
    configuration = configuration.with_pseudopotentials(files)
    engine = make_engine(configuration, crystal)
    warn_of_cutoff(engine)
    state = engine.solve(deformation)
    consistency = check_stress(engine, check, state=state)
    extra = {"in_domain": None, "stress_consistency": consistency.to_dict()}  # no training domain
    output_state(state, crystal, json=json, fields=fields, grid=shape, extra=extra)
    if json is None:
        print_consistency(consistency, state)
