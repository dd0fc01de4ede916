"""Reads files of piecewise-periodic fields on a deformed body: the fields of one cell for each element of a mesh.

    f_h(y) = f̄_e(x) ,   x = y · (A⁰ F_eᵀ)⁻¹ mod 1 ,   y in element e             (paper, introduction: the predictor)

The files are netCDF-4 (HDF5), chunked along the elements, with the conventions and units of this package. With e the
number of elements they hold:

    deformation_gradient (e, 3, 3)   F_e as given          deformation (e, 6)        D of U_e in F_e = R_e U_e
    lattice (e, 3, 3)                A⁰ F_eᵀ, rows, Bohr   positions (e, N, 3)       relaxed atoms, fractional
    in_domain (e)                    1 where the model was trained, domain_distance (e) ≤ 1 is within its reach
    free_energy, band_energy, entropic_energy, fermi_energy (e)                      Hartree

    compact:  <field>_coefficients (e, K) with <field>_mean (P), <field>_modes (K, P), wave_indices (M, 3), origin (3):
              f = mean + coefficients · modes is the field's folded Fourier vector (fields.py), exactly as predicted
    grids:    <field> (e, n1, n2, n3) float32, physical values, point (0, 0, 0) at the cell's corner

Fields are functions of fractional coordinates, so R_e turns the cell and changes none of their values.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.errors import CorruptFileError, InputError
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.state.quantities import ordered_fields, quantity

if TYPE_CHECKING:
    from netCDF4 import Dataset

FORMAT = "cellfields predictor 1"
COEFFICIENTS = "_coefficients"
GRID_AXES = ("n1", "n2", "n3")


def netcdf4() -> Any:
    """The module ``netCDF4``.

    Raises:
        InputError: the library is not installed.
    """
    try:
        import netCDF4
    except ImportError:
        raise InputError("predictor files need the netCDF4 library: pip install 'cellfields[netcdf]'") from None
    return netCDF4


def read(path: str | Path) -> PredictorFields:
    """Open a file that ``cellfields predictor`` wrote; variables are read when they are asked for.

    Raises:
        InputError: the file does not exist, or the netCDF4 library is not installed.
        CorruptFileError: the file is damaged, or of another kind.
    """
    path = Path(path)
    library = netcdf4()
    if not path.is_file():
        raise InputError(f"predictor file {path} does not exist")
    try:
        file = library.Dataset(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise CorruptFileError(f"{path} is no netCDF file, or damaged: {error}") from None
    file.set_auto_mask(False)
    if getattr(file, "format_name", None) != FORMAT:
        file.close()
        raise CorruptFileError(f"{path} is no {FORMAT!r} file")
    return PredictorFields(path, file)


class PredictorFields:
    """An open predictor file, which is also a context manager that closes it.

    Attributes:
        path: path of the file.
    """

    def __init__(self, path: Path, file: Dataset) -> None:
        self.path, self._file = path, file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        """Number of elements."""
        return int(self._file.dimensions["element"].size)

    @cached_property
    def crystal(self) -> Crystal:
        """The reference crystal.

        Raises:
            CorruptFileError: the file does not hold it.
        """
        try:
            return Crystal.from_dict(json.loads(self._file.crystal))
        except (AttributeError, ValueError, KeyError, TypeError) as error:
            raise CorruptFileError(f"{self.path} does not say which crystal it is of: {error}") from None

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that the file holds."""
        variables = self._file.variables
        functions = [name.removesuffix(COEFFICIENTS) for name in variables if name.endswith(COEFFICIENTS)]
        grids = [name for name, variable in variables.items() if variable.dimensions[1:] == GRID_AXES]
        return ordered_fields([*functions, *grids])

    @property
    def grid(self) -> tuple[int, int, int] | None:
        """Points along each axis of the fields' grid, or None where the file holds coefficients (compact form)."""
        shapes = [self._file.variables[name].shape[1:] for name in self.fields if name in self._file.variables]
        return (int(shapes[0][0]), int(shapes[0][1]), int(shapes[0][2])) if shapes else None

    def numbers(self, name: str, elements: int | slice = slice(None)) -> FloatArray:
        """Values of a variable of the file for one element or several.

        Args:
            name: name of the variable; the module's docstring lists them with their shapes and units.
            elements: index of an element, or a slice.

        Raises:
            InputError: there is no variable of this name.
            CorruptFileError: the variable cannot be read.
        """
        if name not in self._file.variables:
            raise InputError(f"{self.path} holds no {name}; there are {', '.join(sorted(self._file.variables))}")
        try:
            return np.asarray(self._file.variables[name][elements], dtype=float)
        except (OSError, RuntimeError, IndexError) as error:
            raise CorruptFileError(f"{name} of {self.path} cannot be read: {error}") from None

    @cached_property
    def in_domain(self) -> Array:
        """(e,) of bool, true for elements whose strain lies in the model's training domain."""
        return np.asarray(self.numbers("in_domain") != 0)

    def element(self, index: int) -> ElectronicFields:
        """The fields of one element as functions, which can be put on any grid and integrated.

        Raises:
            InputError: there is no such element, or the file holds values on a grid.
        """
        if not -len(self) <= index < len(self):
            raise InputError(f"element {index} is not among the {len(self)} of {self.path}")
        if self.grid is not None:
            raise InputError(f"{self.path} holds grids, not functions; values(name, element) gives them")
        coefficients = {}
        for name in self.fields:
            mean, modes = self._modes[name]
            coefficients[name] = self.basis.from_vector(mean + self.numbers(name + COEFFICIENTS, index) @ modes)
        return ElectronicFields(self.basis, coefficients, float(np.linalg.det(self.numbers("lattice", index))))

    def values(self, name: str, index: int, shape: tuple[int, int, int] | None = None) -> FloatArray:
        """Physical values (n1, n2, n3) of a field of one element on a grid over its cell.

        Args:
            name: name of the field.
            index: index of the element.
            shape: points along each axis; needed for the compact form. A file of grids has one grid only.

        Raises:
            InputError: there is no such element or field, or ``shape`` is missing or not the grid of the file.
        """
        if self.grid is None:
            if shape is None:
                raise InputError(f"{self.path} holds functions: say on which grid")
            return self.element(index).on_grid(name, shape)
        if shape not in (None, self.grid):
            raise InputError(f"{self.path} holds values on {self.grid}, not on {shape}")
        return self.numbers(name, index)

    def at(self, name: str, index: int, points: FloatArray) -> FloatArray:
        """Physical values (n,) of a field of one element at points (n, 3) of the deformed body, Bohr.

        Points are given in the frame that the deformation gradient F maps to.

        Raises:
            InputError: there is no such element, or the file holds values on a grid.
        """
        fields = self.element(index)
        x = np.asarray(points, dtype=float) @ np.linalg.inv(self.numbers("lattice", index))
        m = self.basis.indices
        weights = np.where((m == 0).all(axis=1), 1.0, 2.0)
        waves = np.exp(2j * np.pi * ((x - self.basis.origin) @ m.T))
        values = (waves @ (weights * fields.coefficients[name])).real
        return np.asarray(values / fields.volume if quantity(name).times_volume else values)

    @cached_property
    def basis(self) -> FourierBasis:
        """The Fourier basis in which the fields of the compact form are expanded."""
        real = self.crystal.inversion_centre is not None
        return FourierBasis(self.numbers("wave_indices").astype(np.int64), self.numbers("origin"), real)

    @cached_property
    def _modes(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        return {name: (self.numbers(f"{name}_mean"), self.numbers(f"{name}_modes")) for name in self.fields}
