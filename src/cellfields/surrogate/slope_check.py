"""Whether the stress of training states is the derivative of their energies: the slopes, integrated, against F.

    ∂G/∂D = ∂F/∂D as σ gives it (least squares, all strains) ;      F − G = const − p V + noise

A cutoff that is too low puts a pressure p into σ that is absent from F (Pulay stress, see ``mechanics``): then G grows
by pV against F. The line through F − G over the volumes V gives p, and the scatter about it the standard error of p.
Noise of F (plane waves that come and go with the cell) and what the polynomial G cannot follow are in that scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import lengths_and_angles
from cellfields.crystal.kinematics import energy_gradient_of_stress
from cellfields.crystal.voigt import to_voigt
from cellfields.state import CellState
from cellfields.surrogate.polynomial import polynomial_slope
from cellfields.surrogate.training import spread
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES
from cellfields.surrogate.trend import monomials
from cellfields.units import GPA

_HIGHEST = 4  # degree of G
_ROWS_A_TERM = 1.5
_ROUNDING = 1e-10  # of the largest singular value
_BIAS = 0.3  # of the change from one degree to the next
_SIGNIFICANT = 3.0  # standard errors
_TOLERANCE_GPA = 1.0  # a smaller spread of the stress replaces it


@dataclass(frozen=True)
class SlopeCheck:
    """Difference between the stress of states and the derivative of their energies.

    Attributes:
        pressure_gpa: p, the excess of tension in σ, GPa.
        error_gpa: standard error of p, GPa.
        spread_gpa: standard deviation of the components of σ over the states, GPa.
    """

    pressure_gpa: float
    error_gpa: float
    spread_gpa: float

    @property
    def contradicts(self) -> bool:
        """Whether |p| exceeds three standard errors, and 1 GPa or, where that is less, the spread of the stress."""
        size = abs(self.pressure_gpa)
        return size > _SIGNIFICANT * self.error_gpa and size > min(_TOLERANCE_GPA, self.spread_gpa)

    def sentence(self) -> str:
        """The result as a clause for warnings and metadata, without a full stop."""
        return (
            "the stress of the training states is not the derivative of their energies: it has "
            f"{self.pressure_gpa:+.3g} ± {max(self.error_gpa, 0.0):.1g} GPa of tension too much (its spread is "
            f"{self.spread_gpa:.2g} GPa), which is what a cutoff does that is too low"
        )

    def to_dict(self) -> dict[str, float]:
        """Plain JSON data, GPa."""
        return {"offset": self.pressure_gpa, "standard_error": self.error_gpa, "spread": self.spread_gpa}


def slope_check(crystal: Crystal, states: Sequence[CellState]) -> SlopeCheck | None:
    """Compare F and σ of those states that know both.

    Args:
        crystal: the reference crystal of the states.
        states: training states without their images under symmetry.

    Returns:
        The comparison, or None where fewer than eight states know both, or where all their volumes are equal.
    """
    comparable = [state for state in states if state.stress is not None and state.knows("free_energy")]
    if len(comparable) < MINIMUM_TRAINING_STATES:
        return None
    energies = np.array([state.free_energy for state in comparable])
    volumes = np.array([state.volume for state in comparable])
    if np.ptp(volumes) < 1e-6 * volumes.mean():
        return None
    deformations = np.array([state.deformation.as_array() for state in comparable])
    mean = deformations.mean(axis=0)
    std, scale = spread(deformations - mean, deformations)
    z, slopes = (deformations - mean) * scale, energy_slopes(crystal, comparable) * std
    degree = max(d for d in range(2, _HIGHEST + 1) if d == 2 or _ROWS_A_TERM * comb(6 + d, d) <= slopes.size)
    lower_line, line = (_slope_of_line(volumes, energies - _integral(z, slopes, d)) for d in (degree - 1, degree))
    # Anharmonic terms beyond a degree act like a pressure; the result of a lower degree tells how much.
    error = float(np.hypot(line[1], _BIAS * (line[0] - lower_line[0])))
    components = to_voigt(np.array([state.stress for state in comparable]))
    return SlopeCheck(-line[0] * GPA, error * GPA, float((components - components.mean(axis=0)).std()) * GPA)


def energy_slopes(crystal: Crystal, states: Sequence[CellState]) -> FloatArray:
    """∂F/∂D (n, 6), Hartree and Hartree per degree, from the states' stress."""
    lengths, _ = lengths_and_angles(crystal.lattice_ref)
    stress = np.array([state.stress for state in states])
    lattice = np.array([state.lattice for state in states])
    return energy_gradient_of_stress(stress, lattice, lengths)


def _slope_of_line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Slope of the least-squares line through points x, y (n,), and its standard error."""
    about = x - x.mean()
    slope = float(about @ y / (about @ about))
    scatter = y - y.mean() - slope * about
    return slope, float(np.sqrt(scatter @ scatter / (len(x) - 2) / (about @ about)))


def _integral(z: FloatArray, slopes: FloatArray, degree: int) -> FloatArray:
    """G (n,) at z (n, 6), without its constant: the polynomial whose derivatives are nearest to ``slopes`` (n, 6)."""
    derivatives = np.stack([polynomial_slope(z, degree, axis) for axis in range(z.shape[1])], axis=1)
    flat = derivatives.reshape(slopes.size, -1)
    coefficients = np.linalg.lstsq(flat, slopes.reshape(-1), rcond=_ROUNDING)[0]
    return np.asarray(monomials(z, degree) @ coefficients)
