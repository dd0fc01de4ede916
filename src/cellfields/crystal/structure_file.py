"""Structure files of other programs, read as ASE ``Atoms`` or refused with one sentence that gives the reason.

    path → bytes → text → format → structures → the one that is asked for

An ``@`` in a path is part of the name (ASE reads an index after it). The format follows from name and content by ASE's
rules. CIF is expanded by the symmetry that the file states (:mod:`cellfields.crystal.cif`); ASE reads the others.
"""

from __future__ import annotations

import fnmatch
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers

from cellfields.errors import CellFieldsError, InputError
from cellfields.text import MAX_TEXT, decode_text

if TYPE_CHECKING:
    from ase import Atoms

_MOMENT_ARRAYS = {"magmom", "magmoms", "initial_magmoms", "magnetic_moments", "spin", "spins"}


def read_structure(path: str | Path, *, index: int | None = None) -> Atoms:
    """The structure in a file as ASE ``Atoms`` (Å).

    Args:
        path: CIF, POSCAR, extended XYZ, XSF or any other format that ASE reads, also compressed (.gz, .bz2, .xz).
        index: which of several structures, from 0; negative ones count from the end. Needed where there are several.

    Raises:
        InputError: a missing, damaged or too large file, one that holds no structure, or several where ``index`` is
            not given, magnetic moments, sites that are mixed or occupied in part, or a CIF file whose symmetry, sites
            and formula disagree or leave several crystals possible.
    """
    path = Path(path)
    data = _bytes(path)
    try:
        return _read(path, data, index)
    except CellFieldsError as error:
        raise InputError(f"structure file {path}: {error}") from error


def has_moments(atoms: Atoms, *, results: bool = True) -> bool:
    """Whether atoms carry magnetic moments.

    Args:
        atoms: with initial moments, or moments in an array that a file brought.
        results: look at the results of the atoms' calculator too; a calculator that looks at its own atoms does not.
    """
    values = [np.asarray(value) for name, value in atoms.arrays.items() if name.lower() in _MOMENT_ARRAYS]
    computed: dict[str, Any] = (getattr(atoms.calc, "results", None) or {}) if results else {}
    values += [np.asarray(computed[name]) for name in ("magmom", "magmoms") if computed.get(name) is not None]
    return any(v.dtype.kind in "fiu" and np.abs(v).max(initial=0) > 0 for v in values)


def net_charge(atoms: Atoms) -> float:
    """Sum of the initial charges that atoms carry, in elementary charges. A sum of zero is a neutral cell."""
    return float(atoms.get_initial_charges().sum())


def _bytes(path: Path) -> bytes:
    from ase.io.formats import open_with_compression

    try:
        if not path.is_file():
            kind = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise InputError(f"structure file {path} {kind}")
        with open_with_compression(str(path.absolute()), "rb") as file:
            data: bytes = file.read(MAX_TEXT + 1)
    except InputError:
        raise
    except Exception as error:  # each decompressor has exceptions of its own
        reason = getattr(error, "strerror", None) or "it is damaged, or its name promises a compression it has not"
        raise InputError(f"structure file {path} cannot be read: {reason}") from error
    if len(data) > MAX_TEXT:
        raise InputError(f"structure file {path} is larger than {MAX_TEXT >> 20} MiB")
    if not data.strip():
        raise InputError(f"structure file {path} is empty")
    return data


def _read(path: Path, data: bytes, index: int | None) -> Atoms:
    from cellfields.crystal import cif

    name = _plain_name(path)
    text = None if b"\0" in data else decode_text(data, str(path))
    if text is not None and (name.lower().endswith((".cif", ".mcif")) or text.lstrip()[:5].lower() == "data_"):
        try:
            readers = cif.structures(text)
        except Exception as error:  # ASE's parser of CIF raises anything
            raise InputError("it is no CIF file that can be read: a tag, loop or quotation is damaged") from error
        if not readers:
            raise InputError("it holds no atom sites (_atom_site_…), so there is no crystal in it")
        atoms: Atoms = _choose(readers, index)()
    else:
        atoms = _choose(_with_ase(path, name, data, text), index)
    if has_moments(atoms):
        raise InputError("it holds magnetic moments: spin polarisation is not supported; remove them to solve without")
    if not len(atoms):
        raise InputError("it holds no atoms")
    return atoms


def _choose(structures: list[Any], index: int | None) -> Any:
    """The structure of that index, or the only one where no index is given.

    Raises:
        InputError: there are several and no index, or an index out of range.
    """
    count = len(structures)
    if index is None:
        if count > 1:
            raise InputError(
                f"it holds {count} structures: choose one with crystal.structure_index = 0 … {count - 1} in "
                "the study file, or Crystal.from_file(…, index=…)"
            )
        return structures[0]
    if not -count <= index < count:
        raise InputError(
            f"structure_index = {index} must be in {-count} … {count - 1}, as it holds {count} "
            f"structure{'s' * (count > 1)}"
        )
    return structures[index]


def _with_ase(path: Path, name: str, data: bytes, text: str | None) -> list[Atoms]:
    from ase.io import read
    from ase.io.formats import ioformats

    form = _format(name, data)
    source: Any = str(path.absolute())
    if ioformats[form].acceptsfd:
        if ioformats[form].isbinary:
            source = io.BytesIO(data)
        elif text is None:
            raise InputError(f"it is no text, as {form} should be")
        else:
            source = io.StringIO(text)
            if form == "vasp":
                _refuse_unnamed_elements(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structures = read(source, index=":", format=form, do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise anything
        raise InputError(
            f"it cannot be read by ASE as {form}: it is damaged, incomplete, or of another format"
        ) from error
    if not structures:
        raise InputError(f"it holds no structure (read as {form})")
    return list(structures)


def _format(name: str, data: bytes) -> str:
    """ASE's name of a file's format, from its whole name, else from how its content begins, else from its ending.

    Raises:
        InputError: none of them decides.
    """
    from ase.io.formats import UnknownFileTypeError, extension2format, ioformats, match_magic

    for form in ioformats.values():
        if any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in form.globs):
            return str(form.name)
    try:
        return str(match_magic(data).name)
    except UnknownFileTypeError:
        pass
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if ending in extension2format:
        return str(extension2format[ending].name)
    if ending in ioformats:
        return ending
    if data.split(b"\n", 1)[0].strip().isdigit():
        return "extxyz"
    raise InputError("its format is not known from its name or content; name it .cif, .vasp, .xyz or .xsf, say")


def _plain_name(path: Path) -> str:
    from ase.io.formats import get_compression

    return Path(get_compression(path.name)[0]).name


def _refuse_unnamed_elements(text: str) -> None:
    """Refuse a POSCAR of VASP 4 whose title does not name its elements: ASE would guess, also from files beside it.

    Raises:
        InputError: the elements are not named.
    """
    lines = [line.split() for line in text.splitlines()[:6]]
    if len(lines) < 6 or not lines[5] or not lines[5][0].isdigit():
        return
    counts = [word for word in lines[5] if word.isdigit()]
    if len(lines[0]) != len(counts) or not all(word in atomic_numbers for word in lines[0]):
        raise InputError("it names no elements: write a line with their symbols above the line of counts (VASP 5)")
