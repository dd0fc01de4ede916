"""A table of cells (CSV): what somebody else's code computed, one row a cell, and the files that hold its fields.

    D         lambda_a … lambda_c, theta_a … theta_c   or   a, b, c, alpha, beta, gamma   or   what a field's file says
    atoms     internal (ξ)   or   positions (fractional, in the crystal's order)   or   what a field's file says
    energies  free_energy, band_energy, entropic_energy, fermi_energy
    stress    stress (xx yy zz yz xz xy)
    fields    density, coulomb_potential, … (every declared field): a cube file (ρ also CHGCAR) each

Hartree atomic units, unless a column's name ends in _angstrom (a, b, c), _ev (energies) or _gpa (stress). Several
numbers in a cell are separated by blanks. An empty cell means not known. Other columns are refused, but for ``name``.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import COMPONENTS, Deformation, lattice_from_lengths_and_angles
from cellfields.crystal.voigt import from_voigt
from cellfields.dataset.importing.record import Record
from cellfields.errors import CorruptFileError, InputError
from cellfields.formats.chgcar import read_chgcar
from cellfields.formats.cube import read_cube
from cellfields.formats.foreign_text import open_text
from cellfields.formats.grid_field import GridField, Structure
from cellfields.state.quantities import ENERGIES, FIELDS
from cellfields.text import parse_number
from cellfields.units import ANGSTROM, EV, GPA

_LENGTHS, _ANGLES = ("a", "b", "c"), ("alpha", "beta", "gamma")

# column → (the quantity that it gives, factor to atomic units)
_COLUMNS: Mapping[str, tuple[str, float]] = (
    {name: (name, 1.0) for name in (*COMPONENTS, *_LENGTHS, *_ANGLES, *ENERGIES, "internal", "positions", "stress")}
    | {f"{name}_angstrom": (name, 1 / ANGSTROM) for name in _LENGTHS}
    | {f"{name}_ev": (name, 1 / EV) for name in ENERGIES}
    | {"stress_gpa": ("stress", 1 / GPA)}
)


def read_table(path: Path, crystal: Crystal) -> Iterator[Record | InputError]:
    """Yield one record for each row, in order; an unreadable row yields the error, which names the file and the row.

    Raises:
        InputError: no such file, or a header of unknown, repeated or contradicting columns.
        CorruptFileError: not a CSV text.
    """
    reader = csv.reader(open_text(path), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        _check_header(header, path)
        for row in reader:
            if any(cell.strip() for cell in row):
                yield _record_or_error(header, row, f"{path.name} line {reader.line_num}", path.parent, crystal)
    except csv.Error as error:
        raise CorruptFileError(f"{path} line {reader.line_num} is no CSV: {error}") from None


def _record_or_error(
    header: list[str], row: list[str], name: str, folder: Path, crystal: Crystal
) -> Record | InputError:
    try:
        return _record(header, row, name, folder, crystal)
    except InputError as error:
        return type(error)(f"{name}: {error}")


def _check_header(header: list[str], path: Path) -> None:
    allowed = [*_COLUMNS, *FIELDS, "name"]
    for column in header:
        if column not in allowed:
            close = difflib.get_close_matches(column, allowed, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise InputError(f"{path} has an unknown column {column[:40]!r}{hint}; allowed: {', '.join(allowed)}")
    quantities = [_COLUMNS[column][0] if column in _COLUMNS else column for column in header]
    for quantity in quantities:
        if quantities.count(quantity) > 1:
            raise InputError(f"{path} has two columns for {quantity}")
    for group, other in ((COMPONENTS, (*_LENGTHS, *_ANGLES)), ((*_LENGTHS, *_ANGLES), COMPONENTS)):
        present = [name for name in group if name in quantities]
        if present and len(present) < len(group):
            raise InputError(f"{path} has the column {present[0]}, but not {', '.join(set(group) - set(present))}")
        if present and any(name in quantities for name in other):
            raise InputError(f"{path} gives the cell twice, by {present[0]} and by {other[0]}: give one")
    if "internal" in quantities and "positions" in quantities:
        raise InputError(f"{path} gives the atoms twice, by internal and by positions: give one")


def _record(header: list[str], row: list[str], name: str, folder: Path, crystal: Crystal) -> Record:
    if len(row) != len(header):
        raise InputError(f"it has {len(row)} cells, the header has {len(header)}")
    cells = {column: cell.strip() for column, cell in zip(header, row, strict=True) if cell.strip()}
    values = {_COLUMNS[c][0]: _numbers(c, cell) * _COLUMNS[c][1] for c, cell in cells.items() if c in _COLUMNS}
    deformation = _deformation(values, crystal)
    structure, internal = None, None
    if "positions" in values:
        if deformation is None:
            raise InputError("positions need the cell in the same row")
        positions = _shaped("positions", values["positions"], (crystal.n_atoms, 3))
        structure = Structure(deformation.lattice(crystal), crystal.species, positions)
    if "internal" in values:
        internal = _shaped("internal", values["internal"], (crystal.n_internal,))
    stress = _shaped("stress", values["stress"], (6,)) if "stress" in values else None
    return Record(
        name=cells.get("name", name),
        deformation=deformation,
        internal=internal,
        structure=structure,
        energies={energy: _one(energy, values) for energy in ENERGIES if energy in values},
        stress=None if stress is None else from_voigt(stress),
        fields={field: _read_field(field, folder / cells[field]) for field in FIELDS if field in cells},
    )


def _deformation(values: Mapping[str, FloatArray], crystal: Crystal) -> Deformation | None:
    numbers_by_name = {name: _one(name, values) for name in (*COMPONENTS, *_LENGTHS, *_ANGLES) if name in values}
    if not numbers_by_name:
        return None
    names = COMPONENTS if numbers_by_name.keys() <= set(COMPONENTS) else (*_LENGTHS, *_ANGLES)
    lacking = [name for name in names if name not in numbers_by_name]
    if lacking:
        raise InputError(f"{lacking[0]} is empty, but {next(iter(numbers_by_name))} is not")
    numbers = np.array([numbers_by_name[name] for name in names])
    if names == COMPONENTS:
        return Deformation.from_array(numbers)
    if (numbers[:3] <= 0).any():
        raise InputError("a, b, c must be positive")
    lattice = lattice_from_lengths_and_angles(numbers[:3], numbers[3:])
    return Deformation.from_array(np.round(Deformation.from_lattice(lattice, crystal).as_array(), 10))


def _read_field(name: str, path: Path) -> GridField:
    if path.suffix.lower() in (".cube", ".cub"):
        return read_cube(path)
    if name != "density":
        raise InputError(f"{name} = {path.name!r} must be a cube file (.cube)")
    return read_chgcar(path)


def _numbers(column: str, cell: str) -> FloatArray:
    try:
        numbers = np.array([parse_number(word) for word in cell.split()])
    except ValueError:
        raise InputError(f"{column} = {cell[:40]!r} must be a number, or numbers separated by blanks") from None
    if not np.isfinite(numbers).all():
        raise InputError(f"{column} = {cell[:40]!r} must be finite")
    return numbers


def _shaped(name: str, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    if values.size != (wanted := math.prod(shape)):
        raise InputError(f"{name} must hold {wanted} number{'s' if wanted > 1 else ''}, not {values.size}")
    return values.reshape(shape)


def _one(name: str, values: Mapping[str, FloatArray]) -> float:
    return float(_shaped(name, values[name], ()).item())
