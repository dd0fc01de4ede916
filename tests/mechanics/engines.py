"""A crystal with a closed formula for its energy, so that stress, constants and instabilities are known exactly.

    𝓕(E, ξ) = V⁰ w(E, ξ) ,   w = w₀ + S⁰·E + ½ E·C·E + ⅙ T₁ E₁³ + ⅙ T₂ E₂³ + ½ q E₁⁴/12 + ½ m E₄² E₃ + ½ k |ξ − Λ E|²

E is the Green strain in Voigt form with engineering shears. Relaxed ions sit at ξ = Λ E, where the last term vanishes:
clamped constants are C + k ΛᵀΛ, relaxed ones C.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.voigt import from_voigt, to_voigt
from cellfields.engines.identity import EngineIdentity
from cellfields.state import CellState
from tests.toy import ToyEngine

# Of the size of magnesium's, hexagonal, Hartree/Bohr³.
HEXAGONAL = 1e-3 * np.array(
    [
        [2.2, 0.9, 0.75, 0, 0, 0],
        [0.9, 2.2, 0.75, 0, 0, 0],
        [0.75, 0.75, 2.3, 0, 0, 0],
        [0, 0, 0, 0.6, 0, 0],
        [0, 0, 0, 0, 0.6, 0],
        [0, 0, 0, 0, 0, 0.65],
    ]
)
_SHEAR = np.array([1, 1, 1, 2, 2, 2])


class HyperelasticEngine:
    """Has the interface of a first-principles engine; counts its solves."""

    def __init__(
        self,
        crystal: Crystal,
        *,
        constants: np.ndarray = HEXAGONAL,
        residual: np.ndarray | None = None,
        cubic: tuple[float, float] = (-0.02, -0.02),
        quartic: float = 0.0,
        softening: float = 0.0,
        fields: bool = False,
    ) -> None:
        self.crystal = crystal
        self.constants = constants
        self.residual = np.zeros(6) if residual is None else np.asarray(residual, dtype=float)
        self.cubic, self.quartic, self.softening = cubic, quartic, softening
        self.coupling = 0.1 * np.cos(np.arange(6 * crystal.n_internal)).reshape(crystal.n_internal, 6)
        self.spring = 0.05
        self.solves = 0
        self.starts: list[Any] = []
        self._toy = ToyEngine(crystal, field_cutoff=2.0) if fields else None

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(
            {"engine": "hyperelastic", "constants": self.constants.tolist(), "cubic": list(self.cubic)}
        )

    # -- the formula --------------------------------------------------------------------------------------------

    def strain(self, deformation: Deformation) -> np.ndarray:
        """E (6,) with engineering shears."""
        return to_voigt(deformation.green_strain(self.crystal)) * _SHEAR

    def energy_density(self, strain: np.ndarray) -> float:
        """w of relaxed ions, Hartree/Bohr³."""
        e = strain
        anharmonic = (self.cubic[0] * e[0] ** 3 + self.cubic[1] * e[1] ** 3) / 6 + self.quartic * e[0] ** 4 / 24
        return float(
            self.residual @ e + 0.5 * e @ self.constants @ e + anharmonic + 0.5 * self.softening * e[3] ** 2 * e[2]
        )

    def second_piola(self, strain: np.ndarray) -> np.ndarray:
        """∂w/∂E (6,)."""
        e = strain
        slope = self.residual + self.constants @ e
        slope[0] += self.cubic[0] * e[0] ** 2 / 2 + self.quartic * e[0] ** 3 / 6
        slope[1] += self.cubic[1] * e[1] ** 2 / 2
        slope[2] += 0.5 * self.softening * e[3] ** 2
        slope[3] += self.softening * e[3] * e[2]
        return slope

    def material_constants(self, strain: np.ndarray) -> np.ndarray:
        """∂²w/∂E² (6, 6)."""
        e, c = strain, self.constants.copy()
        c[0, 0] += self.cubic[0] * e[0] + self.quartic * e[0] ** 2 / 2
        c[1, 1] += self.cubic[1] * e[1]
        c[2, 3] += self.softening * e[3]
        c[3, 2] += self.softening * e[3]
        c[3, 3] += self.softening * e[2]
        return c

    # -- the engine ---------------------------------------------------------------------------------------------

    def evaluate(self, deformation: Deformation, internal: np.ndarray, *, start: Any | None = None) -> CellState:
        self.solves += 1
        self.starts.append(start)
        crystal, strain = self.crystal, self.strain(deformation)
        gradient = deformation.deformation_gradient(crystal)
        away = internal - self.coupling @ strain
        second = from_voigt(self.second_piola(strain) - self.spring * away @ self.coupling)
        energy = crystal.volume_ref * (self.energy_density(strain) + 0.5 * self.spring * float(away @ away))
        lattice = deformation.lattice(crystal)
        state = CellState(
            deformation=deformation,
            lattice=lattice,
            positions=crystal.positions(internal),
            internal=internal,
            free_energy=energy - 1.8,
            forces=np.zeros((crystal.n_atoms, 3)),
            stress=gradient @ second @ gradient.T / np.linalg.det(gradient),
        )
        if self._toy is None:
            return state
        return replace(state, fields=self._toy.solve(deformation).fields)

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        return self.evaluate(deformation, self.coupling @ self.strain(deformation), start=start)
