"""``cellfields converge``: compares cutoff, k mesh and smearing of a study with denser ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import ConfigArgument, JsonOption
from cellfields.cli._mechanics import PlotOption

if TYPE_CHECKING:
    from cellfields.evaluation.convergence import Convergence, Rung
    from cellfields.evaluation.smoothness import Smoothness

FOLDER = "convergence"  # folder of the kept solves in the study's output folder
_TITLES = {
    "cutoff": "cutoff, Ha",
    "kmesh": "k mesh",
    "smearing": "kind of smearing (on the study's mesh)",
    "smearing_width": "smearing width, Ha (on the densest mesh)",
}


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
    stiffness_tolerance: Annotated[
        float | None,
        typer.Option("--stiffness-tolerance", metavar="GPA", help="Wanted of two stiffnesses.", show_default=False),
    ] = None,
    cutoffs: Annotated[
        str | None, typer.Option("--cutoffs", metavar="HA,HA,…", help="Cutoffs to compare.", show_default=False)
    ] = None,
    meshes: Annotated[
        str | None, typer.Option("--meshes", metavar="NxNxN,…", help="k meshes to compare.", show_default=False)
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
    from cellfields.errors import InputError
    from cellfields.evaluation import convergence
    from cellfields.evaluation.smoothness import smoothness, smoothness_widths
    from cellfields.pipeline.configuration import load_configuration
    from cellfields.pipeline.stress_check import warn_of_cutoff
    from cellfields.pipeline.study import make_engine

    wanted = {
        "--tolerance": tolerance,
        "--stress-tolerance": stress_tolerance,
        "--stiffness-tolerance": stiffness_tolerance,
    }
    for name, value in wanted.items():
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value:g} must be a positive number")
    for name, value in wanted.items():
        if value is not None and tolerance is None:
            raise InputError(f"{name} only goes with --tolerance")
    ladder, grids = _cutoffs(cutoffs), _meshes(meshes)
    check_target(json, "--json")
    check_plot(plot)
    study = load_configuration(config)
    crystal, sampling = study.crystal.build(), study.sampling
    warn_of_cutoff(make_engine(study, crystal))
    strained = convergence.strained_cell(crystal, sampling.stretch_sigma, sampling.angle_sigma, sampling.hold)

    def engine(settings: Any) -> Any:
        return make_engine(study.model_copy(update={"engine": settings}), crystal)

    with progress() as bars:
        measured = convergence.converge(
            crystal,
            study.engine,
            engine,
            strained,
            folder=study.output.directory / FOLDER,
            on_point=lambda done, total: bars.update("solving", done, total),
            cutoffs=ladder,
            meshes=grids,
        )
        widths = smoothness_widths(engine(study.engine), study.engine)
        smooth = smoothness(
            crystal,
            study.engine,
            engine,
            widths,
            folder=study.output.directory / FOLDER,
            on_point=lambda done, total: bars.update("smoothness in strain", done, total),
        )
    limit = None if stress_tolerance is None else stress_tolerance / gpa(1.0)
    stiff = None if stiffness_tolerance is None else stiffness_tolerance / gpa(1.0)
    best = None if tolerance is None else measured.recommend(tolerance, limit, stiff)
    if plot is not None:
        from cellfields.evaluation.figures.convergence import convergence_figure

        save_plot(convergence_figure(measured, tolerance, limit), plot)
    if json is not None:
        extra: dict[str, Any] = {
            "kind": "converge",
            "tolerance": tolerance,
            "stress_tolerance": limit,
            "stiffness_tolerance": stiff,
        }
        if best is not None:
            extra["recommended"] = {name: None if rung is None else rung.value for name, rung in best.items()}
            if tolerance is not None and smooth.rungs:
                width = smooth.recommend(tolerance)
                extra["recommended"]["cutoff_smoothing"] = None if width is None else width.width
        write_json(json, extra | measured.to_dict() | {"smoothness": smooth.to_dict()})
        if str(json) == "-":
            return
    _print(measured)
    _print_smoothness(smooth)
    seconds = sum(rung.seconds for rungs in measured.ladders.values() for rung in rungs)
    seconds += sum(rung.seconds for rung in smooth.rungs)
    note(f"all solves together: {clock(seconds)} of CPU time")
    if best is not None and tolerance is not None:
        _recommend(measured, best, tolerance, stress_tolerance)
        _recommend_smoothing(smooth, tolerance)


def _cutoffs(text: str | None) -> list[float] | None:
    from cellfields.errors import InputError

    if text is None:
        return None
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(1 <= value <= 500 for value in values):
        raise InputError(f"--cutoffs {text} must be numbers in 1 … 500 (Hartree), separated by commas")
    return values


def _meshes(text: str | None) -> list[tuple[int, int, int]] | None:
    from cellfields.errors import InputError

    if text is None:
        return None
    parsed = []
    for word in text.split(","):
        parts = word.strip().lower().replace("×", "x").split("x")
        if len(parts) != 3 or not all(part.isdecimal() and 1 <= int(part) <= 200 for part in parts):
            raise InputError(f"--meshes {text} must be meshes such as 8x8x8 (1 … 200 points each), separated by commas")
        parsed.append((int(parts[0]), int(parts[1]), int(parts[2])))
    return parsed


def _print(measured: Convergence) -> None:
    from cellfields.cli._console import clock, print_table
    from cellfields.cli._mechanics import gpa

    for name, rungs in measured.ladders.items():
        study_value = getattr(measured.settings, name)
        rows: list[tuple[str, ...]] = []
        judged = [rung for rung in rungs if rung.stiffness]
        for rung in rungs:
            mark = " (study)" if rung.value == study_value else ""
            if rung.change is None:
                rows.append((_text(rung) + mark, "not solved", *[""] * (6 + bool(judged))))
                continue
            c = rung.change
            energies = (c.free_energy, c.extrapolated, c.entropic_energy, c.strain_energy)
            numbers = (*(f"{1e3 * x:.4f}" for x in energies), f"{gpa(c.stress):.4f}")
            stiffness = (", ".join(f"{gpa(x):.1f}" for x in rung.stiffness),) if judged else ()
            rows.append((_text(rung) + mark, str(rung.points[0].k_points), *numbers, *stiffness, clock(rung.seconds)))
        columns = ("", "k points", "F", "½(E+F)", "−TS", "F(strained) − F(reference)", "stress, GPa")
        last = ("stiffness, GPa",) if judged else ()
        title = f"{_TITLES[name]}: change from the last row, mHa an atom"
        print_table(title, (*columns, *last, "CPU time"), rows)
        for rung in rungs:
            if rung.wrong_sign:
                where = f"{name} = {_text(rung)}"
                print(f"WRONG SIGN: on {where} a stiffness is negative, or has another sign than in the last row")
        for rung in rungs:
            if rung.reason:
                print(f"not solved: {name} = {_text(rung)}: {rung.reason}")


def _recommend(
    measured: Convergence, best: dict[str, Rung | None], tolerance: float, stress_tolerance: float | None
) -> None:
    from cellfields.cli._mechanics import gpa
    from cellfields.evaluation.convergence import toml_lines

    wanted = f"F within {tolerance:g} Ha an atom"
    if stress_tolerance is not None:
        wanted += f" and the stress within {stress_tolerance:g} GPa"
    kinds, best = best.get("smearing"), {name: rung for name, rung in best.items() if name != "smearing"}
    lines = toml_lines(best)
    if lines:
        print(f"cheapest settings with {wanted}, each ladder for itself:\n\n[engine]")
        print("\n".join(lines) + "\n")
    for name, rung in best.items():
        if rung is None:
            solved = [r for r in measured.ladders[name] if r.change is not None]
            if len(solved) < 2 or solved[-2].change is None:
                print(f"{name}: too few members could be solved to say anything")
                continue
            left = solved[-2].change
            print(
                f"{name}: no member of the ladder has {wanted}: the last step, {_text(solved[-2])} to "
                f"{_text(solved[-1])}, still changes F by {left.free_energy:.1e} Ha an atom and the stress by "
                f"{gpa(left.stress):.2g} GPa; put {_toml(solved[-1])} into the study and run this again"
            )
    if "smearing" in measured.ladders and kinds is None:
        print("smearing: on this k mesh no kind has the stiffnesses of the densest one; take more k points")
    elif kinds is not None and kinds.value != measured.settings.smearing:
        print(f'smearing = "{kinds.value}" has the stiffnesses nearest to those of the densest k mesh')
    if all(rung is not None for rung in best.values()):
        print("errors of several ladders add up: run this again with these lines to see all of them about one point")


def _print_smoothness(smooth: Smoothness) -> None:
    from cellfields.cli._console import clock, note, print_table
    from cellfields.cli._mechanics import gpa

    if not smooth.rungs:
        note("cutoff_smoothing is not compared: it needs full plane waves, and this study uses a reduced basis")
        return
    rows: list[tuple[str, ...]] = []
    for rung in smooth.rungs:
        mark = " (study)" if rung.width == smooth.settings.cutoff_smoothing else ""
        if rung.roughness is None or rung.mismatch is None:
            rows.append((f"{rung.width:g}{mark}", "not solved", rung.reason, ""))
        else:
            numbers = (f"{1e3 * rung.roughness:.4f}", f"{gpa(rung.mismatch):+.3f}")
            rows.append((f"{rung.width:g}{mark}", *numbers, clock(rung.seconds)))
    columns = ("", "jumps of F, mHa an atom", "stress − dF/dV, GPa", "CPU time")
    print_table("cutoff_smoothing, Ha: F at seven strains within ±1.5 %", columns, rows)


def _recommend_smoothing(smooth: Smoothness, tolerance: float) -> None:
    if not smooth.rungs:
        return
    best = smooth.recommend(tolerance)
    if best is None:
        print("cutoff_smoothing: at this cutoff no width is smooth within the tolerance and has the right stress")
    elif best.width != smooth.settings.cutoff_smoothing:
        print(f"cutoff_smoothing = {best.width:g} makes F smooth in strain within the tolerance, and stress = dF/dD")


def _text(rung: Rung) -> str:
    if isinstance(rung.value, str):
        return rung.value
    return "×".join(map(str, rung.value)) if isinstance(rung.value, tuple) else f"{rung.value:g}"


def _toml(rung: Rung) -> str:
    return str(list(rung.value)) if isinstance(rung.value, tuple) else _text(rung)
