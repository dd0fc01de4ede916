"""``cellfields converge``: cutoff, k mesh and smearing of a study against denser ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import ConfigArgument, JsonOption
from cellfields.cli._mechanics import PlotOption

if TYPE_CHECKING:
    from cellfields.evaluation.convergence import Convergence, Rung

FOLDER = "convergence"  # in the study's output folder
_TITLES = {"cutoff": "cutoff, Ha", "kmesh": "k mesh", "smearing_width": "smearing width, Ha (on the densest mesh)"}


def converge(
    config: ConfigArgument,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", metavar="HA", help="Wanted of F, Hartree an atom.", show_default=False),
    ] = None,
    stress_tolerance: Annotated[
        float | None,
        typer.Option("--stress-tolerance", metavar="GPA", help="Wanted of the stress.", show_default=False),
    ] = None,
    json: JsonOption = None,
    plot: PlotOption = None,
) -> None:
    """Cutoff, k mesh and smearing against denser ones; recommends.

    Finished solves are kept; the same command, and one with other ladders, goes on from there.

    Example: cellfields converge magnesium.toml --tolerance 1e-4 --plot convergence.png
    """
    from cellfields.cli._console import clock, note, progress
    from cellfields.cli._mechanics import check_plot, gpa, save_plot
    from cellfields.cli._output import check_target, write_json
    from cellfields.cli._stress_check import warn_of_cutoff
    from cellfields.config import load_configuration
    from cellfields.errors import InputError
    from cellfields.evaluation import convergence
    from cellfields.study import make_engine

    for name, value in (("--tolerance", tolerance), ("--stress-tolerance", stress_tolerance)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value:g} must be a positive number")
    if stress_tolerance is not None and tolerance is None:
        raise InputError("--stress-tolerance only goes with --tolerance")
    check_target(json, "--json")
    check_plot(plot)
    study = load_configuration(config)
    crystal, sampling = study.crystal.build(), study.sampling
    warn_of_cutoff(study, make_engine(study, crystal))
    strained = convergence.strained_cell(crystal, sampling.stretch_sigma, sampling.angle_sigma, sampling.hold)

    def engine(settings: Any) -> Any:
        return make_engine(study.model_copy(update={"engine": settings}), crystal)

    with progress() as bars:
        found = convergence.converge(
            crystal,
            study.engine,
            engine,
            strained,
            folder=study.output.directory / FOLDER,
            on_point=lambda done, total: bars.update("solving", done, total),
        )
    limit = None if stress_tolerance is None else stress_tolerance / gpa(1.0)
    best = None if tolerance is None else found.recommend(tolerance, limit)
    if plot is not None:
        from cellfields.evaluation.figures.convergence import convergence_figure

        save_plot(convergence_figure(found, tolerance, limit), plot)
    if json is not None:
        extra: dict[str, Any] = {"kind": "converge", "tolerance": tolerance, "stress_tolerance": limit}
        if best is not None:
            extra["recommended"] = {name: None if rung is None else rung.value for name, rung in best.items()}
        write_json(json, extra | found.to_dict())
        return
    _print(found)
    note(f"all solves together: {clock(sum(r.seconds for rungs in found.ladders.values() for r in rungs))} of CPU time")
    if best is not None and tolerance is not None:
        _recommend(found, best, tolerance, stress_tolerance)


def _print(found: Convergence) -> None:
    from cellfields.cli._console import clock, print_table
    from cellfields.cli._mechanics import gpa

    for name, rungs in found.ladders.items():
        own = getattr(found.settings, name)
        rows: list[tuple[str, ...]] = []
        for rung in rungs:
            mark = " (study)" if rung.value == own else ""
            if rung.change is None:
                rows.append((_text(rung) + mark, "not solved", "", "", "", "", "", ""))
                continue
            c = rung.change
            energies = (c.free_energy, c.extrapolated, c.entropic_energy, c.strain_energy)
            numbers = (*(f"{1e3 * x:.4f}" for x in energies), f"{gpa(c.stress):.4f}")
            rows.append((_text(rung) + mark, str(rung.points[0].k_points), *numbers, clock(rung.seconds)))
        columns = ("", "k points", "F", "½(E+F)", "−TS", "F(strained) − F(reference)", "stress, GPa", "CPU time")
        print_table(f"{_TITLES[name]}: change from the last row, mHa an atom", columns, rows)
        for rung in rungs:
            if rung.reason:
                print(f"not solved: {name} = {_text(rung)}: {rung.reason}")


def _recommend(
    found: Convergence, best: dict[str, Rung | None], tolerance: float, stress_tolerance: float | None
) -> None:
    from cellfields.cli._mechanics import gpa
    from cellfields.evaluation.convergence import toml_lines

    wanted = f"F within {tolerance:g} Ha an atom"
    if stress_tolerance is not None:
        wanted += f" and the stress within {stress_tolerance:g} GPa"
    lines = toml_lines(best)
    if lines:
        print(f"cheapest settings with {wanted}, each ladder for itself:\n\n[engine]")
        print("\n".join(lines) + "\n")
    for name, rung in best.items():
        if rung is None:
            solved = [r for r in found.ladders[name] if r.change is not None]
            if len(solved) < 2 or solved[-2].change is None:
                print(f"{name}: too few members could be solved to say anything")
                continue
            left = solved[-2].change
            print(
                f"{name}: no member of the ladder has {wanted}: the last step, {_text(solved[-2])} to "
                f"{_text(solved[-1])}, still changes F by {left.free_energy:.1e} Ha an atom and the stress by "
                f"{gpa(left.stress):.2g} GPa; put {_toml(solved[-1])} into the study and run this again"
            )
    if all(rung is not None for rung in best.values()):
        print("errors of several ladders add up: run this again with these lines to see all of them about one point")


def _text(rung: Rung) -> str:
    return "×".join(map(str, rung.value)) if isinstance(rung.value, tuple) else f"{rung.value:g}"


def _toml(rung: Rung) -> str:
    return str(list(rung.value)) if isinstance(rung.value, tuple) else f"{rung.value:g}"
