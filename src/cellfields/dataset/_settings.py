"""The settings that a dataset was made with, as a sealed table, and the sentence that says how two tables differ."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from cellfields import __version__
from cellfields.crystal import Crystal
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError, SettingsMismatchError
from cellfields.storage.json_tables import digest, plain, unseal_table

DATASET_FORMAT = 1
_SHOWN = 3  # differences that fit into one sentence
_TYPES = {
    "format": int,
    "version": str,
    "crystal": dict,
    "crystal_hash": str,
    "engine": dict,
    "engine_hash": str,
}


def settings_table(crystal: Crystal, identity: EngineIdentity) -> dict[str, Any]:
    """Plain table of everything that a state's numbers depend on besides D, with hashes.

    Raises:
        InputError: the engine's identity is not plain data.
    """
    engine = plain(identity.table, "engine")
    return {
        "format": DATASET_FORMAT,
        "version": __version__,
        "crystal": crystal.to_dict(),
        "crystal_hash": crystal.fingerprint,
        "engine": engine,
        "engine_hash": digest(engine),
    }


def read_settings(data: bytes, name: str) -> dict[str, Any]:
    """Read and check the settings table that was sealed in ``data``; ``name`` is the file's, for messages.

    Raises:
        CorruptFileError: truncated, altered, foreign.
        InputError: written in a format that this version does not know.
    """
    table = unseal_table(data, name)
    if isinstance(table.get("format"), int) and table["format"] > DATASET_FORMAT:
        raise InputError(
            f"{name} has dataset format {table['format']}, this version of cellfields reads up to {DATASET_FORMAT}"
        )
    if table.keys() != _TYPES.keys() or any(not isinstance(table[key], kind) for key, kind in _TYPES.items()):
        raise CorruptFileError(f"{name} is not the description of a cellfields dataset")
    if table["engine_hash"] != digest(table["engine"]):
        raise CorruptFileError(f"{name} is altered: the hash of the engine's settings does not fit them")
    return table


def require_same(stored: Mapping[str, Any], wanted: Mapping[str, Any], directory: object) -> None:
    """Refuse to go on in a dataset that was made with another crystal or other engine settings.

    Raises:
        SettingsMismatchError: naming each setting that differs, its value in the dataset and the one asked for.
    """
    phrases = list(differences(stored["engine"], wanted["engine"], "engine"))
    if stored["crystal_hash"] != wanted["crystal_hash"]:
        phrases = [*differences(stored["crystal"], wanted["crystal"], "crystal"), *phrases]
    if not phrases:
        return
    more = f"; and {len(phrases) - _SHOWN} more" if len(phrases) > _SHOWN else ""
    raise SettingsMismatchError(
        f"dataset {directory} was made with other settings: {'; '.join(phrases[:_SHOWN])}{more} "
        "(use the old settings, or another directory)"
    )


def differences(old: Any, new: Any, path: str) -> Iterator[str]:
    """One phrase for each entry in which two plain tables differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            here = f"{path}.{key}"
            if key not in new:
                yield f"{here} was {_short(old[key])}, now not set"
            elif key not in old:
                yield f"{here} was not set, now {_short(new[key])}"
            else:
                yield from differences(old[key], new[key], here)
    elif old != new:
        yield f"{path} was {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    short = reprlib.Repr()
    short.maxlist, short.maxdict, short.maxlevel, short.maxstring = 4, 4, 3, 70
    return short.repr(value)
