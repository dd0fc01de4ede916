"""``cellfields elastic``: elastic constants, averaged moduli and mechanical stability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cellfields.cli._arguments import JsonOption
from cellfields.cli._engine import EngineArgument
from cellfields.cli._mechanics import PlotOption
from cellfields.cli._stress_check import CheckOption

if TYPE_CHECKING:
    from cellfields.mechanics import ElasticConstants


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
    outside: Annotated[
        str,
        typer.Option(metavar="raise|flag", help="What --stress-free does where a model has not been trained."),
    ] = "raise",
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
    from cellfields.crystal.voigt import NAMES
    from cellfields.errors import InputError
    from cellfields.mechanics import elastic_constants, stress_free
    from cellfields.mechanics.crystal_axes import crystal_axes, is_cubic, rotated
    from cellfields.mechanics.departure import check_outside
    from cellfields.mechanics.moduli import Moduli, moduli, point_group, symmetrised, zener_anisotropy

    check_outside(outside)
    deformation = None if d is None else parse_deformation(d)
    check_target(json, "--json")
    check_plot(plot)
    solver = open_engine(engine)
    if relax:
        deformation = stress_free(solver, begin=deformation, outside=outside).deformation
    consistency = check_stress(solver, check, deformation)
    trusted = consistency.is_consistent() is not False
    computed = elastic_constants(solver, deformation, ions="clamped" if clamped else "relaxed")
    warn_outside([computed.in_domain])
    strained = (
        None if d is None or relax else computed.deformation
    )  # a stress-free cell has the reference crystal's symmetry
    symmetric, forbidden = symmetrised(computed.constants, point_group(solver.crystal, strained))
    axes, group = crystal_axes(solver.crystal, strained)
    conventional = rotated(symmetric, axes)
    cubic = is_cubic(group) and strained is None
    averages: Moduli | None = None
    try:
        averages = moduli(computed.constants)
    except InputError as error:
        warn(f"{error}, nor averages; was a component of D held in training?")
    if plot is not None and averages is not None:
        from cellfields.evaluation.figures.youngs_modulus import youngs_modulus_figure

        save_plot(youngs_modulus_figure(computed.constants), plot)
    if json is not None:
        extra = {
            "bulk_modulus": None if averages is None else averages.bulk,
            "shear_modulus": None if averages is None else averages.shear,
            "young_modulus": None if averages is None else averages.young,
            "poisson_ratio": None if averages is None else averages.poisson,
            "universal_anisotropy": None if averages is None else averages.universal_anisotropy,
            "zener_anisotropy": zener_anisotropy(conventional) if cubic else None,
            "symmetrised": symmetric.tolist(),
            "in_crystal_axes": conventional.tolist(),
            "crystal_axes": axes.tolist(),
            "largest_outside_symmetry": forbidden,
            "stable": computed.is_stable if trusted else None,
            "stress_consistency": consistency_table(solver, consistency),
        }
        write_json(json, computed.to_dict() | extra)
        return
    for title, constants in (
        (f"elastic constants, {computed.ions} ions, GPa, as computed, a ∥ x and b in the xy plane", computed.constants),
        (f"the same with the crystal's symmetry (space group {group}), in the conventional crystal axes", conventional),
    ):
        rows = [(name, *(fixed(x, 2) for x in row)) for name, row in zip(NAMES, gpa(constants), strict=True)]
        print_table(title, ("", *NAMES), rows)
    values = ", ".join(f"{x:.6g}" for x in computed.deformation.as_array())
    rows = [("at D", values, "")]
    if averages is not None:
        rows += [
            ("bulk modulus (Hill)", fixed(gpa(averages.bulk), 2), "GPa"),
            ("shear modulus (Hill)", fixed(gpa(averages.shear), 2), "GPa"),
            ("Young's modulus (Hill)", fixed(gpa(averages.young), 2), "GPa"),
            ("Poisson's ratio (Hill)", fixed(averages.poisson, 3), ""),
            ("universal anisotropy (0: isotropic)", fixed(averages.universal_anisotropy, 3), ""),
        ]
    if cubic:
        rows.append(("Zener's anisotropy 2C44/(C11 − C12)", fixed(zener_anisotropy(conventional), 3), ""))
    rows += [
        ("largest stress of the state", fixed(gpa(abs(computed.stress).max()), 4), "GPa"),
        ("largest C_IJ − C_JI", fixed(gpa(computed.asymmetry), 3), "GPa"),
        ("largest part that the crystal's symmetry forbids", fixed(gpa(forbidden), 3), "GPa"),
        ("stable against small strains of this cell under its load", _stability(computed, trusted), ""),
    ]
    print_table("", ("", "", ""), rows)


def _stability(computed: ElasticConstants, trusted: bool) -> str:
    """Whether the stiffness B is positive definite, in words.

    It is not known where the stress is wrong (``trusted`` is False) or extrapolated.
    """
    if not trusted:
        return "not known: the stress is wrong"
    if computed.in_domain is False:
        return "not known: an extrapolation"
    return "yes" if computed.is_stable else "no"
