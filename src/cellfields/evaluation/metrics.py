"""How far a prediction is from the truth (paper, sec. 4.4).

    NRMSE = √( mean_j (y_j^pred − y_j^true)² ) / (max y^true − min y^true)    eq. 12, on a grid for fields
    relative L² = ‖f^pred − f^true‖ / ‖f^true‖                                exact, in Fourier space
    position error = |(ξ^pred − ξ^true) · lattice|                            Bohr, inversion centre fixed

Every measure compares one predicted state (or field) with one true one, at the same deformation.
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields

PAPER_GRID = (36, 64, 60)  # of the four-atom magnesium cell


def nrmse(predicted: FloatArray, true: FloatArray) -> float:
    """Eq. 12: root-mean-square error over the range of the true values.

    Raises:
        InputError: different shapes, or true values without a range.
    """
    predicted, true = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
    if predicted.shape != true.shape:
        raise InputError(f"predicted and true values differ in shape: {predicted.shape} and {true.shape}")
    span = float(np.ptp(true)) if true.size else 0.0
    if span == 0:
        raise InputError("NRMSE needs true values that are not all the same")
    return float(np.sqrt(np.mean((predicted - true) ** 2))) / span


def field_nrmse(
    predicted: ElectronicFields,
    true: ElectronicFields,
    name: str,
    *,
    shape: tuple[int, int, int] = PAPER_GRID,
    origin: tuple[float, float, float] = (0, 0, 0),
) -> float:
    """Eq. 12 of one field on a grid.

    Args:
        predicted: fields of the prediction.
        true: fields of the truth, of the same volume.
        name: which field.
        shape: of the grid; the paper's belongs to the four-atom magnesium cell.
        origin: fractional coordinate of grid point (0, 0, 0); the authors' cell has its first reference atom there.
    """
    return nrmse(predicted.on_grid(name, shape, origin), true.on_grid(name, shape, origin))


def relative_l2(predicted: ElectronicFields, true: ElectronicFields, name: str) -> float:
    """‖f^pred − f^true‖ / ‖f^true‖ over the cell, by Parseval: independent of any grid.

    Raises:
        InputError: the fields are given in different Fourier bases, or the true field is zero.
    """
    if not predicted.basis.same_as(true.basis):
        raise InputError("fields to compare must be given in the same Fourier basis (field_cutoff must be equal)")
    truth = true.vector(name)
    norm = float(np.linalg.norm(truth))
    if norm == 0:
        raise InputError(f"the true {name} is zero everywhere: a relative error has no meaning")
    return float(np.linalg.norm(predicted.vector(name) - truth)) / norm


def position_error(predicted: CellState, true: CellState) -> float:
    """Displacement error of an atom in the deformed cell, Bohr; 0 for a crystal without internal coordinates.

    The inversion centre is fixed (without one: the first atom), so that a common shift of all atoms is no error. For
    several free atoms, as opposed to magnesium's one, the root mean square over them.
    """
    return _root_mean_square(predicted.internal - true.internal, true.lattice)


def displacement(state: CellState) -> float:
    """How far an atom is from its reference fractional position, Bohr; the scale of :func:`position_error`.

    For several free atoms the root mean square over them.
    """
    return _root_mean_square(state.internal, state.lattice)


def energy_error(predicted: CellState, true: CellState, name: str = "free_energy") -> float:
    """|predicted − true| of ``free_energy``, ``band_energy``, ``entropic_energy`` or ``fermi_energy``, Hartree.

    Raises:
        InputError: one of the two does not know this energy.
    """
    if not (predicted.knows(name) and true.knows(name)):
        raise InputError(f"{name} is not known for both the prediction and the truth")
    return abs(float(getattr(predicted, name)) - float(getattr(true, name)))


def _root_mean_square(internal: FloatArray, lattice: FloatArray) -> float:
    if internal.size == 0:
        return 0.0
    # Internal coordinates come in triples, the fractional displacement of one representative atom each.
    cartesian = internal.reshape(-1, 3) @ lattice
    return float(np.sqrt(np.mean(np.sum(cartesian**2, axis=1))))
