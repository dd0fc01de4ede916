"""``cellfields reproduce``: repeats a published study, from the labels to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellfields.cli._arguments import JsonOption

STUDIES = ("teh2021",)


def reproduce(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="teh2021.", show_default=False)],
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="DIR", help="Folder with the authors' published data.", show_default=False),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--directory", metavar="DIR", help="Where everything goes; default: STUDY.", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="Packed labels to begin with.", show_default=False),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature that takes minutes.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Solves at a time.")] = 1,
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", metavar="NAME", help="Only this stage; may be repeated.", show_default=False),
    ] = None,
    no_solve: Annotated[bool, typer.Option("--no-solve", help="Use the labels that there are; solve none.")] = False,
    json: JsonOption = None,
) -> None:
    """Reproduce a published study; resumes where it was.

    Stages: labels, accuracy, learning-curve, cross-validation, ablation, uncertainty, routes, converged,
    smearing.

    Example: cellfields reproduce teh2021 --reference teh2021_data --directory run --workers 2
    """
    from cellfields.cli._console import note, print_table, progress
    from cellfields.cli._output import check_target, write_json
    from cellfields.errors import InputError

    check_target(json, "--json")
    if study not in STUDIES:
        raise InputError(f"study {study!r} is unknown; there is {', '.join(STUDIES)}")
    target = (Path(study + ("_quick" if quick else "")) if directory is None else directory).absolute()
    if target.exists() and not target.is_dir():
        raise InputError(f"--directory {target} is a file, it must be a folder")
    from cellfields.reproductions.teh2021 import page
    from cellfields.reproductions.teh2021 import reproduce as studies
    from cellfields.reproductions.teh2021.protocol import teh2021
    from cellfields.reproductions.teh2021.workbench import Workbench

    stages = studies.checked(stage)
    plan = teh2021(reference, quick=quick)
    if labels is not None:
        from cellfields.dataset.pack import read_pack, unpack

        packed = read_pack(labels)  # a wrong pack is refused before its thousands of files are written
        packed.require_engine(plan.engine, labels)
        unpack(packed, target / "dataset")
    for sentence in plan.notes:
        note(sentence)
    with progress() as tasks:
        bench = Workbench(plan, target, workers, not no_solve, tasks.update)
        results = studies.reproduce(bench, stages, note)
    if json is not None:
        write_json(json, page.report(bench, results))
        return
    tables = results.tables()
    for table in tables[:1]:
        print_table(table.title, table.columns, table.rows)
    if tables:
        print(f"report: {target / 'report.html'}")
