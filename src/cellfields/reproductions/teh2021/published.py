"""What the authors published beside their code: errors of their models on each of their test strains.

    published_test_errors.npz   D (1000, 6);  <field>/<ml|pca|linear>/<rse|nrmse>,  positions/…   (1000,)
    mg.pseu                     their pseudopotential;       sample2_fields.npz    fields of one strain (Figure 2)

None of it is part of this package (its licence is not stated): a folder that the user has is read.
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
    """The authors' numbers.

    Attributes:
        folder: where they are.
        deformations: the test strains, in their order.
        models: name (keys of :data:`MODELS`) → quantity → errors (n,), in the measures of an evaluation.
        displacement: (n,) how far their relaxed atoms moved, Bohr.
    """

    folder: Path
    deformations: tuple[Deformation, ...]
    models: Mapping[str, Mapping[str, FloatArray]]
    displacement: FloatArray

    @classmethod
    def load(cls, folder: str | Path) -> Published:
        """From a folder that holds :data:`ERRORS` and :data:`PSEUDOPOTENTIAL`.

        Raises:
            InputError: one of them is missing.
            CorruptFileError: the table of errors is damaged or lacks something.
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
        """Their pseudopotential file."""
        return self.folder / PSEUDOPOTENTIAL

    def rows(self, strains: Sequence[Deformation]) -> IntArray:
        """Where these strains are among :attr:`deformations`.

        Raises:
            InputError: one is not.
        """
        place = {deformation: row for row, deformation in enumerate(self.deformations)}
        if missing := [d for d in strains if d not in place]:
            raise InputError(f"{len(missing)} of these strains are not among the published ones")
        return np.array([place[deformation] for deformation in strains], dtype=np.int64)

    def engine_errors(self, strains: Sequence[Deformation]) -> dict[str, EngineErrors]:
        """Their models on some of their strains, as if they had been judged here; how long they took is not known."""
        rows = self.rows(strains)
        unknown = np.full(len(rows), np.nan)
        return {
            label: EngineErrors({quantity: values[rows] for quantity, values in errors.items()}, {}, unknown)
            for label, errors in self.models.items()
        }

    def figure_2(self) -> tuple[Deformation, dict[str, FloatArray]] | None:
        """Strain and fields of Figure 2 on the paper's grid (36, 64, 60), physical units; None without the file.

        Raises:
            CorruptFileError: the file is damaged or lacks something.
        """
        path = self.folder / FIGURE_2
        if not path.is_file():
            return None
        table = _read(path)
        try:
            strain = Deformation.from_array(table["D"])
            n1, n2, n3 = PAPER_GRID  # their arrays run over z, y, x
            return strain, {name: table[name].reshape(n3, n2, n1).transpose(2, 1, 0) for name in FIELD_NAMES}
        except (KeyError, ValueError) as error:
            raise CorruptFileError(f"{path} does not hold what it should: {error}") from error


def difference_in_fields(state: CellState, grids: Mapping[str, FloatArray]) -> dict[str, float]:
    """Relative L² difference of a state's fields from the authors' own on the paper's grid.

    Theirs are multiplied by the volume of a grid cell where they are densities.
    """
    assert state.fields is not None  # the caller looks
    differences = {}
    for name, theirs in grids.items():
        ours = state.fields.on_grid(name, PAPER_GRID)
        if quantity(name).times_volume:
            ours = ours * state.volume / ours.size
        elif quantity(name).zero_mean:
            theirs = theirs - theirs.mean()
        differences[name] = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
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
