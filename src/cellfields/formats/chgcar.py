"""VASP's CHGCAR and CHG: the electron density times the volume, with its cell and atoms (which ASE reads), in Å.

    POSCAR with symbols | blank | n1 n2 n3 | V ρ on the grid, the first index fastest | augmentation, spin (not read)

It is the valence density that VASP writes on its grid, without what PAW adds inside the spheres.
"""

from __future__ import annotations

import io
import tempfile
from itertools import chain, islice, takewhile
from pathlib import Path

import numpy as np

from cellfields.errors import CorruptFileError, InputError
from cellfields.formats.foreign_text import guarded, head, open_text
from cellfields.formats.grid_field import GridField, Structure, atoms_of
from cellfields.storage.atomic import write_durably
from cellfields.text import parse_numbers, with_c_exponents
from cellfields.units import ANGSTROM


def read_chgcar(path: Path) -> GridField:
    """The density in a CHGCAR or CHG file, electrons/Bohr³; of several the first, which is the sum of both spins.

    Raises:
        CorruptFileError: truncated, or no such file.
        InputError: it does not exist, is too large, or was written by VASP 4 (without symbols).
    """
    from ase.io.vasp import read_vasp

    text = open_text(path)
    with guarded(path, "CHGCAR file"):
        lines = head(text, 7)
        symbols, counts = lines[5].split(), [int(word) for word in lines[6].split() if word.isdigit()]
        named = all(symbol[0].isalpha() for symbol in symbols) and len(symbols) == len(counts)
        if not named or min(counts, default=0) < 1:
            raise InputError(f"CHGCAR file {path} must name its elements in line 6 and count them in line 7 (VASP 5)")
        if sum(counts) > path.stat().st_size:  # ASE would believe it
            raise CorruptFileError(f"CHGCAR file {path} is truncated: it is too short for {sum(counts)} atoms")
        # The comment may be blank; the next blank line ends the list of atoms.
        rest = "".join(takewhile(str.strip, chain(lines[1:], iter(text.readline, ""))))
        cell = read_vasp(io.StringIO(lines[0] + with_c_exponents(rest)))
        lattice = np.asarray(cell.cell.array) / ANGSTROM
        structure = Structure(lattice, cell.get_chemical_symbols(), cell.get_scaled_positions(wrap=False))
        shape = [int(word) for word in text.readline().split()]
        if len(shape) != 3 or min(shape) < 1:
            raise CorruptFileError(f"CHGCAR file {path} must give three grid numbers after its atoms")
        points = shape[0] * shape[1] * shape[2]
        first = text.readline()  # VASP fills all lines but the last of the block
        block = first + "".join(islice(text, -(-points // max(len(first.split()), 1)) - 1))
        values = parse_numbers(block, points).reshape(shape, order="F")
        return GridField(structure, values / float(np.linalg.det(lattice)), np.zeros(3))


def write_chgcar(path: Path, field: GridField) -> None:
    """Write a density (electrons/Bohr³) to a CHGCAR file, all of it or nothing; atoms are sorted by element.

    Raises:
        InputError: the grid does not begin at the cell's corner, which the format cannot say.
        StoreError: the file cannot be written.
    """
    from ase.calculators.vasp import VaspChargeDensity

    if np.abs(field.origin).max() > 0:
        raise InputError("a CHGCAR file begins at the corner of the cell: the origin of the field must be zero")
    atoms = atoms_of(field.structure)
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    density = VaspChargeDensity(None)
    density.atoms, density.chg = [atoms], [np.asarray(field.values, dtype=float) / ANGSTROM**3]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "CHGCAR"
        density.write(str(scratch), format="chgcar")
        write_durably(path.absolute(), scratch.read_bytes())
