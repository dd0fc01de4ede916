"""``cellfields stress``: prints the stress of one deformation by each of its definitions."""

from __future__ import annotations

from cellfields.cli._arguments import DeformationOption, JsonOption
from cellfields.cli._engine import EngineArgument
from cellfields.cli._stress_check import CheckOption

_TITLES = {
    "cauchy": "Cauchy (eq. 13)",
    "small_strain": "V⁻¹ ∂F/∂ε (eq. 14)",
    "first_piola": "first Piola–Kirchhoff",
    "second_piola": "second Piola–Kirchhoff",
}


def stress(engine: EngineArgument, d: DeformationOption, json: JsonOption = None, check: CheckOption = True) -> None:
    """Stress of one deformation, by every definition.

    Example: cellfields stress run/model.safetensors --D 1.02,1,1,90,90,90
    """
    import numpy as np

    from cellfields.cli._arguments import parse_deformation
    from cellfields.cli._console import print_table
    from cellfields.cli._engine import open_engine
    from cellfields.cli._mechanics import fixed, gpa, warn_outside
    from cellfields.cli._output import check_target, write_json
    from cellfields.cli._stress_check import check_stress, consistency_table, print_consistency
    from cellfields.mechanics import Stress

    deformation = parse_deformation(d)
    check_target(json, "--json")
    solver = open_engine(engine)
    state = solver.solve(deformation)
    warn_outside([state.provenance.get("in_domain")])
    table = Stress.of(state, solver.crystal).to_dict()
    consistency = check_stress(solver, check, state=state)
    if json is not None:
        extra = {"in_domain": state.provenance.get("in_domain")}
        write_json(json, table | extra | {"stress_consistency": consistency_table(solver, consistency)})
        return
    for name in (name for name in _TITLES if name in table):
        rows = [(axis, *(fixed(x) for x in row)) for axis, row in zip("xyz", gpa(np.array(table[name])), strict=True)]
        print_table(f"{_TITLES[name]}, GPa", ("", "x", "y", "z"), rows)
    print_consistency(consistency, state)
