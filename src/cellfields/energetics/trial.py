"""A trial density ρ_in with its atoms, and the one diagonalisation that the routes share:

    ρ_in → V_in = V_H[ρ_in] + V_loc + V_xc[ρ_in (+ ρ_c)] → (E, ψ) → f → ρ_out         (mean of V_H + V_loc: zero)

ρ_in may be DFT's own, a surrogate's, or anybody's guess; nothing is mixed and nothing iterated to self-consistency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from cellfields._typing import Coefficients
from cellfields.energetics._matching import names_its_ions, require_complete, require_made_alike, require_same_ions
from cellfields.engines.identity import EngineIdentity
from cellfields.engines.planewave.arithmetic import inner
from cellfields.engines.planewave.cell import Cell
from cellfields.engines.planewave.continuation import FieldStart
from cellfields.engines.planewave.hamiltonian import Potentials
from cellfields.engines.planewave.planewave_engine import PlaneWaveEngine
from cellfields.engines.planewave.scf import GroundState
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart


@dataclass(frozen=True)
class RouteEnergy:
    """What a route finds.

    Attributes:
        parts: name → Hartree per cell of the crystal given.
    """

    parts: Mapping[str, float]

    @property
    def free_energy(self) -> float:
        """F, Hartree per cell of the crystal given: the sum of the parts."""
        return float(sum(self.parts.values()))


@dataclass(frozen=True, eq=False)
class TrialDensity:
    """A state's density and atoms in the hands of an engine. Make it with :meth:`of`, which refuses what does not fit.

    Attributes:
        engine: whose pseudopotentials, cutoff, functional, k mesh and smearing decide.
        state: ρ and the atoms, and for some routes u, s and F.
    """

    engine: PlaneWaveEngine
    state: CellState

    @classmethod
    def of(cls, engine: PlaneWaveEngine, state: CellState, *, made_by: EngineIdentity | None = None) -> Self:
        """Check that the state's density belongs to the engine's ions, cell, cutoff and grid.

        Args:
            engine: evaluates the functional.
            state: holds at least the density and the atoms.
            made_by: identity of the engine that the density comes from, or was learned from (``store.identity``,
                ``surrogate.labelled_by``). Without it the pseudopotential is judged by the electron
                number and, where the state has φ, by whether φ is that of ρ and these ions.

        Raises:
            SettingsMismatchError: the identity names another pseudopotential, functional, cutoff, grid or smearing.
            InputError: the state lacks atoms or a density, or its cell, expansion or electrons are not the engine's.
        """
        require_complete(engine, state)
        trial = cls(engine, state)
        if made_by is not None and made_by.has_settings:
            require_made_alike(engine, made_by)
        if made_by is None or not made_by.has_settings or not names_its_ions(made_by):
            require_same_ions(trial.cell.problem, trial.potentials, engine, state)
        return trial

    @property
    def copies(self) -> int:
        """Primitive cells in the crystal's."""
        return self.engine.crystal.n_translations

    @cached_property
    def cell(self) -> Cell:
        """The Kohn–Sham problem with the state's atoms."""
        return self.engine.held(self.state.deformation, self.state.internal)

    @cached_property
    def density(self) -> Coefficients:
        """ρ_in (D,), scaled to the electron number exactly."""
        start = DensityStart.of(self.state)
        return FieldStart(self.engine.crystal, start).density_for(self.cell.problem)

    @cached_property
    def potentials(self) -> Potentials:
        """V_in and the energies that ρ_in has by itself."""
        return self.cell.problem.potentials(self.density)

    @cached_property
    def diagonalised(self) -> GroundState:
        """Orbitals, occupations and ρ_out in V_in; made when first asked for, and shared by the routes.

        Raises:
            EigensolverNotConverged: the orbitals did not converge.
        """
        return self.cell.one_step(self.density)

    @property
    def double_counting(self) -> dict[str, float]:
        """What U and −TS lack, from ρ_in alone, Hartree per cell: −E_H, −∫V_xc ρ, E_xc, E_Ewald, E_core."""
        problem, potentials = self.cell.problem, self.potentials
        per_primitive = {
            "hartree": -potentials.hartree_energy,
            "xc_potential": -problem.basis.volume * inner(potentials.xc, self.density),
            "xc": potentials.xc_energy,
            "ewald": problem.ewald.energy,
            "psp_core": problem.core_energy,
        }
        return self.per_crystal_cell(per_primitive)

    def per_crystal_cell(self, per_primitive: Mapping[str, float]) -> dict[str, float]:
        """Energies of the crystal's cell from those of the primitive one."""
        return {name: self.copies * float(value) for name, value in per_primitive.items()}
