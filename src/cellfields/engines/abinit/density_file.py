"""ABINIT's density file (``*_DEN``, Fortran binary, header format 80: ABINIT 8 to 10), written and read.

    record = int32 length, content, int32 length          (little-endian)

    1  codvsn (8 characters), headform 80, fform 52                                     52: a density
    2  bantot date intxc ixc natom ngfft(3) nkpt nspden nspinor nsppol nsym npsp ntypat occopt pertcase usepaw
       ecut ecutdg ecutsm ecut_eff qptn(3) rprimd(3,3) stmbias tphysel tsmear usewvl nshiftk_orig nshiftk mband
    3  istwfk nband npwarr so_psp symafm symrel typat, kptns occ tnons znucl wtk
    4  residm xred etot fermie amu
    5  kptopt pawcpxocc nelect charge icoulomb kptrlatt kptrlatt_orig shiftk_orig shiftk
    6  title (132) znucl zion pspso pspdat pspcod pspxc lmn_size md5 (32)               one a pseudopotential
    7  ρ, electrons/Bohr³ on the FFT grid, the first index running fastest

When ABINIT reads a density it ignores k points, bands and symmetries, for which one state at Γ is written. It does not
check the cell, the cutoff or the pseudopotentials either; :meth:`DensityFile.require` does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.errors import CorruptFileError, InputError

_VERSION, _HEADER_FORMAT, _DENSITY = b"9.6.2   ", 80, 52
_INTEGERS, _NUMBERS = struct.Struct("<18i"), struct.Struct("<19d")
_PSEUDOPOTENTIAL = struct.Struct("<132s2d5i32s")
_IDENTITY = (1, 0, 0, 0, 1, 0, 0, 0, 1)
_MOST = 10_000  # atoms, kinds, pseudopotentials, symmetries, points along an axis
_MOST_POINTS = 2**28  # k points × bands and grid points: 2 GiB


@dataclass(frozen=True)
class IonHeader:
    """The record of a pseudopotential in a density file.

    Attributes:
        title: first line of its file.
        atomic_number: of the element.
        valence: electrons that the ion brings.
        md5: of its file; empty where it is not known.
    """

    title: str
    atomic_number: float
    valence: float
    md5: str


@dataclass(frozen=True, eq=False)
class DensityFile:
    """A density on ABINIT's FFT grid with its cell, atoms and settings; a start of :class:`AbinitEngine`.

    Attributes:
        density: (n1, n2, n3) electrons/Bohr³; point (0, 0, 0) is the origin of ``positions``.
        lattice: (3, 3) rows of the primitive cell, Bohr, as in ``rprim``.
        positions: (n, 3) fractional, as in ``xred``.
        kinds: (n,) index of each atom's pseudopotential, from 0.
        ions: the pseudopotentials.
        cutoff: ``ecut``, Hartree.
        functional: ``ixc``.
        electrons: valence electrons.
    """

    density: FloatArray
    lattice: FloatArray
    positions: FloatArray
    kinds: IntArray
    ions: tuple[IonHeader, ...]
    cutoff: float
    functional: int
    electrons: float

    def require(self, other: DensityFile) -> None:
        """Check that the density can start the run that another file describes; atom positions may differ.

        Args:
            other: the density file of the run.

        Raises:
            InputError: pseudopotentials, atoms, cell, cutoff, functional or grid differ; it names the first of them.
        """
        atoms = [self.ions[kind] for kind in self.kinds]
        run_atoms = [other.ions[kind] for kind in other.kinds]
        numbers, run_numbers = [ion.atomic_number for ion in atoms], [ion.atomic_number for ion in run_atoms]
        if numbers != run_numbers:
            raise InputError(_differs("atoms", numbers, run_numbers))
        for ion, run_ion in zip(atoms, run_atoms, strict=True):
            both_md5 = ion.md5 and run_ion.md5
            if abs(ion.valence - run_ion.valence) > 1e-6 or (both_md5 and ion.md5 != run_ion.md5):
                raise InputError(_differs("pseudopotential", _ion(ion), _ion(run_ion)))
        if np.abs(self.lattice - other.lattice).max() > 1e-6:
            raise InputError(_differs("cell", _rows(self.lattice), _rows(other.lattice)))
        if abs(self.cutoff - other.cutoff) > 1e-6:
            raise InputError(_differs("cutoff", f"{self.cutoff:g} Hartree", f"{other.cutoff:g}"))
        if self.functional != other.functional:
            raise InputError(_differs("functional", f"ixc {self.functional}", other.functional))
        if self.density.shape != other.density.shape:
            raise InputError(_differs("grid", self.density.shape, other.density.shape))

    def to_bytes(self) -> bytes:
        """The content of the file, as ABINIT reads it."""
        n, kinds = len(self.positions), len(self.ions)
        numbers = [ion.atomic_number for ion in self.ions]
        sizes = (1, 0, 0, self.functional, n, *self.density.shape, 1, 1, 1, 1, 1, kinds, kinds, 1, 0, 0)
        cutoffs = (self.cutoff, self.cutoff, 0.0, self.cutoff)
        cell = (*cutoffs, 0.0, 0.0, 0.0, *self.lattice.reshape(-1), 0.0, 0.0, 0.0)
        states = (1, 1, 1, *[1] * kinds, 1, *_IDENTITY, *(self.kinds + 1))
        gamma = (0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, *numbers, 1.0)
        mesh = (*_IDENTITY, *_IDENTITY)
        records = [
            _VERSION + struct.pack("<2i", _HEADER_FORMAT, _DENSITY),
            _INTEGERS.pack(*sizes) + _NUMBERS.pack(*cell) + struct.pack("<4i", 0, 1, 1, 1),
            struct.pack(f"<{len(states)}i", *states) + struct.pack(f"<{len(gamma)}d", *gamma),
            struct.pack(f"<{3 + 3 * n + kinds}d", 0.0, *self.positions.reshape(-1), 0.0, 0.0, *[0.0] * kinds),
            struct.pack("<2i2di", 0, 1, self.electrons, 0.0, 0) + struct.pack("<18i6d", *mesh, *[0.0] * 6),
            *(_ion_record(ion) for ion in self.ions),
            np.asfortranarray(self.density, dtype="<f8").tobytes(order="F"),
        ]
        return b"".join(_framed(record) for record in records)

    @classmethod
    def read(cls, path: str | Path) -> DensityFile:
        """The density in a file that ABINIT or :meth:`to_bytes` wrote.

        Raises:
            InputError: there is no such file, or it is of a kind that is not supported (netCDF, spin, PAW).
            CorruptFileError: it is damaged, or no density file.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"density file {path} cannot be read: {error.strerror}") from None
        if data[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05") or data[1:4] == b"HDF":
            raise InputError(f"density file {path} is netCDF; run ABINIT with iomode 0 for a Fortran binary one")
        try:
            return cls._from_records(_Records(data), path)
        except (struct.error, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise CorruptFileError(f"{path} is no density file of ABINIT, or damaged: {error}") from None

    @classmethod
    def _from_records(cls, records: _Records, path: Path) -> DensityFile:
        first = records.next()
        header, form = struct.unpack("<2i", first[-8:])
        if header < _HEADER_FORMAT or header > 2 * _HEADER_FORMAT or form != _DENSITY:
            raise ValueError(f"header format {header}, content {form}")
        second = records.next()
        sizes = _INTEGERS.unpack_from(second)
        _, _, _, functional, n, n1, n2, n3, points, spin, spinors, spins, symmetries, ions, kinds, _, _, paw = sizes
        if spin != 1 or spins != 1 or spinors != 1 or paw != 0:
            raise InputError(f"density file {path} has spin or was made with the PAW method: neither is supported")
        grid = (n1, n2, n3)
        if not all(0 < x <= _MOST for x in (n, *grid, symmetries, ions, kinds)) or not 0 < points <= _MOST_POINTS:
            raise ValueError("sizes in the header that are none")
        if n1 * n2 * n3 > _MOST_POINTS or ions != kinds:
            raise ValueError("sizes in the header that do not fit together")
        numbers = _NUMBERS.unpack_from(second, _INTEGERS.size)
        third = records.next()
        types = np.frombuffer(third, "<i4", count=n, offset=4 * (3 * points + ions + 10 * symmetries)).astype(np.int64)
        if not (types.min() >= 1 and types.max() <= kinds):
            raise ValueError("atoms of unknown kinds")
        fourth, fifth = np.frombuffer(records.next(), "<f8", count=1 + 3 * n), records.next()
        headers = tuple(_read_ion(records.next()) for _ in range(ions))
        density = np.frombuffer(records.next(), "<f8", count=n1 * n2 * n3).reshape(grid, order="F")
        lattice = np.array(numbers[7:16]).reshape(3, 3)
        if not all(np.isfinite(x).all() for x in (numbers, density, fourth)):
            raise ValueError("numbers that are not finite")
        (electrons,) = struct.unpack_from("<d", fifth, 8)
        return cls(
            density.copy(), lattice, fourth[1:].reshape(n, 3).copy(), types - 1, headers,
            float(numbers[0]), int(functional), float(electrons),
        )  # fmt: skip


class _Records:
    """A reader of the records of a Fortran file, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def next(self) -> bytes:
        (length,) = struct.unpack_from("<i", self._data, self._at)
        start, end = self._at + 4, self._at + 4 + length
        if length < 0 or self._data[end : end + 4] != self._data[self._at : start]:
            raise ValueError("it is truncated")
        self._at = end + 4
        return self._data[start:end]


def _framed(content: bytes) -> bytes:
    length = struct.pack("<i", len(content))
    return length + content + length


def _ion_record(ion: IonHeader) -> bytes:
    title = ion.title.encode("ascii", "replace")[:132].ljust(132)
    return _PSEUDOPOTENTIAL.pack(title, ion.atomic_number, ion.valence, 0, 0, 0, 0, 0, ion.md5.encode().ljust(32))


def _read_ion(record: bytes) -> IonHeader:
    title, number, valence, *_, md5 = _PSEUDOPOTENTIAL.unpack(record)
    text = md5.decode("ascii", "replace").strip(" \0")
    is_md5 = len(text) == 32 and set(text) <= set("0123456789abcdef")
    return IonHeader(title.decode("ascii", "replace").strip(), float(number), float(valence), text if is_md5 else "")


def _differs(what: str, in_file: object, in_run: object) -> str:
    return f"start: the {what} of the density file does not match: {in_file} there, {in_run} in this calculation"


def _ion(ion: IonHeader) -> str:
    return f"Z = {ion.atomic_number:g} with {ion.valence:g} electrons, MD5 {ion.md5 or 'unknown'}"


def _rows(lattice: FloatArray) -> Sequence[Sequence[float]]:
    rows: list[list[float]] = np.round(lattice, 6).tolist()
    return rows
