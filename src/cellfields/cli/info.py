"""``cellfields info``: shows the content of a dataset, a model or a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cellfields.cli._arguments import JsonOption


def info(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Dataset folder or pack, model (file or name) or study.", show_default=False
        ),
    ],
    json: JsonOption = None,
) -> None:
    """Say what a dataset, model or study holds.

    Example: cellfields info run/model.safetensors
    """
    from cellfields import models
    from cellfields.cli._console import print_failures, print_table
    from cellfields.cli._output import check_target, write_json
    from cellfields.dataset import Failure
    from cellfields.errors import InputError

    check_target(json, "--json")
    path = path if path.is_dir() else models.find(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        table = _dataset(path)
    elif path.suffix == ".toml":
        table = _study(path)
    elif path.suffix == ".safetensors":
        table = _model(path)
    elif path.suffix == ".pack":
        table = _pack(path)
    else:
        raise InputError(
            f"{path} is neither a dataset folder, a packed one (.pack), a model (.safetensors) nor a study file (.toml)"
        )
    if json is not None:
        write_json(json, table)
        return
    failures = [Failure.from_dict(entry, str(path)) for entry in table.pop("failures", [])]
    card = table.pop("card", None)
    units = " (Hartree atomic units: lengths in Bohr, volumes in Bohr³)" if table["kind"] in ("study", "model") else ""
    print_table(f"{table['kind']} {path}{units}", ("", ""), _rows(table))
    if card is not None:
        print(f"\n{card}", end="")
    print_failures(failures)


def _dataset(path: Path) -> dict[str, Any]:
    from cellfields.dataset import DatasetStore
    from cellfields.errors import InputError

    folder = path if (path / "dataset.json").is_file() else path / "dataset"
    if not (folder / "dataset.json").is_file():
        raise InputError(f"{path} holds no dataset (no dataset.json)")
    store = DatasetStore.open(folder)
    return {"kind": "dataset", **store.info().to_dict(), "failures": [f.to_dict() for f in store.failures()]}


def _pack(path: Path) -> dict[str, Any]:
    from cellfields.cli.pack import describe_pack
    from cellfields.dataset.pack import read_pack

    return describe_pack(path, read_pack(path))


def _model(path: Path) -> dict[str, Any]:
    from cellfields import models
    from cellfields.surrogate import Surrogate

    surrogate = Surrogate.load(path)
    table = {"kind": "model", "crystal": surrogate.crystal.to_dict(), "metadata": dict(surrogate.metadata)}
    text = models.card(path)
    return table if text is None else table | {"card": text}


def _study(path: Path) -> dict[str, Any]:
    from cellfields.pipeline.study import Study

    study = Study.load(path)
    crystal = study.crystal
    centre = crystal.inversion_centre
    return {
        "kind": "study",
        "crystal": crystal.to_dict(),
        "volume": crystal.volume_ref,
        "primitive_cells": crystal.n_translations,
        "internal_coordinates": crystal.n_internal,
        "inversion_centre": None if centre is None else centre.tolist(),
        **study.configuration.model_dump(mode="json", exclude={"crystal"}),
    }


def _rows(table: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows (key, text) of a nested table, with the keys of inner tables joined by dots."""
    rows: list[tuple[str, str]] = []
    for name, value in table.items():
        if name == "kind" and not prefix:
            continue
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], list | dict):
            rows += [(f"{prefix}{name}[{i}]", _text(entry)) for i, entry in enumerate(value)]
        else:
            rows.append((prefix + name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        text = ", ".join(_text(entry) for entry in value)
        return text if len(text) <= 70 else text[:69] + "…"
    if isinstance(value, float):
        return f"{round(value, 12) + 0.0:.8g}"
    return str(value)
