"""HTML tables of a study's settings, with file names instead of paths and a description of each pseudopotential.

[engine]  cutoff 10   kmesh 6 × 4 × 4   pseudopotentials  Mg: GTH-LDA (built in), 2 electrons
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

from cellfields.evaluation.html_page import table

_SHORT = 8  # digits of a hash that are shown
_PSEUDOPOTENTIALS = "pseudopotentials"
_DESCRIBED_WITH_THEM = ("local_channels", "valences")
_CUT = 160  # characters of a value


class Ion(Protocol):
    """The properties of a pseudopotential that a report describes."""

    @property
    def valence(self) -> float:
        """Number of valence electrons of one atom."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the data that define it."""


def pseudopotential_names(ions: Mapping[str, Ion], files: Mapping[str, Path], functional: str) -> dict[str, str]:
    """Symbol → a phrase with the source of its pseudopotential and the number of its valence electrons.

    Args:
        ions: symbol → pseudopotential in use.
        files: symbol → file of the pseudopotential; those of other symbols come from the built-in table.
        functional: name of the functional that the built-in pseudopotentials were made for.
    """
    phrases = {}
    for symbol, ion in ions.items():
        source = f"GTH-{functional.upper()} (built in)"
        if symbol in files:
            source = f"{files[symbol].name} (SHA-256 {ion.fingerprint[:_SHORT]}…)"
        phrases[symbol] = f"{source}, {ion.valence:g} electron{'' if ion.valence == 1 else 's'}"
    return phrases


def settings_tables(
    settings: Mapping[str, Mapping[str, Any]], pseudopotentials: Mapping[str, str] | None = None
) -> list[str]:
    """HTML of one box for each table of a study file.

    Args:
        settings: table → key → value, as in the study file.
        pseudopotentials: symbol → phrase (:func:`pseudopotential_names`), shown in place of the files; empty or None
            where there are none.
    """
    boxes = []
    for name, values in settings.items():
        rows = []
        for key, value in values.items():
            if pseudopotentials and key in (_PSEUDOPOTENTIALS, *_DESCRIBED_WITH_THEM):
                continue
            rows.append((key, value_text(value)))
        if pseudopotentials and _PSEUDOPOTENTIALS in values:
            rows.append((_PSEUDOPOTENTIALS, "; ".join(f"{s}: {text}" for s, text in pseudopotentials.items())))
        boxes.append(f"<div><h3>[{escape(name)}]</h3>{table(('', ''), rows, 9)}</div>")
    return boxes


def value_text(value: Any) -> str:
    """Text of one value of a study file: a file's name and hash, a mesh as 6 × 4 × 4, a dash for an empty value."""
    if value is None or (isinstance(value, Mapping | Sequence) and not value):
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Path):
        return _file(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {value_text(entry)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) == 3 and all(isinstance(entry, int) for entry in value):
            return " × ".join(map(str, value))
        nested = any(isinstance(entry, Sequence) and not isinstance(entry, str) for entry in value)
        return _cut(("; " if nested else ", ").join(value_text(entry) for entry in value))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else text[: _CUT - 1] + "…"


def _file(path: Path) -> str:
    """Name of a file, followed by the hash of its content where the file can be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return path.name
    return f"{path.name} (SHA-256 {hashlib.sha256(content).hexdigest()[:_SHORT]}…)"
