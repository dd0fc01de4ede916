"""``cellfields unpack``: restores a packed dataset as a folder, in which a campaign can continue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Packed dataset.", show_default=False)],
    directory: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder to write.", show_default=False)],
) -> None:
    """Restore a packed dataset as a folder.

    States that the folder already holds are left as they are. A study goes on in it without solving anything twice.

    Example: cellfields unpack magnesium.pack run/dataset
    """
    from cellfields.cli.pack import describe_pack, print_pack
    from cellfields.dataset import pack as packing

    content = packing.read_pack(file)
    store = packing.unpack(content, directory)
    print_pack(describe_pack(file, content))
    print(f"dataset: {store.directory} ({store.info().solved} states)")
