"""``cellfields pack``: writes a dataset as one small file, and measures the error of its truncated fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellfields.cli._arguments import JsonOption

if TYPE_CHECKING:
    from cellfields.dataset.pack import PackedDataset


def pack(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.", show_default=False)],
    tolerance: Annotated[
        float | None,
        typer.Option(help="Largest relative L² error of truncating a field; default: 1e-4.", show_default=False),
    ] = None,
    cutoff: Annotated[
        float | None, typer.Option(help="Keep coefficients up to this ½|G|² instead, Hartree.", show_default=False)
    ] = None,
    modes: Annotated[
        int | None, typer.Option(help="Keep so many principal components a field.", show_default=False)
    ] = None,
    json: JsonOption = None,
) -> None:
    """Write a dataset as one small file.

    Fields are truncated in Fourier space and rounded to single precision; all else is exact. The error of each field is
    measured on every state, printed, and kept in the file.

    Example: cellfields pack run/dataset magnesium.pack
    """
    from cellfields.cli._output import check_target, write_json
    from cellfields.dataset import DatasetStore
    from cellfields.dataset import pack as packing

    check_target(file, "FILE")
    check_target(json, "--json")
    store = DatasetStore.open(dataset)
    content = packing.pack(store, file, tolerance=tolerance, cutoff=cutoff, modes=modes)
    table = describe_pack(file, content) | {"dataset_bytes": store.info().bytes_on_disk}
    if json is not None:
        write_json(json, table)
        return
    print_pack(table)


def describe_pack(file: Path, content: PackedDataset) -> dict[str, Any]:
    """JSON data about a pack: its file, sizes, and the error of each field."""
    return {"kind": "packed dataset", "file": str(file), "bytes": file.stat().st_size, **content.to_dict()}


def print_pack(table: dict[str, Any]) -> None:
    """Print the sizes and errors of a pack (:func:`describe_pack`) as a table on stdout."""
    from cellfields.cli._console import print_table, size

    rows = [
        (
            name,
            str(field["states"]),
            f"{field['cutoff']:.4g}",
            str(field["coefficients"]),
            "—" if field["modes"] is None else str(field["modes"]),
            f"{field['relative_l2_mean']:.1e}",
            f"{field['relative_l2_max']:.1e}",
        )
        for name, field in table["fields"].items()
    ]
    size_text = size(table["bytes"])
    if "dataset_bytes" in table:
        size_text += f" (dataset: {size(table['dataset_bytes'])})"
    title = f"{table['file']}: {table['states']} states, {size_text}"
    if not rows:
        print(f"{title}, no fields")
        return
    columns = ("field", "states", "cutoff, Ha", "coefficients", "modes", "mean error, rel. L²", "largest error")
    print_table(title, columns, rows)
