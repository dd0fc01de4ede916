"""Density files: what is written is read, what is damaged is refused, what does not match is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.engines.abinit import DensityFile
from cellfields.engines.abinit.density_file import IonHeader
from cellfields.errors import CorruptFileError, InputError

MG = IonHeader("Mg: a title", 12.0, 2.0, "0123456789abcdef" * 2)
AL = IonHeader("Al", 13.0, 3.0, "")


def make() -> DensityFile:
    rng = np.random.default_rng(0)
    lattice = np.array([[3.0, 5.0, 0.0], [2.9, -5.0, 0.1], [0.0, 0.1, -9.5]])
    positions = rng.uniform(size=(3, 3))
    return DensityFile(rng.uniform(size=(4, 5, 6)), lattice, positions, np.array([0, 1, 0]), (MG, AL), 8.5, 7, 7.0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = make()
    path = tmp_path / "x_DEN"
    path.write_bytes(file.to_bytes())
    read = DensityFile.read(path)
    for name in ("density", "lattice", "positions", "kinds"):
        np.testing.assert_array_equal(getattr(read, name), getattr(file, name))
    assert (read.ions, read.cutoff, read.functional, read.electrons) == ((MG, AL), 8.5, 7, 7.0)
    read.require(file)


def test_what_does_not_match_is_named() -> None:
    file = make()
    other_mg = replace(MG, md5="f" * 32)
    for name, changed in {
        "pseudopotential": replace(file, ions=(other_mg, AL)),
        "atoms": replace(file, kinds=np.array([0, 0, 0])),
        "cell": replace(file, lattice=1.01 * file.lattice),
        "cutoff": replace(file, cutoff=9.0),
        "functional": replace(file, functional=11),
        "grid": replace(file, density=np.ones((4, 5, 8))),
    }.items():
        with pytest.raises(InputError, match=f"the {name} of the density file does not match"):
            changed.require(file)
    replace(file, ions=(replace(MG, md5=""), AL)).require(file)  # not known: not held against it


def test_no_bytes_give_anything_but_an_error_in_one_sentence(tmp_path: Path) -> None:
    data = make().to_bytes()
    path = tmp_path / "x_DEN"
    rng = np.random.default_rng(1)
    for cut in (0, 3, 24, 200, 400, len(data) - 4):
        path.write_bytes(data[:cut])
        with pytest.raises(CorruptFileError):
            DensityFile.read(path)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data) - 1000)] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            DensityFile.read(path)
        except InputError as error:
            assert "\n" not in str(error)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x_DEN.nc"
    path.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(InputError, match="netCDF"):
        DensityFile.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        DensityFile.read(tmp_path / "none")
