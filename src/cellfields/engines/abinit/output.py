"""ABINIT's output files as arrays: energies, forces, stress, density, Coulomb potential and wavefunctions.

    *_GSR.nc   energies, forces, stress, atoms          *_DEN.nc    ρ on the FFT grid
    *_HIST.nc  one entry for each relaxation step       *_VCLMB.nc  V_H + V_loc on the FFT grid
                                                        *_WFK.nc    c_nk(G), E_nk, occupations

Everything is per primitive cell, in Hartree atomic units. Shapes, the integral of the density and the norms of the
wavefunctions are checked. The main output (text) is read for the history of self-consistency only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellfields._typing import Array, ComplexArray, FloatArray, IntArray
from cellfields.crystal.voigt import from_voigt
from cellfields.engines.abinit.netcdf import read_netcdf
from cellfields.errors import CorruptFileError, InputError
from cellfields.text import parse_number

ENERGY_TERMS = {
    "kinetic": "e_kinetic",
    "hartree": "e_hartree",
    "xc": "e_xc",
    "local_psp": "e_localpsp",
    "nonlocal_psp": "e_nlpsp_vfock",
    "ewald": "e_ewald",
    "psp_core": "e_corepsp",
    "entropic": "e_entropy",
}
_ENERGIES = {**ENERGY_TERMS, "free_energy": "etotal", "band_energy": "e_eigenvalues", "fermi_energy": "fermie"}
_FORMERLY = {"e_nlpsp_vfock": "e_nonlocalpsp"}  # names of variables before ABINIT 9
_RESIDUALS = {"energy_change": "deltae", "potential_residual": "res2", "eigenvalue_residual": "residm"}
_CELL = ("primitive_vectors", "reduced_atom_positions", "atom_species", "atomic_numbers", "codvsn", "nelect", "usepaw")
_GROUND = (
    *_ENERGIES.values(),
    *_FORMERLY.values(),
    *_RESIDUALS.values(),
    *_CELL,
    "cartesian_forces",
    "cartesian_stress_tensor",
)
_ORBITALS = (
    "reduced_coordinates_of_kpoints",
    "kpoint_weights",
    "eigenvalues",
    "occupations",
    "istwfk",
    "number_of_coefficients",
    "reduced_coordinates_of_plane_waves",
    "coefficients_of_wavefunctions",
)
_MOST_WAVE = 10_000  # |G| in reciprocal lattice vectors, beyond any FFT grid
_HUGE = 1e100  # larger numbers are refused; squares and sums of smaller ones, as of the padding's 1e37, are finite


@dataclass(frozen=True, eq=False)
class AbinitOrbitals:
    """The wavefunctions of a run at every k point.

    Attributes:
        k_points: (K, 3) in reciprocal coordinates.
        k_weights: (K,), summing to 1.
        energies: (K, n) eigenvalues, Hartree.
        occupations: (K, n) electrons in each state, as ABINIT filled them.
        waves: for each k the (P_k, 3) integer G.
        coefficients: for each k (n, P_k) complex, normalised.
    """

    k_points: FloatArray
    k_weights: FloatArray
    energies: FloatArray
    occupations: FloatArray
    waves: tuple[IntArray, ...]
    coefficients: tuple[ComplexArray, ...]


@dataclass(frozen=True, eq=False)
class AbinitOutput:
    """The results of a finished run, per primitive cell, in ABINIT's frame.

    Attributes:
        version: of ABINIT.
        lattice: (3, 3) rows, Bohr.
        positions: (n, 3) fractional.
        atomic_numbers: (n,).
        electrons: valence electrons.
        energies: name → Hartree: the terms of F (:data:`ENERGY_TERMS`), free_energy, band_energy, fermi_energy; only
            those that were asked for.
        residuals: energy_change, potential_residual and eigenvalue_residual at the end of the SCF.
        forces: (n, 3) Hartree/Bohr.
        stress: (3, 3) Hartree/Bohr³, tension positive.
        density: (n1, n2, n3) electrons/Bohr³, or None where there is no such file.
        coulomb_potential: (n1, n2, n3) Hartree, or None.
        orbitals: wavefunctions, or None.
        relaxation: for each step of a relaxation ``free_energy`` (Hartree) and the largest ``force`` (Hartree/Bohr);
            empty at fixed atoms.
    """

    version: str
    lattice: FloatArray
    positions: FloatArray
    atomic_numbers: IntArray
    electrons: float
    energies: Mapping[str, float]
    residuals: Mapping[str, float]
    forces: FloatArray
    stress: FloatArray
    density: FloatArray | None = None
    coulomb_potential: FloatArray | None = None
    orbitals: AbinitOrbitals | None = None
    relaxation: tuple[dict[str, float], ...] = ()


def output_files(folder: Path, prefix: str | None = None) -> dict[str, Path]:
    """The netCDF files that a run left in a folder, kind ("GSR", "DEN", "VCLMB", "WFK", "HIST") → file.

    A relaxation writes densities and potentials at every step (``_TIM1_DEN.nc`` …), of which the last is taken.

    Args:
        folder: of the run.
        prefix: beginning of the files' names; None where the folder holds one run only.

    Raises:
        InputError: no ``*_GSR.nc``, or several of them and no prefix.
    """
    if prefix is None:
        prefixes = sorted(path.name.removesuffix("_GSR.nc") for path in folder.glob("*_GSR.nc"))
        if len(prefixes) != 1:
            there = f"several of them ({', '.join(prefixes)})" if prefixes else "none"
            raise InputError(f"{folder} must hold one ABINIT output *_GSR.nc; it holds {there}")
        prefix = prefixes[0]
    files = {kind: folder / f"{prefix}_{kind}.nc" for kind in ("GSR", "DEN", "VCLMB", "WFK", "HIST")}
    for kind in ("DEN", "VCLMB"):
        pattern = re.compile(rf"{re.escape(prefix)}_TIM(\d{{1,9}})_{kind}\.nc")
        steps = {int(m[1]): path for path in folder.iterdir() if (m := pattern.fullmatch(path.name))}
        if steps:
            files[kind] = steps[max(steps)]
    return {kind: path for kind, path in files.items() if path.is_file()}


def read_output(files: Mapping[str, Path], *, energies: Collection[str] = tuple(_ENERGIES)) -> AbinitOutput:
    """Read the files that :func:`output_files` found; GSR must be among them.

    Args:
        files: kind → file.
        energies: names of the energies that are needed (of :class:`AbinitOutput`), all of them unless given. Only these
            are read, so that files of other versions that lack the others can be read too.

    Raises:
        InputError: the netCDF4 library is missing, or the run is of a kind that has no such fields (spin, PAW).
        CorruptFileError: a file is damaged, or the files do not belong together.
    """
    names = {
        "GSR": _GROUND,
        "DEN": ("density", *_CELL),
        "VCLMB": ("vhartree_vloc", *_CELL),
        "WFK": (*_ORBITALS, *_CELL),
        "HIST": ("etotal", "fcart"),
    }
    arrays = read_netcdf({path: names[kind] for kind, path in files.items()})
    read = {kind: _Arrays(path.name, arrays[path]) for kind, path in files.items()}
    ground = read["GSR"]
    lattice, positions, numbers = _atoms(ground)
    for kind in ("DEN", "VCLMB", "WFK"):
        if kind in read:
            _require_same_cell(read[kind], lattice, positions)
    atoms = len(positions)
    density = _grid(read["DEN"], "density") if "DEN" in read else None
    electrons = ground.number("nelect")
    if density is not None and not abs(density.mean() * abs(np.linalg.det(lattice)) - electrons) < 1e-6 * electrons:
        raise read["DEN"].fail(f"its density does not integrate to {electrons:g} electrons")
    return AbinitOutput(
        version=ground.text("codvsn"),
        lattice=lattice,
        positions=positions,
        atomic_numbers=numbers,
        electrons=electrons,
        energies={name: ground.number(_ENERGIES[name], _FORMERLY.get(_ENERGIES[name])) for name in energies},
        residuals={name: ground.number(variable) for name, variable in _RESIDUALS.items()},
        forces=ground.floats("cartesian_forces", (atoms, 3)),
        stress=from_voigt(ground.floats("cartesian_stress_tensor", (6,))),
        density=density,
        coulomb_potential=_grid(read["VCLMB"], "vhartree_vloc") if "VCLMB" in read else None,
        orbitals=_orbitals(read["WFK"]) if "WFK" in read else None,
        relaxation=_relaxation(read["HIST"], atoms) if "HIST" in read else (),
    )


def scf_history(text: str) -> list[list[dict[str, float]]]:
    """The steps of each self-consistency in ABINIT's main output, from its ``ETOT`` lines.

    Each step has ``step``, ``free_energy``, ``energy_change`` (Hartree), ``eigenvalue_residual`` and
    ``potential_residual`` as far as they can be read.
    """
    cycles: list[list[dict[str, float]]] = []
    for line in re.findall(r"^ ETOT\s*(\d+)((?:[ \t]+\S+){2,4})", text, re.MULTILINE):
        try:
            step = int(line[0])
            values = [parse_number(word) for word in line[1].split()]
        except ValueError:  # numbers too wide for their columns are printed as stars
            continue
        if step == 1 or not cycles:
            cycles.append([])
        names = ("free_energy", "energy_change", "eigenvalue_residual", "potential_residual")
        cycles[-1].append({"step": float(step), **dict(zip(names, values, strict=False))})
    return cycles


class _Arrays:
    """The arrays of one file, with checks of their shapes and values."""

    def __init__(self, name: str, arrays: Mapping[str, Array]) -> None:
        self.name = name
        self._arrays = arrays

    def fail(self, reason: str) -> CorruptFileError:
        return CorruptFileError(f"netCDF file {self.name}: {reason}")

    def array(self, name: str, shape: tuple[int | None, ...]) -> Array:
        """A variable of that shape, in which None stands for any length but 0.

        Raises:
            CorruptFileError: the variable is missing, or of another shape.
        """
        if name not in self._arrays:
            raise self.fail(f"variable {name} is missing")
        array = self._arrays[name]
        if array.ndim != len(shape) or any(
            n == 0 or (m is not None and n != m) for n, m in zip(array.shape, shape, strict=True)
        ):
            raise self.fail(f"variable {name} has the wrong shape")
        return array

    def floats(self, name: str, shape: tuple[int | None, ...]) -> FloatArray:
        array = self.array(name, shape)
        if array.dtype.kind != "f" or not (np.abs(array) < _HUGE).all():
            raise self.fail(f"variable {name} does not hold finite numbers")
        return np.asarray(array, dtype=float)

    def integers(self, name: str, shape: tuple[int | None, ...], low: int, high: int) -> IntArray:
        array = self.array(name, shape)
        if array.dtype.kind not in "iu" or array.min() < low or array.max() > high:
            raise self.fail(f"variable {name} does not hold integers in {low} … {high}")
        return np.asarray(array, dtype=np.int64)

    def number(self, name: str, formerly: str | None = None) -> float:
        """A variable that holds one number.

        Args:
            name: of the variable.
            formerly: its name in older versions of ABINIT.

        Raises:
            CorruptFileError: the variable is missing, or no finite number.
        """
        old = formerly is not None and name not in self._arrays and formerly in self._arrays
        return float(self.floats(formerly if old and formerly else name, ()))

    def text(self, name: str) -> str:
        array = self.array(name, (None,))
        if array.dtype.kind != "S":
            raise self.fail(f"variable {name} is no text")
        words = array.tobytes().split(b"\0")[0].decode("ascii", errors="replace").split()
        return words[0] if words else ""


def _atoms(file: _Arrays) -> tuple[FloatArray, FloatArray, IntArray]:
    if file.integers("usepaw", (), 0, 1) != 0:
        raise InputError(
            f"{file.name} was made with the PAW method; only norm-conserving pseudopotentials are supported"
        )
    lattice = file.floats("primitive_vectors", (3, 3))
    positions = file.floats("reduced_atom_positions", (None, 3))
    with np.errstate(over="ignore", invalid="ignore"):
        volume = float(np.linalg.det(lattice)) if np.abs(lattice).max() < 1e6 else np.inf
    if not 1e-3 < abs(volume) < 1e9:
        raise file.fail("its lattice vectors span no cell")
    kinds = file.floats("atomic_numbers", (None,))
    species = file.integers("atom_species", (len(positions),), 1, len(kinds))
    if not (kinds.min() >= 0 and kinds.max() < 200):
        raise file.fail("variable atomic_numbers holds no atomic numbers")
    return lattice, positions, np.rint(kinds).astype(np.int64)[species - 1]


def _require_same_cell(file: _Arrays, lattice: FloatArray, positions: FloatArray) -> None:
    file_lattice, atoms, _ = _atoms(file)
    if not np.allclose(file_lattice, lattice, atol=1e-8) or atoms.shape != positions.shape:
        raise file.fail("it belongs to another cell than the energies")
    if not np.allclose(atoms, positions, atol=1e-8):
        raise file.fail("its atoms are in other places than those of the energies")


def _grid(file: _Arrays, name: str) -> FloatArray:
    """Values (n1, n2, n3) of a variable on the FFT grid; in the file the first index runs fastest."""
    array = file.array(name, (None, None, None, None, None))
    if array.shape[0] != 1 or array.shape[4] != 1:
        raise InputError(f"{file.name}: spin polarisation is not supported")
    return np.ascontiguousarray(file.floats(name, array.shape)[0, :, :, :, 0].transpose(2, 1, 0))


def _orbitals(file: _Arrays) -> AbinitOrbitals:
    energies = file.array("eigenvalues", (None, None, None))
    waves = file.array("reduced_coordinates_of_plane_waves", (None, None, 3))
    spins, points, bands = energies.shape
    spinors = file.array("coefficients_of_wavefunctions", (None,) * 6).shape[3]
    if spins != 1 or spinors != 1:
        raise InputError(f"{file.name}: spin polarisation is not supported")
    if (file.integers("istwfk", (points,), 0, 9) != 1).any():
        raise InputError(f"{file.name} holds half of the plane waves at some k points; run ABINIT with istwfk *1")
    most = waves.shape[1]
    counts = file.integers("number_of_coefficients", (points,), 1, most)
    used = [waves[k, :count] for k, count in enumerate(counts)]  # the rest is padding, with any content
    if waves.dtype.kind != "i" or max(max(-int(m.min()), int(m.max())) for m in used) > _MOST_WAVE:
        raise file.fail("variable reduced_coordinates_of_plane_waves holds no reciprocal lattice vectors")
    parts = file.floats("coefficients_of_wavefunctions", (1, points, bands, 1, most, 2))[0, :, :, 0]
    weights = file.floats("kpoint_weights", (points,))
    if not abs(weights.sum() - 1) < 1e-6 or weights.min() < 0:
        raise file.fail("variable kpoint_weights does not sum to 1")
    coefficients = tuple(parts[k, :, :count].view(complex)[..., 0] for k, count in enumerate(counts))
    if max(float(np.abs((np.abs(c) ** 2).sum(axis=1) - 1).max()) for c in coefficients) > 1e-6:
        raise file.fail("its wavefunctions are not normalised")
    return AbinitOrbitals(
        k_points=file.floats("reduced_coordinates_of_kpoints", (points, 3)),
        k_weights=weights,
        energies=file.floats("eigenvalues", (1, points, bands))[0],
        occupations=file.floats("occupations", (1, points, bands))[0],
        waves=tuple(np.asarray(m, dtype=np.int64) for m in used),
        coefficients=coefficients,
    )


def _relaxation(file: _Arrays, atoms: int) -> tuple[dict[str, float], ...]:
    energies = file.floats("etotal", (None,))
    forces = np.abs(file.floats("fcart", (len(energies), atoms, 3))).max(axis=(1, 2))
    return tuple({"free_energy": float(e), "force": float(f)} for e, f in zip(energies, forces, strict=True))
