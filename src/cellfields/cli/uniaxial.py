"""``cellfields uniaxial``: stretches along one direction while all other stresses are zero (paper, fig. 9)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellfields.cli._arguments import JsonOption
from cellfields.cli._engine import EngineArgument
from cellfields.cli._mechanics import PlotOption
from cellfields.cli._stress_check import CheckOption

if TYPE_CHECKING:
    from cellfields.mechanics import Instability, UniaxialCurve
    from cellfields.mechanics.coordinates import Components


def uniaxial(
    engine: EngineArgument,
    direction: Annotated[int, typer.Option(metavar="1|2|3", help="The line that is stretched.", show_default=False)],
    json: JsonOption = None,
    plot: PlotOption = None,
    outside: Annotated[
        str,
        typer.Option(metavar="raise|flag", help="What --instability does where a model has not been trained."),
    ] = "raise",
    largest: Annotated[float, typer.Option(metavar="STRAIN", help="Strains go from -STRAIN to STRAIN.")] = 0.1,
    steps: Annotated[int, typer.Option(metavar="N", help="Strains on each side of zero.")] = 10,
    shears: Annotated[bool, typer.Option("--shears", help="Free the angles too, not only the lengths.")] = False,
    instability: Annotated[
        bool, typer.Option("--instability", help="Find where the crystal loses its stability.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep each finished strain; the same command goes on from there.", show_default=False
        ),
    ] = None,
    check: CheckOption = True,
) -> None:
    """Uniaxial stress test: strain one direction, relax all other stresses.

    Example: cellfields uniaxial run/model.safetensors --direction 2 --plot curve.png
    """
    import numpy as np

    from cellfields.cli._console import progress, warn
    from cellfields.cli._engine import open_engine
    from cellfields.cli._mechanics import check_plot, save_plot, warn_outside
    from cellfields.cli._output import check_target, write_json
    from cellfields.cli._stress_check import check_stress, consistency_table
    from cellfields.errors import ConvergenceError, InputError
    from cellfields.mechanics import find_instability, uniaxial_test
    from cellfields.mechanics.departure import check_outside

    if not 1 <= steps <= 1000:
        raise InputError(f"--steps {steps} must be in 1 … 1000")
    if not 0 < largest <= 0.4:
        raise InputError(f"--largest {largest:g} must be greater than 0 and at most 0.4 (0.1 is 10 %)")
    check_outside(outside)
    check_target(json, "--json")
    check_target(record, "--record")
    check_plot(plot)
    solver = open_engine(engine)
    components: Components = "all" if shears else "axial"
    strains = np.linspace(-largest, largest, 2 * steps + 1)
    done = 0
    with progress() as bars:

        def count(*_: object) -> None:
            nonlocal done
            done += 1
            bars.update("strains", done, len(strains))

        curve = uniaxial_test(solver, direction, strains.tolist(), components=components, record=record, on_point=count)
    consistency = check_stress(solver, check)
    for strain, reason in curve.failures.items():
        warn(f"the curve ends before strain {strain:g}: {reason}")
    instabilities = []
    for towards in (-largest, largest) if instability else ():
        try:
            end = find_instability(solver, direction, towards=towards, components=components, outside=outside)
        except (ConvergenceError, InputError) as error:  # the curve is kept all the same
            warn(f"looking for an instability towards {towards:g}: {error}")
            continue
        instabilities += [] if end is None else [end]
    warn_outside(point.in_domain for point in curve.points)
    if plot is not None:
        from cellfields.evaluation.figures.stress_strain import uniaxial_figure

        flags = np.array([point.in_domain is False for point in curve.points])
        ends = [(end.direction, end.strain, _along(end)) for end in instabilities]
        figure = uniaxial_figure({engine.stem: [curve.table()]}, outside={engine.stem: [flags]}, instabilities=ends)
        save_plot(figure, plot)
    if json is not None:
        extra = {"stress_consistency": consistency_table(solver, consistency)}
        write_json(json, curve.to_dict() | {"instabilities": [end.to_dict() for end in instabilities]} | extra)
        return
    _print(curve, instabilities, instability)


def _print(curve: UniaxialCurve, instabilities: list[Instability], sought: bool) -> None:
    from cellfields.cli._console import print_table
    from cellfields.cli._mechanics import fixed, gpa

    table = curve.table()
    rows = [
        (fixed(strain), fixed(gpa(stress)), *(fixed(x, 5) for x in strains), str(point.evaluations))
        for strain, stress, strains, point in zip(table.strain, table.stress, table.strains, curve.points, strict=True)
    ]
    title = f"uniaxial stress along x{curve.direction} (nothing subtracted)"
    print_table(title, ("strain", "stress, GPa", "e1", "e2", "e3", "solves"), rows)
    for strain in table.turning_points():
        print(f"the stress turns at strain {strain:.4f}: unstable from there under a prescribed load")
    for end in instabilities:
        mode = ", ".join(f"{name} {part:+.3f}" for name, part in end.mode.items())
        where = ", outside the strains the model was trained on" if end.in_domain is False else ""
        print(f"instability at strain {end.strain:.4f} ({end.kind}{where}); the crystal goes along {mode}")
    if sought and not instabilities:
        print("no instability on the way")


def _along(end: Instability) -> float:
    """Stress along the stretched direction, Hartree/Bohr³."""
    return float(end.stress[end.direction - 1, end.direction - 1])
