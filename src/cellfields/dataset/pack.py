"""A whole dataset as one sealed file, small enough to send.

    exact (float64)   D, lattice, positions, internal, forces, stress, energies, ∫f of every field, provenance
    rounded           fields: Fourier-truncated, float32, on request reduced to principal components
    reported          ‖f − f_packed‖ / ‖f‖ of each field, mean and largest over the states, as unpack gives them

The dataset is read three times, one state at a time (to choose the cutoffs, to gather, to measure), so that memory
holds little more than the packed numbers. An unpacked dataset has the settings, and so the keys, of the original: a
campaign goes on in it and solves nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellfields._typing import Array, IntArray
from cellfields.dataset._pack_content import Columns, FieldSummary, PackedDataset
from cellfields.dataset._pack_fields import PackedField, TailScan, entry_energies, kept_entries, single_precision
from cellfields.dataset.store import DatasetStore
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.storage import sealed
from cellfields.storage.atomic import write_durably

__all__ = ["TOLERANCE", "FieldSummary", "PackedDataset", "pack", "read_pack", "unpack"]

TOLERANCE = 1e-4  # relative L²


def pack(
    store: DatasetStore,
    path: str | Path,
    *,
    tolerance: float | None = None,
    cutoff: float | None = None,
    modes: int | None = None,
) -> PackedDataset:
    """Write a dataset as one file; equal datasets give equal bytes (with modes: on machines with equal LAPACK).

    Args:
        store: holds at least one state, and fields in one Fourier basis.
        path: of the file, replaced if it exists.
        tolerance: largest relative L² error that truncation may make in a field of any state; each field gets the
            smallest cutoff that meets it. 0 keeps every coefficient. Default 1e-4.
        cutoff: instead of it, ½|G⁰|² up to which coefficients are kept, Hartree, the same for all fields.
        modes: at most so many principal components a field; None keeps the coefficients themselves.

    Raises:
        InputError: options out of range, no states, fields in different bases, or a file that would be too large.
        CorruptFileError: a state is truncated or altered.
        StoreError: the file cannot be written.
    """
    if cutoff is not None and tolerance is not None:
        raise InputError("cutoff and tolerance exclude each other: the cutoff follows from the tolerance")
    tolerance = TOLERANCE if tolerance is None else tolerance
    if not 0 <= tolerance < 1:
        raise InputError(f"tolerance = {tolerance} must be at least 0 and less than 1 (relative L² error)")
    if cutoff is not None and not 0 < cutoff < np.inf:
        raise InputError(f"cutoff = {cutoff} must be positive (Hartree)")
    if modes is not None and modes < 1:
        raise InputError(f"modes = {modes} must be at least 1")
    columns, basis, scans = _scan(store)
    cutoffs = {name: scan.cutoff(tolerance) if cutoff is None else cutoff for name, scan in scans.items()}
    packed: dict[str, PackedField] = {}
    if basis is not None:
        energies = entry_energies(store.crystal, basis)
        packed = _gather(store, columns, {name: kept_entries(energies, value) for name, value in cutoffs.items()})
    if modes is not None:
        packed = {name: packed_field.reduced(modes) for name, packed_field in packed.items()}
    errors = _errors(store, columns, packed)
    fields = {
        name: FieldSummary(
            states=len(errors[name]),
            cutoff=cutoffs[name],
            coefficients=packed_field.kept.size + 1,
            modes=None if packed_field.modes is None else len(packed_field.modes),
            relative_l2_mean=float(np.mean(errors[name])),
            relative_l2_max=max(errors[name]),
        )
        for name, packed_field in packed.items()
    }
    content = PackedDataset(store.crystal, store.identity, fields, tuple(store.failures()), columns, basis, packed)
    write_durably(Path(path).absolute(), content.encode())
    return content


def read_pack(path: str | Path) -> PackedDataset:
    """Read a file that :func:`pack` wrote; nothing in it is executed.

    Raises:
        InputError: there is no such file, or it needs a newer cellfields.
        CorruptFileError: truncated, altered, or no packed dataset.
    """
    return PackedDataset.decode(sealed.read_limited(Path(path)), str(path))


def unpack(packed: PackedDataset | str | Path, directory: str | Path) -> DatasetStore:
    """Restore a dataset; states that the directory already holds are left as they are.

    The states' provenance says how their fields were truncated, and by how much (``packed``).

    Raises:
        InputError: there is no such file, or it needs a newer cellfields.
        CorruptFileError: the file is truncated, altered, or no packed dataset.
        SettingsMismatchError: the directory holds a dataset made with other settings.
        StoreError: the directory cannot be written.
    """
    content = packed if isinstance(packed, PackedDataset) else read_pack(packed)
    store = DatasetStore.create_or_open(directory, content.crystal, content.identity)
    for state in content.states():
        if not store.has(state.deformation):
            try:
                store.write(state)
            except InputError as error:
                raise CorruptFileError(f"the packed dataset is malformed: it holds no state there: {error}") from error
    for failure in content.failures:
        if not store.has(failure.deformation):
            store.record_failure(failure.deformation, failure)
    return store


def _scan(store: DatasetStore) -> tuple[Columns, FourierBasis | None, dict[str, TailScan]]:
    states: list[CellState] = []
    basis: FourierBasis | None = None
    scans: dict[str, TailScan] = {}
    for state in store.states():
        fields = state.fields
        if fields is not None:
            basis = fields.basis if basis is None else basis
            if not basis.same_as(fields.basis):
                raise InputError(f"dataset {store.directory} holds fields in different Fourier bases; pack needs one")
            for name in fields.coefficients:
                if name not in scans:
                    scans[name] = TailScan(entry_energies(store.crystal, basis))
                scans[name].show(fields.vector(name))
            state = replace(state, fields=ElectronicFields(basis, {}, fields.volume))
        states.append(state)
    if not states:
        raise InputError(f"dataset {store.directory} holds no states to pack")
    return Columns.of(states), basis, dict(sorted(scans.items()))


def _fields_again(store: DatasetStore, columns: Columns) -> Iterator[tuple[int, ElectronicFields]]:
    """The fields of the states of the first pass, in its order: a campaign may have added others meanwhile."""
    for row in range(len(columns)):
        fields = store.read(columns.deformation(row)).fields
        if fields is not None:
            yield row, fields


def _gather(store: DatasetStore, columns: Columns, kept: Mapping[str, IntArray]) -> dict[str, PackedField]:
    integrals = {name: np.full(len(columns), np.nan) for name in kept}
    rows: dict[str, list[Array]] = {name: [] for name in kept}
    for row, fields in _fields_again(store, columns):
        for name in kept:
            if name in fields:
                vector = fields.vector(name)
                integrals[name][row] = vector[0]
                rows[name].append(single_precision(vector[kept[name]], name))
    return {name: PackedField(entries, integrals[name], np.array(rows.pop(name))) for name, entries in kept.items()}


def _errors(store: DatasetStore, columns: Columns, packed: Mapping[str, PackedField]) -> dict[str, list[float]]:
    errors: dict[str, list[float]] = {name: [] for name in packed}
    for row, fields in _fields_again(store, columns) if packed else ():
        for name, packed_field in packed.items():
            if name in fields:
                true = fields.vector(name)
                left_out = float(np.linalg.norm(true - packed_field.vector(row, len(true))))
                errors[name].append(left_out / float(np.linalg.norm(true)) if left_out else 0.0)
    return errors
