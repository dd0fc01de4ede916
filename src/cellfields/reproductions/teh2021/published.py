"""Reads the data that the authors published beside their code: errors of their models on each of their test strains.

    published_test_errors.npz   D (1000, 6);  <field>/<ml|pca|linear>/<rse|nrmse>,  positions/…   (1000,)
    mg.pseu                     their pseudopotential;       sample2_fields.npz    fields of one strain (Figure 2)

These data are not part of this package, because their licence is not stated; they are read from a folder of the user.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal.deformation import Deformation
from cellfields.errors import CorruptFileError, InputError
from cellfields.evaluation.accuracy import EngineErrors
from cellfields.evaluation.metrics import PAPER_GRID
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from cellfields.state.quantities import quantity

ERRORS, PSEUDOPOTENTIAL, FIGURE_2 = "published_test_errors.npz", "mg.pseu", "sample2_fields.npz"
MODELS: Mapping[str, str] = {"published network": "ml", "published PCA floor": "pca", "published linear": "linear"}


@dataclass(frozen=True, eq=False)
class Published:
    """The authors' data on their n test strains.

    Attributes:
        folder: folder of the files.
        deformations: the test strains, in the authors' order.
        models: name (key of :data:`MODELS`) → quantity → errors (n,), in the measures of an evaluation.
        displacement: (n,) distances that their relaxed atoms moved, Bohr.
    """

    folder: Path
    deformations: tuple[Deformation, ...]
    models: Mapping[str, Mapping[str, FloatArray]]
    displacement: FloatArray

    @classmethod
    def load(cls, folder: str | Path) -> Published:
        """Read a folder that holds the files :data:`ERRORS` and :data:`PSEUDOPOTENTIAL`.

        Raises:
            InputError: one of the files is missing.
            CorruptFileError: the table of errors is damaged or incomplete.
        """
        folder = Path(folder).absolute()
        for name in (ERRORS, PSEUDOPOTENTIAL):
            if not (folder / name).is_file():
                raise InputError(f"--reference {folder}: there is no file {name} in it")
        table = _read(folder / ERRORS)
        try:
            deformations = tuple(Deformation.from_array(row) for row in table["D"])
            models = {label: _errors(table, key) for label, key in MODELS.items()}
            displacement = table["positions/true_displacement_bohr"]
        except (KeyError, InputError) as error:
            raise CorruptFileError(f"{folder / ERRORS} does not hold what it should: {error}") from error
        if any(len(x) != len(deformations) for model in models.values() for x in (*model.values(), displacement)):
            raise CorruptFileError(f"{folder / ERRORS} does not hold one number a strain throughout")
        return cls(folder, deformations, models, displacement)

    @property
    def pseudopotential(self) -> Path:
        """Path of the authors' pseudopotential file."""
        return self.folder / PSEUDOPOTENTIAL

    def rows(self, strains: Sequence[Deformation]) -> IntArray:
        """Indices of these strains in :attr:`deformations`.

        Raises:
            InputError: a strain is not among them.
        """
        place = {deformation: row for row, deformation in enumerate(self.deformations)}
        if missing := [d for d in strains if d not in place]:
            raise InputError(f"{len(missing)} of these strains are not among the published ones")
        return np.array([place[deformation] for deformation in strains], dtype=np.int64)

    def engine_errors(self, strains: Sequence[Deformation]) -> dict[str, EngineErrors]:
        """Errors of the authors' models on some of their test strains; the times of their solves are nan.

        Raises:
            InputError: a strain is not one of theirs.
        """
        rows = self.rows(strains)
        unknown = np.full(len(rows), np.nan)
        return {
            label: EngineErrors({quantity: values[rows] for quantity, values in errors.items()}, {}, unknown)
            for label, errors in self.models.items()
        }

    def figure_2(self) -> tuple[Deformation, dict[str, FloatArray]] | None:
        """Strain of Figure 2, and field → values on the paper's grid (36, 64, 60); None where the file is missing.

        Raises:
            CorruptFileError: the file is damaged or incomplete.
        """
        path = self.folder / FIGURE_2
        if not path.is_file():
            return None
        table = _read(path)
        try:
            strain = Deformation.from_array(table["D"])
            n1, n2, n3 = PAPER_GRID  # the authors' arrays are ordered z, y, x
            return strain, {name: table[name].reshape(n3, n2, n1).transpose(2, 1, 0) for name in FIELD_NAMES}
        except (KeyError, ValueError) as error:
            raise CorruptFileError(f"{path} does not hold what it should: {error}") from error


def difference_in_fields(state: CellState, grids: Mapping[str, FloatArray]) -> dict[str, float]:
    """Field → relative L² difference of a state's field from the authors' on the paper's grid.

    Args:
        state: a state with fields.
        grids: field → the authors' values (36, 64, 60); densities are multiplied by the volume of a grid cell.
    """
    assert state.fields is not None  # labels hold fields
    differences = {}
    for name, published in grids.items():
        values = state.fields.on_grid(name, PAPER_GRID)
        if quantity(name).times_volume:
            values = values * state.volume / values.size
        elif quantity(name).zero_mean:
            published = published - published.mean()
        differences[name] = float(np.linalg.norm(values - published) / np.linalg.norm(published))
    return differences


def _errors(table: Mapping[str, FloatArray], key: str) -> dict[str, FloatArray]:
    errors = {}
    for field in FIELD_NAMES:
        errors[f"{field}.relative_l2"] = table[f"{field}/{key}/rse"]
        errors[f"{field}.nrmse"] = table[f"{field}/{key}/nrmse"]
    if key == "ml":
        errors["position"] = table["positions/ml/displacement_error_bohr"]
    return errors


def _read(path: Path) -> dict[str, FloatArray]:
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {name: np.asarray(file[name], dtype=float) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptFileError(f"{path} is damaged, or no table of NumPy arrays") from error
