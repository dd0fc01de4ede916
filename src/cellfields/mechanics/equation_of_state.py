"""Equation of state: F against volume, and whether the stress is its derivative.

    F(V) = F₀ + 9 V₀ B₀/16 { [(V₀/V)^⅔ − 1]³ B₀' + [(V₀/V)^⅔ − 1]² [6 − 4 (V₀/V)^⅔] }          (Birch 1947)
    P = −dF/dV ,   compared with −tr σ/3 at every point

The cell is scaled in all directions alike, with the atoms relaxed by the engine. The fit uses energies alone; the
stress gives the pressure a second time, and the difference shows how accurate both are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.eos import birchmurnaghan
from scipy.optimize import curve_fit

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import Engine
from cellfields.errors import CellFieldsError, InputError
from cellfields.mechanics.evaluator import Evaluator
from cellfields.units import ANGSTROM, GPA


@dataclass(frozen=True, eq=False)
class EquationOfState:
    """A fit of Birch's third-order form to energies, atomic units, per cell of the crystal.

    Attributes:
        volumes, energies: (n,) Bohr³ and Hartree.
        pressures: (n,) −tr σ/3 at the same volumes, Hartree/Bohr³; None where the engine has no stress.
        volume, energy, bulk_modulus, bulk_derivative: V₀, F₀, B₀ and B₀'.
        lengths: (3,) a, b, c at V₀, Bohr.
        residual: root mean square of F − fit, Hartree.
        in_domain: whether all points lie among a model's training strains; None for first principles.
    """

    volumes: FloatArray
    energies: FloatArray
    pressures: FloatArray | None
    volume: float
    energy: float
    bulk_modulus: float
    bulk_derivative: float
    lengths: FloatArray
    residual: float
    in_domain: bool | None

    def pressure(self, volumes: FloatArray) -> FloatArray:
        """−dF/dV of the fit at volumes (…), Hartree/Bohr³."""
        x = np.cbrt(self.volume / np.asarray(volumes))
        return np.asarray(
            1.5 * self.bulk_modulus * (x**7 - x**5) * (1 + 0.75 * (self.bulk_derivative - 4) * (x**2 - 1))
        )

    @property
    def largest_disagreement(self) -> float | None:
        """Largest |−tr σ/3 + dF/dV| over the points, Hartree/Bohr³; None without stress."""
        return None if self.pressures is None else float(np.abs(self.pressures - self.pressure(self.volumes)).max())

    @property
    def stress_offset(self) -> float | None:
        """Mean of −tr σ/3 + dF/dV over the points, Hartree/Bohr³: zero where the stress is the derivative of F."""
        return None if self.pressures is None else float(np.mean(self.pressures - self.pressure(self.volumes)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data in Å³, Å, GPa and Hartree; the names of the keys tell the units."""
        offset = self.stress_offset
        return {
            "volumes_angstrom3": (self.volumes * ANGSTROM**3).tolist(),
            "energies_hartree": self.energies.tolist(),
            "pressures_gpa": None if self.pressures is None else (self.pressures * GPA).tolist(),
            "volume_angstrom3": self.volume * ANGSTROM**3,
            "lengths_angstrom": (self.lengths * ANGSTROM).tolist(),
            "energy_hartree": self.energy,
            "bulk_modulus_gpa": self.bulk_modulus * GPA,
            "bulk_derivative": self.bulk_derivative,
            "residual_hartree": self.residual,
            "pressure_by_stress_minus_by_energy_gpa": None if offset is None else offset * GPA,
            "largest_disagreement_gpa": None if offset is None else (self.largest_disagreement or 0.0) * GPA,
            "in_domain": self.in_domain,
        }


def equation_of_state(engine: Engine, *, largest: float = 0.03, points: int = 7) -> EquationOfState:
    """Solve cells scaled by 1 − largest … 1 + largest in length, and fit Birch's third-order form to their energies.

    Args:
        engine: any engine.
        largest: largest relative change of length, above 0 and at most 0.2.
        points: number of cells, 5 … 1000.

    Raises:
        InputError: largest or points is out of its range.
        CellFieldsError: the energies have no minimum within the range (the message says in which direction it lies),
            or no equation of state fits them.
    """
    if not 0 < largest <= 0.2:
        raise InputError(f"largest = {largest:g} must be greater than 0 and at most 0.2 (a change of length)")
    if not 5 <= points <= 1000:
        raise InputError(f"points = {points} must be in 5 … 1000")
    crystal, evaluator = engine.crystal, Evaluator(engine)
    angles = Deformation.identity(crystal).angles
    states = [
        evaluator.solve(Deformation((scale, scale, scale), angles))
        for scale in np.linspace(1 - largest, 1 + largest, points).tolist()
    ]
    volumes = np.array([state.volume for state in states])
    energies = np.array([state.free_energy for state in states])
    lowest = int(energies.argmin())
    if lowest in (0, points - 1):
        where = "smaller" if lowest == 0 else "larger"
        raise CellFieldsError(
            f"F is lowest at the end of the range, at a volume of {volumes[lowest] * ANGSTROM**3:.4f} Å³: the "
            f"equilibrium is at {where} volumes; widen the range, or begin with another reference cell"
        )
    curvature = np.polyfit(volumes, energies, 2)[0]
    guess = (energies[lowest], 2 * curvature * volumes[lowest], 4.0, volumes[lowest])
    scale = np.ptp(energies)
    try:
        best, _ = curve_fit(lambda v, *p: birchmurnaghan(v, *p) / scale, volumes, energies / scale, p0=guess)
    except RuntimeError as error:
        raise CellFieldsError(f"the energies do not follow an equation of state ({error})") from error
    energy, bulk, derivative, volume = (float(x) for x in best)
    if bulk <= 0 or not volumes[0] <= volume <= volumes[-1]:
        raise CellFieldsError(
            f"the energies do not follow an equation of state: the fit has B₀ = {bulk * GPA:.3g} GPa at a volume of "
            f"{volume * ANGSTROM**3:.4g} Å³, the cells have {volumes[0] * ANGSTROM**3:.4g} to "
            f"{volumes[-1] * ANGSTROM**3:.4g} Å³; noise of the k mesh or the cutoff may be larger than the change of F"
        )
    has_stress = all(state.stress is not None for state in states)
    flags = [state.provenance.get("in_domain") for state in states]
    return EquationOfState(
        volumes=volumes,
        energies=energies,
        pressures=np.array([-np.trace(s.stress) / 3 for s in states if s.stress is not None]) if has_stress else None,
        volume=volume,
        energy=energy,
        bulk_modulus=bulk,
        bulk_derivative=derivative,
        lengths=np.linalg.norm(crystal.lattice_ref, axis=1) * np.cbrt(volume / crystal.volume_ref),
        residual=float(np.sqrt(np.mean((energies - birchmurnaghan(volumes, *best)) ** 2))),
        in_domain=None if None in flags else all(flags),
    )
