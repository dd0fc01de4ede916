"""``cellfields import``: imports states that another code computed into the dataset of a study."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import ConfigArgument, JsonOption

if TYPE_CHECKING:
    from cellfields.dataset.importing import ImportSummary

_QUIET_SECONDS = 10.0  # between two lines of progress
_SHOWN = 20  # refused states that are listed on the screen
_RELAXED = 1e-3  # Hartree/Bohr; the relaxations of other codes leave smaller forces than this


def import_(
    config: ConfigArgument,
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE", help="Tables (CSV), or folders of ABINIT output.", show_default=False),
    ],
    json: JsonOption = None,
) -> None:
    """Import states that another code computed.

    The study has a table [imported] in place of [engine] and [sampling]. What a source does not say stays unknown; what
    is no deformation of the study's crystal is refused by name.

    Example: cellfields import magnesium.toml states.csv
    """
    from itertools import chain, islice

    from cellfields.cli._console import note, warn
    from cellfields.cli._output import check_target, write_json
    from cellfields.dataset.importing import import_records, read_source
    from cellfields.errors import InputError
    from cellfields.pipeline.configuration import ImportedConfiguration
    from cellfields.pipeline.study import Study

    check_target(json, "--json")
    study = Study.load(config)
    if not isinstance(study.configuration, ImportedConfiguration):
        raise InputError(f"{config} solves its states: give it a table [imported] instead of [engine] and [sampling]")
    for source in sources:
        if not source.exists():
            raise InputError(f"there is no {source}")
    table = study.configuration.imported
    seen, last_note = 0, time.monotonic()

    def on_record(name: str) -> None:
        nonlocal seen, last_note
        seen += 1
        if time.monotonic() - last_note > _QUIET_SECONDS:
            last_note = time.monotonic()
            note(f"{seen} read, last {name}")

    opened = [read_source(source, study.crystal) for source in sources]
    # The first record of each source is read here, so that a wrong header or folder is refused before anything is kept.
    heads = [list(islice(records, 1)) for records in opened]
    summary = import_records(
        study.create_store,
        study.crystal,
        chain.from_iterable(chain(head, rest) for head, rest in zip(heads, opened, strict=True)),
        field_cutoff=table.field_cutoff,
        max_loss=table.max_loss,
        electrons=table.electrons,
        on_record=on_record,
    )
    if summary.largest_force is not None and summary.largest_force > _RELAXED:
        warn(f"there are forces of {summary.largest_force:.1e} Ha/Bohr: the atoms of these states are not relaxed")
    if json is not None:
        write_json(json, summary.to_dict())
    else:
        _print(summary, study.configuration.dataset_directory)
    if not summary.imported:
        first = summary.refused[0] if summary.refused else "the sources are empty"
        raise InputError(f"not one state could be imported; the first: {first}")


def _print(summary: ImportSummary, directory: Path) -> None:
    from cellfields.cli._console import print_table

    for reason in summary.refused[:_SHOWN]:
        print(f"refused: {' '.join(reason.split())}")
    if len(summary.refused) > _SHOWN:
        print(f"… and {len(summary.refused) - _SHOWN} more: --json lists all")
    rows = []
    for name, count in summary.known.items():
        loss: Any = summary.largest_loss.get(name)
        lost = ("", "") if loss is None else (f"{loss['asymmetry']:.1e}", f"{loss['cutoff']:.1e}")
        rows.append((name, str(count) if count else "not known", *lost))
    title = f"dataset {directory}: {summary.imported} states imported, {len(summary.refused)} refused"
    print_table(title, ("quantity", "states", "largest asymmetry, rel. L²", "largest part beyond the cutoff"), rows)
    print_table("checks", ("what must hold", "found"), _check_rows(summary.checks))


def _check_rows(checks: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of a table with the result of each check, in words and units for people."""
    from cellfields.units import ANGSTROM, GPA

    def row(what: str, name: str, scale: float, unit: str) -> tuple[str, str]:
        value = checks[name]
        return what, "not known" if value is None else f"{scale * value:.3g} {unit}"

    electrons = checks["electrons"]
    if electrons is None:
        number_of_electrons = "not known"
    else:
        low, high = (f"{n:.6g}" for n in electrons)
        number_of_electrons = low if low == high else f"{low} … {high}"
    return [
        ("electrons in a cell: whole, and the same in all states", number_of_electrons),
        row("free energy: largest less smallest", "free_energy_range", 1000.0, "mHa an atom"),
        row("stress: largest component", "largest_stress", GPA, "GPa"),
        row("atoms: farthest from its reference position", "largest_displacement", ANGSTROM, "Å"),
        row("U: largest difference from the integral of u", "largest_band_energy_difference", 1000.0, "mHa"),
    ]
