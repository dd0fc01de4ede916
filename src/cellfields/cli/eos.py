"""``cellfields eos``: equation of state, lattice constant and bulk modulus from energies, compared with the stress."""

from __future__ import annotations

from typing import Annotated

import typer

from cellfields.cli._arguments import JsonOption
from cellfields.cli._engine import EngineArgument
from cellfields.cli._mechanics import PlotOption

_AGREE_GPA = 1.0  # larger differences of the two pressures are warned of


def eos(
    engine: EngineArgument,
    json: JsonOption = None,
    largest: Annotated[
        float, typer.Option("--largest", metavar="X", help="Lengths go from 1 - X to 1 + X times the reference.")
    ] = 0.03,
    points: Annotated[int, typer.Option("--points", metavar="N", help="Number of volumes.")] = 7,
    plot: PlotOption = None,
) -> None:
    """Equation of state: F against volume; lattice constant, bulk modulus.

    Example: cellfields eos study.toml --plot eos.png
    """
    from cellfields.cli._console import print_table, warn
    from cellfields.cli._engine import open_engine
    from cellfields.cli._mechanics import check_plot, fixed, save_plot, warn_outside
    from cellfields.cli._output import check_target, write_json
    from cellfields.mechanics.equation_of_state import equation_of_state
    from cellfields.units import ANGSTROM, GPA

    check_target(json, "--json")
    check_plot(plot)
    fitted = equation_of_state(open_engine(engine), largest=largest, points=points)
    warn_outside([fitted.in_domain])
    apart = fitted.largest_disagreement
    if apart is not None and apart * GPA > _AGREE_GPA:
        warn(
            f"the pressure by the stress differs from −dF/dV by up to {apart * GPA:.2f} GPa: what is found from "
            "the stress, the lattice constant first, differs from what is found from energies (is the cutoff too low?)"
        )
    if plot is not None:
        from cellfields.evaluation.figures.equation_of_state import equation_of_state_figure

        save_plot(equation_of_state_figure(fitted), plot)
    if json is not None:
        write_json(json, fitted.to_dict())
        return
    by_energy = fitted.pressure(fitted.volumes) * GPA
    by_stress = ["—"] * len(by_energy) if fitted.pressures is None else [fixed(p * GPA, 3) for p in fitted.pressures]
    rows = [
        (fixed(v * ANGSTROM**3, 4), f"{e:.7f}", fixed(p, 3), q)
        for v, e, p, q in zip(fitted.volumes, fitted.energies, by_energy, by_stress, strict=True)
    ]
    print_table("", ("V, Å³", "F, Ha", "−dF/dV, GPa", "−tr σ/3, GPa"), rows)
    lengths = ", ".join(f"{x * ANGSTROM:.4f}" for x in fitted.lengths)
    rows = [
        ("volume V₀", fixed(fitted.volume * ANGSTROM**3, 4), "Å³", ""),
        ("lengths a, b, c at V₀", lengths, "Å", ""),
        ("bulk modulus B₀", fixed(fitted.bulk_modulus * GPA, 2), "GPa", ""),
        ("its derivative B₀'", fixed(fitted.bulk_derivative, 2), "", ""),
        ("root mean square of F − fit", f"{1e3 * fitted.residual:.2g}", "mHa", ""),
    ]
    print_table("Birch–Murnaghan, third order", ("", "", "", ""), rows)
