"""Folders of ABINIT's netCDF output: each ``*_GSR.nc`` in them, with the files beside it, is one state.

    *_GSR.nc  cell, atoms, energies, forces, stress      *_DEN.nc  ρ      *_VCLMB.nc  φ

The cell must be the crystal's own (not its primitive one). u and s are in no file of ABINIT's: they stay unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from cellfields.dataset.importing.record import Record
from cellfields.engines.abinit.output import AbinitOutput, output_files, read_output
from cellfields.errors import CellFieldsError, InputError
from cellfields.formats.grid_field import GridField, Structure

_SUFFIX = "_GSR.nc"
_FILES = ("GSR", "DEN", "VCLMB")
_ENERGIES = ("free_energy", "band_energy", "fermi_energy")


def read_folder(source: Path) -> Iterator[Record | InputError]:
    """Yield one record for each run, in the order of the paths; an unreadable run yields the error that says why.

    Raises:
        InputError: there is not one ``*_GSR.nc`` in the folder or below it.
    """
    runs = sorted(source.rglob(f"*{_SUFFIX}"))
    if not runs:
        raise InputError(f"folder {source} holds no ABINIT output (*{_SUFFIX}, written with iomode 3)")
    for path in runs:
        name = str(path.relative_to(source)).removesuffix(_SUFFIX)
        try:
            outputs = output_files(path.parent, path.name.removesuffix(_SUFFIX))
            files = {kind: file for kind, file in outputs.items() if kind in _FILES}
            yield _record(name, read_output(files, energies=(*_ENERGIES, "entropic")))
        except CellFieldsError as error:
            yield InputError(f"{name}: {error}")


def _record(name: str, output: AbinitOutput) -> Record:
    if output.atomic_numbers.min() < 1 or output.atomic_numbers.max() >= len(chemical_symbols):
        raise InputError("it holds atoms of no known element")
    species = [chemical_symbols[number] for number in output.atomic_numbers]
    structure = Structure(output.lattice, species, output.positions)
    grids = {"density": output.density, "coulomb_potential": output.coulomb_potential}
    energies = {n: output.energies[n] for n in _ENERGIES}
    return Record(
        name=name,
        structure=structure,
        energies=energies | {"entropic_energy": output.energies["entropic"]},
        electrons=output.electrons,
        forces=output.forces,
        stress=output.stress,
        fields={n: GridField(structure, grid, np.zeros(3)) for n, grid in grids.items() if grid is not None},
        provenance={"code": f"ABINIT {output.version}", **output.residuals},
    )
