"""ABINIT's input for a deformed crystal and plane-wave settings: everything that a run needs, as data.

    rprim = P a(D),  xred = atoms of the primitive cell from the inversion centre,  kptrlatt = diag(n) P⁻¹

P are the primitive vectors in terms of the crystal's, so that the mesh n has the same k points as on the crystal's
cell. The input names the symmetries that every deformation keeps: the identity, and inversion where there is a centre.
ABINIT must find no others, or u and s would have to be symmetrised, and strained and unstrained cells would be treated
differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit.pseudopotentials import PseudopotentialFile
from cellfields.errors import InputError

INPUT_NAME = "run.abi"
OUTPUT_PREFIX = "runo"
_OCCOPT = {"cold": 4, "fermi-dirac": 3, "gaussian": 7, "none": 1}
_IXC = {"lda": "7", "pbe": "11"}
_TOLERANCES = ("toldfe", "toldff", "tolrff", "tolvrs", "tolwfr")
# ABINIT's vres2, the squared residual of the potential, at which its F, U and fields are as close to self-consistency
# as the embedded engine's at the same scf_tolerance, with two orders of magnitude to spare (docs/engines.md).
_POTENTIAL_RESIDUAL = 1e-2
# Other names for variables that are set here, and variables that would change the kind of the run.
_NOT_FOR_USERS = (
    *("xcart", "xangst", "angdeg", "scalecart", "spgroup", "charge", "occ", "nsppol", "nspinor", "nspden", "usepaw"),
    *("kpt", "nkpt", "ngkpt", "kptnrm", "kptbounds", "wtk", "ngfft", "boxcutmin", "iscf", "optdriver", "optcell"),
    *("ionmov", "ntime", "tolmxf", "natfix", "iatfix", "imgmov", "nimage", "ndtset", "jdtset", "udtset"),
    *("pp_dirpath", "indata_prefix", "outdata_prefix", "tmpdata_prefix", "output_file", "prtgsr", "prtpot"),
)


@dataclass(frozen=True)
class AbinitInput:
    """The input file of a run and the files that it names.

    Attributes:
        variables: name → value as it stands in the input file, in order.
        files: name → content of the files that it names: pseudopotentials, and a density to begin with.
    """

    variables: Mapping[str, str]
    files: Mapping[str, bytes]

    @property
    def text(self) -> str:
        """The text of the input file; a value of several lines begins on a new line."""
        return "".join(
            f"{name}{chr(10) if chr(10) in value else ' '}{value}\n" for name, value in self.variables.items()
        )

    def with_variables(self, variables: Mapping[str, object]) -> AbinitInput:
        """An input in which these variables are added or replaced."""
        return replace(self, variables={**self.variables, **{name: str(value) for name, value in variables.items()}})

    def write(self, folder: Path) -> Path:
        """Write input and files into an existing folder, and return the path of the input.

        Raises:
            OSError: a file cannot be written.
        """
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        path = folder / INPUT_NAME
        path.write_text(self.text, encoding="ascii")
        return path


def make_input(
    crystal: Crystal,
    lattice: FloatArray,
    internal: FloatArray,
    settings: PlaneWaveSettings,
    pseudopotentials: Mapping[str, PseudopotentialFile],
    bands: int,
    *,
    relax: bool = False,
    variables: Mapping[str, str | int | float] | None = None,
) -> AbinitInput:
    """The input of one self-consistent solution at fixed atoms, or of a relaxation from them, with all field files.

    Args:
        crystal: the reference crystal.
        lattice: (3, 3) rows of the deformed crystal's cell, Bohr.
        internal: (n_int,) internal coordinates, fractional.
        settings: of the calculation.
        pseudopotentials: symbol → file.
        bands: number of bands at each k point.
        relax: let ABINIT relax the atoms.
        variables: further variables that the user gives.

    Raises:
        InputError: a further variable that follows from the crystal and the settings, or a wrong number of internal
            coordinates.
    """
    primitive, positions = crystal.to_primitive(lattice, crystal.positions(internal))
    species = [crystal.species[i] for i in crystal.primitive_atoms]
    symbols = list(dict.fromkeys(species))
    input_variables: dict[str, str] = {
        "pseudos": '"' + ", ".join(pseudopotentials[s].name for s in symbols) + '"',
        "acell": "3*1.0",
        "rprim": _rows(primitive),
        "natom": str(len(species)),
        "ntypat": str(len(symbols)),
        "typat": " ".join(str(symbols.index(s) + 1) for s in species),
        "znucl": " ".join(str(atomic_numbers[s]) for s in symbols),
        "xred": _rows(positions),
        **_symmetries(crystal),
        **_electrons(crystal, settings, bands),
        **_self_consistency(settings, variables or {}),
        **(_relaxation(crystal, settings) if relax else {}),
        # netCDF files of ρ, φ and ψ; all plane waves also at the k points where half of them would do.
        "iomode": "3",
        "istwfk": "*1",
        "prtden": "1",
        "prtvclmb": "1",
        "prtvha": "1",
        "prtwf": "1",
        "prteig": "0",
        "prtebands": "0",
    }
    for name in variables or {}:
        if name in input_variables or name in _NOT_FOR_USERS:
            raise InputError(
                f"abinit.variables.{name} cannot be given: the crystal, the settings of [engine] and what is read from "
                "ABINIT's files decide it"
            )
    files = {pseudopotentials[s].name: pseudopotentials[s].content for s in symbols}
    return AbinitInput(input_variables, files).with_variables(variables or {})


def functional_number(settings: PlaneWaveSettings) -> int:
    """ABINIT's number ``ixc`` of the settings' functional."""
    return int(_IXC[settings.functional])


def _symmetries(crystal: Crystal) -> dict[str, str]:
    identity = "1 0 0  0 1 0  0 0 1"
    if crystal.inversion_centre is None:
        return {"nsym": "1", "symrel": identity, "tnons": "0 0 0", "chkprim": "0"}
    inversion = "-1 0 0  0 -1 0  0 0 -1"
    return {"nsym": "2", "symrel": f"{identity}  {inversion}", "tnons": "0 0 0  0 0 0", "chkprim": "0"}


def _electrons(crystal: Crystal, settings: PlaneWaveSettings, bands: int) -> dict[str, str]:
    mesh = np.rint(np.array(settings.kmesh)[:, None] * np.linalg.inv(crystal.primitive)).astype(int)
    smeared = settings.smearing != "none"
    return {
        "ecut": repr(settings.cutoff),
        **({"ecutsm": repr(settings.cutoff_smoothing)} if settings.cutoff_smoothing else {}),
        # Without it ABINIT takes the smallest grid that does not alias by its own count (boxcutmin 2).
        **({} if settings.fft_grid is None else {"ngfft": " ".join(map(str, settings.fft_grid))}),
        "kptopt": "2" if settings.time_reversal else "3",
        "kptrlatt": "\n".join("  " + " ".join(map(str, row)) for row in mesh),
        "nshiftk": "1",
        "shiftk": "0 0 0",
        "chksymbreak": "0",
        "ixc": _IXC[settings.functional],
        "occopt": str(_OCCOPT[settings.smearing]),
        **({"tsmear": repr(settings.smearing_width)} if smeared else {}),
        "nband": str(bands),
    }


def _self_consistency(settings: PlaneWaveSettings, variables: Mapping[str, object]) -> dict[str, str]:
    table = {"nstep": str(settings.max_scf_steps), "diemix": repr(settings.mixing)}
    if not any(name in variables for name in _TOLERANCES):  # ABINIT takes one of them
        table["tolvrs"] = repr(_POTENTIAL_RESIDUAL * settings.scf_tolerance)
    return table


def _relaxation(crystal: Crystal, settings: PlaneWaveSettings) -> dict[str, str]:
    """Variables of a relaxation by L-BFGS.

    It converges in fewer steps than ABINIT's BFGS (ionmov 2, 3) where one mode is soft (docs/engines.md).
    """
    table = {"ionmov": "22", "ntime": str(settings.max_relaxation_steps), "tolmxf": repr(settings.force_tolerance)}
    if crystal.inversion_centre is None:
        # The first atom is held, as in internal coordinates, so that the crystal does not drift; the force on it is
        # minus the sum of the others'.
        others = max(1, len(crystal.primitive_atoms) - 1)
        table |= {"natfix": "1", "iatfix": "1", "tolmxf": repr(settings.force_tolerance / others)}
    return table


def _rows(array: FloatArray) -> str:
    return "\n".join("  " + " ".join(format(x, ".15f") for x in row) for row in array)
