"""``cellfields elastic``: elastic constants and what follows from them."""

from __future__ import annotations

from typing import Annotated

import typer

from cellfields.cli._arguments import JsonOption
from cellfields.cli._engine import EngineArgument
from cellfields.cli._mechanics import PlotOption
from cellfields.cli._stress_check import CheckOption

_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


def elastic(
    engine: EngineArgument,
    json: JsonOption = None,
    d: Annotated[
        str | None,
        typer.Option(
            "--D",
            "-D",
            metavar="λa,λb,λc,θa,θb,θc",
            help="State; default: the reference cell.",
            show_default=False,
        ),
    ] = None,
    relax: Annotated[bool, typer.Option("--stress-free", help="Relax the cell first, to zero stress.")] = False,
    clamped: Annotated[bool, typer.Option("--clamped", help="Keep the atoms' fractional coordinates.")] = False,
    plot: PlotOption = None,
    check: CheckOption = True,
) -> None:
    """Elastic constants, by differences of stress; --plot draws Young's modulus.

    Example: cellfields elastic run/model.safetensors --json -
    """
    from cellfields.cli._arguments import parse_deformation
    from cellfields.cli._console import print_table, warn
    from cellfields.cli._engine import open_engine
    from cellfields.cli._mechanics import check_plot, fixed, gpa, save_plot, warn_outside
    from cellfields.cli._output import check_target, write_json
    from cellfields.cli._stress_check import check_stress, consistency_table
    from cellfields.errors import InputError
    from cellfields.mechanics import elastic_constants, stress_free
    from cellfields.mechanics.moduli import Moduli, moduli, point_group, symmetrised

    deformation = None if d is None else parse_deformation(d)
    check_target(json, "--json")
    check_plot(plot)
    solver = open_engine(engine)
    if relax:
        deformation = stress_free(solver, begin=deformation).deformation
    agreement = check_stress(solver, check, deformation)
    trusted = agreement.is_consistent() is not False
    found = elastic_constants(solver, deformation, ions="clamped" if clamped else "relaxed")
    known = getattr(solver, "in_domain", None)
    warn_outside([known(found.deformation) if known else None])
    strained = None if d is None or relax else found.deformation  # free of stress it is the reference crystal again
    symmetric, outside = symmetrised(found.constants, point_group(solver.crystal, strained))
    averages: Moduli | None = None
    try:
        averages = moduli(found.constants)
    except InputError as error:
        warn(f"{error}, nor averages; was a component of D held in training?")
    if plot is not None and averages is not None:
        from cellfields.evaluation.figures.youngs_modulus import youngs_modulus_figure

        save_plot(youngs_modulus_figure(found.constants), plot)
    if json is not None:
        extra = {
            "bulk_modulus": None if averages is None else averages.bulk,
            "shear_modulus": None if averages is None else averages.shear,
            "symmetrised": symmetric.tolist(),
            "largest_outside_symmetry": outside,
            "stable": found.is_stable if trusted else None,
            "stress_consistency": consistency_table(solver, agreement),
        }
        write_json(json, found.to_dict() | extra)
        return
    rows = [(name, *(fixed(x, 2) for x in row)) for name, row in zip(_NAMES, gpa(found.constants), strict=True)]
    print_table(f"elastic constants, {found.ions} ions, GPa", ("", *_NAMES), rows)
    values = ", ".join(f"{x:.6g}" for x in found.deformation.as_array())
    rows = [("at D", values, "")]
    if averages is not None:
        rows += [
            ("bulk modulus (Hill)", fixed(gpa(averages.bulk), 2), "GPa"),
            ("shear modulus (Hill)", fixed(gpa(averages.shear), 2), "GPa"),
        ]
    rows += [
        ("largest stress of the state", fixed(gpa(abs(found.stress).max()), 4), "GPa"),
        ("largest C_IJ − C_JI", fixed(gpa(found.asymmetry), 3), "GPa"),
        ("largest part that the crystal's symmetry forbids", fixed(gpa(outside), 3), "GPa"),
        ("stable", ("yes" if found.is_stable else "no") if trusted else "not known: the stress is wrong", ""),
    ]
    print_table("", ("", "", ""), rows)
