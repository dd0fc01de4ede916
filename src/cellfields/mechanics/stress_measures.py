"""Stress in each of its definitions, from the Cauchy stress that every engine's state holds (paper, eq. 13 to 16).

    Cauchy             σ = V⁻¹ F (∂𝓕/∂E) Fᵀ                  eq. 13: force per deformed area
    first Piola        P = J σ F⁻ᵀ = ∂w/∂F                   force per reference area; w = 𝓕/V⁰, J = V/V⁰
    second Piola       S = J F⁻¹ σ F⁻ᵀ = ∂w/∂E
    the paper's        σ_ij = V⁻¹ ∂𝓕/∂ε_ij  (eq. 14)         ε by eq. 15 and 16; with right angles σ_ii / λ_i

Tension positive, Hartree/Bohr³, in the frame a ∥ x, b in the xy plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, lengths_and_angles
from cellfields.crystal.kinematics import energy_gradient_of_stress
from cellfields.crystal.voigt import VOIGT, from_voigt, to_voigt
from cellfields.errors import InputError
from cellfields.state import CellState

__all__ = ["VOIGT", "Stress", "from_voigt", "is_orthogonal", "small_strain_stress", "to_voigt"]


@dataclass(frozen=True, eq=False)
class Stress:
    """The stress of a deformed crystal.

    Attributes:
        crystal: the reference crystal.
        deformation: D.
        cauchy: (3, 3) σ of eq. 13, Hartree/Bohr³.
    """

    crystal: Crystal
    deformation: Deformation
    cauchy: FloatArray

    @classmethod
    def of(cls, state: CellState, crystal: Crystal) -> Stress:
        """Make the stress of an engine's state.

        Raises:
            InputError: the state does not know its stress.
        """
        if state.stress is None:
            raise InputError("this state has no stress: its engine does not compute one")
        return cls(crystal, state.deformation, state.stress)

    @cached_property
    def gradient(self) -> FloatArray:
        """Deformation gradient F (3, 3)."""
        return self.deformation.deformation_gradient(self.crystal)

    @cached_property
    def first_piola(self) -> FloatArray:
        """P (3, 3) = ∂w/∂F, Hartree/Bohr³, not symmetric; row: direction of the force, column: reference normal."""
        determinant = float(np.linalg.det(self.gradient))
        return np.asarray(determinant * np.linalg.solve(self.gradient, self.cauchy).T)  # σ = σᵀ: (F⁻¹ σ)ᵀ = σ F⁻ᵀ

    @cached_property
    def second_piola(self) -> FloatArray:
        """S (3, 3) = ∂w/∂E, symmetric, Hartree/Bohr³."""
        stress = np.linalg.solve(self.gradient, self.first_piola)
        return np.asarray(0.5 * (stress + stress.T))

    @cached_property
    def energy_gradient(self) -> FloatArray:
        """∂𝓕/∂D (6,): Hartree, and Hartree per degree."""
        reference, _ = lengths_and_angles(self.crystal.lattice_ref)
        return energy_gradient_of_stress(self.cauchy, self.deformation.lattice(self.crystal), reference)

    @cached_property
    def small_strain(self) -> FloatArray:
        """σ (3, 3) of eq. 14 by the chain rule through eq. 15 and 16 (Appendix B); it differs from eq. 13.

        Off the diagonal it is half the derivative with respect to the shared ε_ij = ε_ji.

        Raises:
            InputError: the reference cell is not orthogonal.
        """
        return small_strain_stress(self.energy_gradient, self.deformation, self.crystal)

    def to_dict(self) -> dict[str, Any]:
        """All definitions as JSON data; eq. 14 only where the reference cell has right angles."""
        table: dict[str, Any] = {
            "deformation": self.deformation.as_array().tolist(),
            "cauchy": self.cauchy.tolist(),
            "first_piola": self.first_piola.tolist(),
            "second_piola": self.second_piola.tolist(),
        }
        if is_orthogonal(self.crystal):
            table["small_strain"] = self.small_strain.tolist()
        return table | {"units": {"stress": "Hartree/Bohr^3, tension positive", "angles": "degrees"}}


def is_orthogonal(crystal: Crystal) -> bool:
    """Whether the reference cell has right angles, so that the paper's eq. 15 and 16 hold."""
    return bool(np.abs(lengths_and_angles(crystal.lattice_ref)[1] - 90).max() <= 1e-6)


def small_strain_stress(energy_gradient: FloatArray, deformation: Deformation, crystal: Crystal) -> FloatArray:
    """Eq. 14 from ∂𝓕/∂D (6,): σ_ij = V⁻¹ Σ_k ∂𝓕/∂D_k ∂D_k/∂ε_ij, with

        ∂λ_i/∂ε_ii = (1 + ε_ii)/λ_i ,   ∂λ_i/∂ε_ij = ε_ij/λ_i ,   ∂θ/∂ε_jk = −2 rad.

    Raises:
        InputError: the reference cell is not orthogonal.
    """
    stretched = np.eye(3) + deformation.small_strain(crystal)
    by_stretch = energy_gradient[:3] / deformation.as_array()[:3]
    total = by_stretch[:, None] * stretched  # Σ of rows i and j: the shared ε_ij stands in λ_i and in λ_j
    slope = np.diag(np.diagonal(total)) + np.where(np.eye(3), 0.0, total + total.T)
    for (i, j), by_angle in zip(VOIGT[3:], energy_gradient[3:], strict=True):
        slope[i, j] = slope[j, i] = slope[i, j] - np.degrees(2 * by_angle)
    slope[~np.eye(3, dtype=bool)] /= 2
    return np.asarray(slope / deformation.volume(crystal))
