"""Gaussian cube files: a field on a grid, with its cell and atoms, in Bohr (ASE reads cell and atoms, and writes).

    comment, comment | N origin | n1 v1 | n2 v2 | n3 v3 | N atoms | n1·n2·n3 values, the last index fastest

The cell is spanned by n_i v_i, as periodic codes write it. Values have six digits.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np

from cellfields.errors import CorruptFileError, InputError
from cellfields.formats.foreign_text import guarded, head, open_text
from cellfields.formats.grid_field import GridField, Structure, atoms_of
from cellfields.storage.atomic import write_durably
from cellfields.text import parse_number, parse_numbers, with_c_exponents
from cellfields.units import ANGSTROM


def read_cube(path: Path) -> GridField:
    """The field in a cube file, as its program wrote it: a density in electrons/Bohr³, a potential in Hartree.

    Raises:
        CorruptFileError: truncated, or no cube file.
        InputError: it does not exist, is too large, or is of a kind that holds no single periodic field.
    """
    from ase.io.cube import read_cube as read_with_ase

    text = open_text(path)
    with guarded(path, "cube file"):
        lines = head(text, 6)
        atoms, *shape = (int(line.split()[0]) for line in lines[2:])
        loops = lines[1].upper().split()[2::3] if "OUTER LOOP" in lines[1].upper() else ["X", "Y", "Z"]
        if "castep2cube" in lines[1] or [word[0] for word in loops] != ["X", "Y", "Z"]:
            raise InputError(f"cube file {path} is of a dialect that is not read: {lines[1].strip()[:60]}")
        if min(shape) < 1:
            raise InputError(f"cube file {path} has {shape} grid points: they must be positive (which means Bohr)")
        if atoms < 1 or lines[2].split()[4:] not in ([], ["1"]):
            raise InputError(f"cube file {path} holds orbitals, or several values a point: it must hold one field")
        if atoms > path.stat().st_size:  # ASE would believe it
            raise CorruptFileError(f"cube file {path} is truncated: it is too short for {atoms} atoms")
        header = "".join(lines + head(text, atoms))
        found = read_with_ase(io.StringIO(with_c_exponents(header)), read_data=False)
        cell = found["atoms"]
        lattice = np.asarray(cell.cell.array) / ANGSTROM
        structure = Structure(lattice, cell.get_chemical_symbols(), cell.get_scaled_positions(wrap=False))
        origin = np.array([parse_number(word) for word in lines[2].split()[1:4]])  # ASE returns it with the data only
        values = parse_numbers(text.read(), shape[0] * shape[1] * shape[2]).reshape(shape)
        return GridField(structure, values, np.linalg.solve(lattice.T, origin))


def write_cube(path: Path, field: GridField, comment: str = "") -> None:
    """Write a field to a cube file, all of it or nothing: values as they are, lengths in Bohr.

    Args:
        path: of the file.
        field: of any kind.
        comment: first line of the file, without line ends.

    Raises:
        StoreError: the file cannot be written.
    """
    from ase.io.cube import write_cube as write_with_ase

    atoms = atoms_of(field.structure)
    origin = field.origin @ atoms.cell.array
    with tempfile.TemporaryFile("w+") as scratch:  # NumPy writes to nothing but true files
        write_with_ase(scratch, atoms, np.asarray(field.values, dtype=float), origin, " ".join(comment.split()) or None)
        scratch.seek(0)
        write_durably(path.absolute(), scratch.read().encode())
