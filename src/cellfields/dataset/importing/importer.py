"""Seal the records of any source as states of one dataset; a record that does not belong is refused by name.

    dataset settings = {"engine": "imported", "description": …, "field_cutoff": …}

The description says which code computed the states and how. It is part of the settings, so that states of different
origin, or own solves, cannot end up in one dataset by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cellfields.crystal import Crystal
from cellfields.dataset.importing.checks import DatasetChecks
from cellfields.dataset.importing.record import Record, state_of
from cellfields.dataset.importing.table import read_table
from cellfields.dataset.store import DatasetStore
from cellfields.engines.identity import IMPORTED, EngineIdentity
from cellfields.errors import InputError
from cellfields.state.quantities import FIELDS, STATE_NUMBERS


def imported_identity(description: str, field_cutoff: float, kmesh: Sequence[int] | None = None) -> EngineIdentity:
    """The identity of the code that computed imported states.

    Args:
        description: which code computed the states, and how.
        field_cutoff: ½|G⁰|² up to which fields are kept, Hartree.
        kmesh: k points along each axis of the crystal's cell, None if not known. It decides which images of a state
            under the crystal's symmetry are as good as the state.
    """
    table: dict[str, Any] = {"engine": IMPORTED, "description": description, "field_cutoff": field_cutoff}
    return EngineIdentity(table if kmesh is None else table | {"kmesh": list(kmesh)})


@dataclass(frozen=True)
class ImportSummary:
    """Counts, losses and refusals of one import.

    Attributes:
        imported: states sealed.
        refused: one sentence for each record that was not, beginning with its name.
        known: quantity or field → how many of the imported states know it.
        largest_loss: field → largest asymmetry and largest part beyond the cutoff, relative L².
        largest_force: on an atom of any state, Hartree/Bohr; None where no forces are known.
        checks: what the invariants of :mod:`cellfields.dataset.importing.checks` came to, in Hartree atomic units.
    """

    imported: int
    refused: tuple[str, ...]
    known: Mapping[str, int]
    largest_loss: Mapping[str, Mapping[str, float]]
    largest_force: float | None
    checks: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


def read_source(source: Path, crystal: Crystal) -> Iterator[Record | InputError]:
    """The records of a source: a table (CSV), or a folder of ABINIT output folders.

    Raises:
        InputError: no such source.
    """
    if source.is_dir():
        from cellfields.dataset.importing.abinit import read_folder

        return read_folder(source)
    return read_table(source, crystal)


def import_records(
    create_store: Callable[[], DatasetStore],
    crystal: Crystal,
    records: Iterable[Record | InputError],
    *,
    field_cutoff: float,
    max_loss: float,
    electrons: float | None = None,
    on_record: Callable[[str], None] | None = None,
) -> ImportSummary:
    """Seal the state of every record that is accepted; a state of the same D in the dataset is replaced.

    Args:
        create_store: opens the dataset of an :func:`imported_identity`; called once there is a state for it.
        crystal: the reference crystal.
        records: as a source gives them; an error is a record that could not be read.
        field_cutoff: ½|G⁰|² up to which fields are kept, Hartree.
        max_loss: part of a field (relative L²) that may be lost.
        electrons: in the crystal's cell, where whole valences do not give the number (a charged cell).
        on_record: called with each record's name.

    Raises:
        SettingsMismatchError: the dataset holds states of another description.
        StoreError: it cannot be written.
    """
    store: DatasetStore | None = None
    refused: list[str] = []
    seen: dict[str, str] = {}
    states_knowing = dict.fromkeys((*STATE_NUMBERS, *FIELDS), 0)
    losses: dict[str, dict[str, float]] = {}
    force: float | None = None
    checks = DatasetChecks(crystal, electrons)
    for record in records:
        if isinstance(record, InputError):
            refused.append(str(record))
            continue
        if on_record is not None:
            on_record(record.name)
        try:
            state = state_of(record, crystal, field_cutoff, max_loss)
            checks.require(state, record.electrons)
        except InputError as error:
            refused.append(f"{record.name}: {error}")
            continue
        if store is None:
            store = create_store()
            for old in store.states():
                checks.remember(store.key(old.deformation), old)
        key = store.key(state.deformation)
        try:
            if key in seen:
                raise InputError(f"it has the same D as {seen[key]}")
            checks.compare(key, state)
            store.write(state)
        except InputError as error:
            refused.append(f"{record.name}: {error}")
            continue
        checks.accept(key, state)
        seen[key] = record.name
        for name in states_knowing:
            states_knowing[name] += state.knows(name)
        for name, field_losses in state.provenance.get("losses", {}).items():
            worst = losses.setdefault(name, dict.fromkeys(field_losses, 0.0))
            losses[name] = {part: max(value, worst[part]) for part, value in field_losses.items()}
        if state.forces is not None:
            force = max(force or 0.0, float(np.linalg.norm(state.forces, axis=1).max()))
    return ImportSummary(len(seen), tuple(refused), states_knowing, losses, force, checks.measured())
