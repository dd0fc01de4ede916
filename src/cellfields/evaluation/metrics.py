"""Error measures of a predicted state or field against the true one at the same deformation (paper, sec. 4.4).

NRMSE = √( mean_j (y_j^pred − y_j^true)² ) / (max y^true − min y^true)    eq. 12, on a grid for fields
relative L² = ‖f^pred − f^true‖ / ‖f^true‖                                exact, in Fourier space
position error = |(ξ^pred − ξ^true) · lattice|                            Bohr, inversion centre fixed
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields

PAPER_GRID = (36, 64, 60)  # grid points along the axes of the four-atom magnesium cell


def nrmse(predicted: FloatArray, true: FloatArray) -> float:
    """Root-mean-square error divided by the range of the true values (paper, eq. 12).

    Args:
        predicted, true: values of the same shape.

    Raises:
        InputError: the shapes differ, or the true values are all the same.
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
    """NRMSE (paper, eq. 12) of one field on a grid.

    Args:
        predicted: predicted fields.
        true: true fields, of the same volume.
        name: name of the field.
        shape: grid points along each axis; the paper's grid is made for the four-atom magnesium cell.
        origin: fractional coordinate of grid point (0, 0, 0); in the authors' cell the first reference atom is there.

    Raises:
        InputError: the true field is constant.
    """
    return nrmse(predicted.on_grid(name, shape, origin), true.on_grid(name, shape, origin))


def relative_l2(predicted: ElectronicFields, true: ElectronicFields, name: str) -> float:
    """Relative error ‖f^pred − f^true‖ / ‖f^true‖ over the cell, from Fourier coefficients, without a grid.

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
    """Distance of a predicted from a true atom in the deformed cell, Bohr; 0 for a crystal without free atoms.

    The inversion centre, or in its absence the first atom, is fixed, so that a common shift of all atoms is no error.
    With several free atoms it is the root mean square over them.
    """
    return _root_mean_square(predicted.internal - true.internal, true.lattice)


def displacement(state: CellState) -> float:
    """Distance of an atom from its reference fractional position, Bohr, to compare :func:`position_error` with.

    With several free atoms it is the root mean square over them.
    """
    return _root_mean_square(state.internal, state.lattice)


def energy_error(predicted: CellState, true: CellState, name: str = "free_energy") -> float:
    """Absolute error |predicted − true| of an energy, Hartree.

    Args:
        predicted, true: states of the same deformation.
        name: ``free_energy``, ``band_energy``, ``entropic_energy`` or ``fermi_energy``.

    Raises:
        InputError: one of the states does not know this energy.
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
