"""What identifies the numbers that an engine makes: one JSON table, read by name.

    {"engine": "plane waves", "settings": {"kmesh": [6, 4, 4], "cutoff": 10.0, …, "pseudopotentials": {"Mg": hash}}}
    {"engine": "ABINIT",      "settings": {…}, "variables": {…}}
    {"engine": "imported",    "description": "VASP, PBE", "field_cutoff": 40.0, "kmesh": [6, 6, 6]}

Datasets, packs and models keep the table; two sets of numbers may be mixed only where their tables are equal. Whoever
needs one entry asks this class, which answers None for what a table does not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

PLANE_WAVES, ABINIT, IMPORTED = "plane waves", "ABINIT", "imported"


@dataclass(frozen=True)
class EngineIdentity:
    """The identity of an engine, or of somebody else's code whose states were imported.

    Attributes:
        table: JSON data; how a result is reached, or when to give up, is no part of it.
    """

    table: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, identity: EngineIdentity | Mapping[str, Any]) -> Self:
        """An identity from a table that was stored, or the identity itself."""
        return cls(dict(identity.table if isinstance(identity, EngineIdentity) else identity))

    @property
    def kind(self) -> str:
        """Which engine: "plane waves", "ABINIT", "imported", another name, or "unknown"."""
        return str(self.table.get("engine", "unknown"))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the calculation with the pseudopotentials' fingerprints, empty where they are not known."""
        settings = self.table.get("settings")
        return settings if isinstance(settings, Mapping) else {}

    @property
    def has_settings(self) -> bool:
        """Whether the table tells settings at all: those of imported states are a sentence."""
        return isinstance(self.table.get("settings"), Mapping)

    @property
    def kmesh(self) -> tuple[int, int, int] | None:
        """k points along each axis of the crystal's cell, Γ-centred, or None where nobody told."""
        mesh = self.settings.get("kmesh", self.table.get("kmesh"))
        if mesh is None:
            return None
        n1, n2, n3 = (int(n) for n in mesh)
        return n1, n2, n3

    @property
    def smearing(self) -> str | None:
        """Kind of smearing, or None where it is not known."""
        kind = self.settings.get("smearing")
        return None if kind is None else str(kind)

    @property
    def smearing_width(self) -> float | None:
        """σ, Hartree, or None where it is not known or there is no smearing."""
        width = self.settings.get("smearing_width")
        return None if width is None or self.smearing == "none" else float(width)

    @property
    def pseudopotentials(self) -> Mapping[str, str]:
        """Symbol → fingerprint, empty where they are not known; each kind of engine takes fingerprints its own way."""
        fingerprints = self.settings.get("pseudopotentials")
        return fingerprints if isinstance(fingerprints, Mapping) else {}

    @property
    def variables(self) -> Mapping[str, Any]:
        """Further input variables of an external code."""
        variables = self.table.get("variables")
        return variables if isinstance(variables, Mapping) else {}

    @property
    def description(self) -> str | None:
        """One sentence on the code that computed imported states, or None."""
        text = self.table.get("description")
        return None if text is None else str(text)
