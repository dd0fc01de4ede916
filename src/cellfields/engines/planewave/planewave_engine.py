"""The embedded Kohn–Sham engine: Φ_DFT evaluated in plane waves (paper, eq. 1–8, 10).

evaluate(D, ξ) → state with the atoms held;      solve(D) → state with ∂F/∂ξ = 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from cellfields._immutable import Immutable
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import Pseudopotential, load_pseudopotentials
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.dft.unmodelled import warn_of_missing_physics
from cellfields.engines.contract import Remedy
from cellfields.engines.identity import PLANE_WAVES, EngineIdentity
from cellfields.engines.planewave.cell import Cell
from cellfields.engines.planewave.continuation import FieldStart, PlaneWaveStart
from cellfields.engines.planewave.deformed_crystal import DeformedCrystal
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.odd_modes import odd_mode_check
from cellfields.engines.planewave.relaxation import Relaxation
from cellfields.engines.planewave.relaxation_start import (
    RelaxationStart,
    after_coarse_relaxation,
    density_of_start,
    off_the_saddle,
)
from cellfields.engines.planewave.state_of_ground import Clock, state_of_ground
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import FourierBasis

_REDUCED_PAYS = 40  # k points from which the reduced basis is faster than full plane waves
_COARSE_POINTS = 60
_MULTILEVEL_PAYS = 150  # k points from which a rough relaxation on a coarse mesh comes first
_ROUGH_FORCE = 1e-5  # Hartree/Bohr


class PlaneWaveEngine(Immutable):
    """An immutable engine of Kohn–Sham theory with norm-conserving pseudopotentials and plane waves.

    It is a :class:`~cellfields.engines.contract.PlaneWaveCode`.

    Attributes:
        crystal: the reference crystal.
        settings: everything about the calculation that changes its numbers.
        pseudopotentials: symbol → pseudopotential, one for each species.
    """

    def __init__(
        self,
        crystal: Crystal,
        settings: PlaneWaveSettings,
        *,
        pseudopotentials: Mapping[str, Pseudopotential] | None = None,
    ) -> None:
        """Load the pseudopotentials of the crystal's species.

        Args:
            crystal: the reference crystal.
            settings: everything about the calculation that changes its numbers.
            pseudopotentials: symbol → pseudopotential, used in place of those that the settings name.

        Raises:
            InputError: a species without a pseudopotential, one for another element, or one of another functional.
        """
        settings.require_symbols(crystal.species)
        self.crystal = crystal
        self.settings = settings
        if pseudopotentials is None:
            warn_of_missing_physics(crystal, smearing=settings.smearing)
            pseudopotentials = load_pseudopotentials(crystal.species, settings)
        if set(pseudopotentials) != set(crystal.species):
            raise InputError(f"pseudopotentials must hold exactly {', '.join(dict.fromkeys(crystal.species))}")
        for symbol, ion in pseudopotentials.items():
            if ion.functional != settings.functional:
                raise InputError(
                    f"pseudopotentials.{symbol} was made for {ion.functional}, not for "
                    f'functional = "{settings.functional}"'
                )
        self.pseudopotentials: Mapping[str, Pseudopotential] = dict(pseudopotentials)

    @cached_property
    def kmesh(self) -> KMesh:
        """The k points of the primitive cell."""
        return KMesh.folded(self.settings.kmesh, self.crystal.primitive, time_reversal=self.settings.time_reversal)

    @property
    def reduced(self) -> bool:
        """Whether the reduced Bloch basis is used: on request, or where there are enough k points for it to pay."""
        if self.settings.cutoff_smoothing > 0:  # of spheres: the reduced basis lives in their union
            return False
        if self.settings.basis == "auto":
            return len(self.kmesh.points) >= _REDUCED_PAYS
        return self.settings.basis == "reduced"

    @property
    def plane_waves(self) -> str:
        """Which set of plane waves the numbers belong to: the settings', or "union" in the reduced basis."""
        return "union" if self.reduced else self.settings.plane_waves

    @cached_property
    def coarse_mesh(self) -> KMesh:
        """The k points on which a reduced basis is made and tested.

        They are some 60 points off the special ones, or all k points where there are few.
        """
        if len(self.kmesh.points) <= 1.5 * _COARSE_POINTS:
            return self.kmesh
        return KMesh.folded(self._coarse_size, self.crystal.primitive, shifted=True)

    @property
    def _coarse_size(self) -> tuple[int, int, int]:
        shrink = max(1.0, (len(self.kmesh.points) / _COARSE_POINTS) ** (1 / 3))
        n1, n2, n3 = (max(1, round(n / shrink)) for n in self.settings.kmesh)
        return n1, n2, n3

    @cached_property
    def field_basis(self) -> FourierBasis:
        """Fourier basis in which the fields of every state are expanded."""
        return FourierBasis.for_crystal(self.crystal, self.settings.stored_cutoff)

    @property
    def identity(self) -> EngineIdentity:
        """What this engine's numbers depend on: its name, settings and pseudopotentials.

        Settings that only decide how a result is reached, or when to give up, are left out, so that a dataset can be
        resumed with more steps, for instance.
        """
        settings = self.settings.identity()
        settings["pseudopotentials"] = {s: p.fingerprint for s, p in self.pseudopotentials.items()}
        return EngineIdentity({"engine": PLANE_WAVES, "settings": settings})

    def remedies(self) -> tuple[Remedy, ...]:
        """Engines to try when a solve does not converge: slower mixing and twice the steps, then no reduced basis.

        The full plane waves are the union of spheres on which the reduced basis is defined, so that states solved
        either way may be mixed.
        """
        settings = self.settings
        steps = {name: 2 * getattr(settings, name) for name in ("max_scf_steps", "max_relaxation_steps")}
        updates = {"smaller mixing": {**steps, "mixing": settings.mixing / 3}}
        if self.reduced:
            updates["full basis"] = {**steps, "basis": "full", "plane_waves": "union"}
        return tuple(
            Remedy(
                name,
                PlaneWaveEngine(
                    self.crystal, settings.model_copy(update=update), pseudopotentials=self.pseudopotentials
                ),
            )
            for name, update in updates.items()
        )

    def for_crystal(self, crystal: Crystal) -> PlaneWaveEngine:
        """An engine with the same settings and pseudopotentials for another crystal of the same elements."""
        return PlaneWaveEngine(crystal, self.settings, pseudopotentials=self.pseudopotentials)

    def at_cutoff(self, cutoff: float) -> PlaneWaveEngine:
        """An engine with the same crystal, pseudopotentials and other settings, at another cutoff (Hartree)."""
        settings = self.settings.model_copy(update={"cutoff": cutoff})
        return PlaneWaveEngine(self.crystal, settings, pseudopotentials=self.pseudopotentials)

    def held(self, deformation: Deformation, internal: FloatArray) -> Cell:
        """The Kohn–Sham problem with the internal coordinates (n_int,), fractional, held fixed, before it is solved.

        It serves evaluations that a self-consistent state does not hold, such as energies of another density.
        """
        return self._deformed(deformation).cell(np.asarray(internal, dtype=float))

    # -- the two maps -------------------------------------------------------------------------------------------

    def evaluate(
        self,
        deformation: Deformation,
        internal: FloatArray,
        *,
        start: PlaneWaveStart | DensityStart | CellState | None = None,
    ) -> CellState:
        """State with the internal coordinates (n_int,), fractional, held fixed.

        Args:
            deformation: of the cell.
            internal: the internal coordinates.
            start: a state or density of any strain, or what :meth:`solve_and_continue` returned, to begin with.

        Raises:
            InputError: a wrong number of internal coordinates, a cutoff too low for the bands, a metal with smearing
                "none", or a start that belongs to another crystal.
            SCFNotConverged: the SCF ended at its limit of steps; the error carries its history.
        """
        clock = Clock()
        internal = np.asarray(internal, dtype=float)
        deformed = self._deformed(deformation)
        cell = deformed.cell(internal)
        ground = cell.final(cell.ground(self._checked(start))[0])
        return state_of_ground(
            ground, deformed, internal, self.field_basis, scf_steps=[len(ground.history)], clock=clock
        )

    def solve(
        self, deformation: Deformation, *, start: PlaneWaveStart | DensityStart | CellState | None = None
    ) -> CellState:
        """Relaxed state: the minimum reached from the reference coordinates, or from those that ``start`` asks for.

        Where the inversion centre is free the reference coordinates are a saddle or a minimum. The relaxation first
        keeps the centre, then looks at the odd modes (odd_modes.py), and follows those that are unstable.

        Args:
            deformation: of the cell.
            start: a state or density of any strain, or what :meth:`solve_and_continue` returned, to begin with.

        Raises:
            InputError: a cutoff too low for the bands, a metal with smearing "none", or a start that belongs to another
                crystal.
            SCFNotConverged, RelaxationNotConverged: a limit of steps was reached; the errors carry their histories.
        """
        return self.solve_and_continue(deformation, start=start)[0]

    def solve_and_continue(
        self, deformation: Deformation, *, start: PlaneWaveStart | DensityStart | CellState | None = None
    ) -> tuple[CellState, PlaneWaveStart]:
        """Relaxed state of the deformed cell, and a start for a neighbouring solve (orbitals, basis, curvature).

        Args:
            deformation: of the cell.
            start: a state or density of any strain, or what an earlier call of this method returned, to begin with.

        Raises:
            InputError: a cutoff too low for the bands, a metal with smearing "none", or a start that belongs to another
                crystal.
            SCFNotConverged, RelaxationNotConverged: a limit of steps was reached; the errors carry their histories.
        """
        clock = Clock()
        deformed = self._deformed(deformation)
        beginning = RelaxationStart.of(deformed, self._checked(start))
        coarser = None if beginning.complete else self._coarser
        odd: dict[str, float] = {}
        if not beginning.in_place and self.crystal.inversion == "free":
            source = density_of_start(beginning.start, self.crystal, self.field_basis)
            # The curvature of the start belongs to more internal coordinates than there are with the centre imposed.
            density = None if source is None else replace(source, curvature=None)
            modes = odd_mode_check(self, deformation, start=density)
            beginning = off_the_saddle(deformed, modes, None if source is None else source.curvature)
            coarser = coarser if modes.unstable else None
            odd = {"softest_odd_mode": float(modes.curvatures[0])} if len(modes.curvatures) else {}
        coarse_steps: tuple[int, ...] = ()
        if coarser is not None and len(beginning.displacements):
            # The relaxation on the full mesh follows below, and decides.
            beginning, coarse_steps = after_coarse_relaxation(coarser._deformed(deformation), beginning)
        relaxation = Relaxation(deformed, beginning.start, near=beginning.in_place)
        reached = relaxation.run(beginning.displacements)
        state = state_of_ground(
            reached.continuation.ground,
            deformed,
            deformed.internal(reached.displacements),
            self.field_basis,
            scf_steps=reached.scf_steps,
            clock=clock,
        )
        counts = {"coarse_solves": len(coarse_steps), "coarse_scf_steps": sum(coarse_steps)}
        return replace(state, provenance={**state.provenance, **counts, **odd}), reached.continuation

    # -- inside -------------------------------------------------------------------------------------------------

    def _deformed(self, deformation: Deformation) -> DeformedCrystal:
        """The crystal in a deformation, from which the problem for any positions of its atoms is made."""
        coarse = self.coarse_mesh if self.reduced else None
        return DeformedCrystal(self.crystal, deformation, self.settings, self.pseudopotentials, self.kmesh, coarse)

    def _checked(self, start: PlaneWaveStart | DensityStart | CellState | None) -> PlaneWaveStart | FieldStart | None:
        """A start of any kind that callers may give, as one that this engine uses.

        Raises:
            InputError: the start belongs to another crystal, or is no start.
        """
        if start is None or isinstance(start, PlaneWaveStart):
            return start
        source = DensityStart.from_any(start)
        source.require(self.crystal, sum(self.pseudopotentials[symbol].valence for symbol in self.crystal.species))
        return FieldStart(self.crystal, source, source.curvature)

    @cached_property
    def _coarser(self) -> PlaneWaveEngine | None:
        """An engine for a rough relaxation: fewer k points, smaller basis, looser forces."""
        if not self.reduced or len(self.kmesh.points) < _MULTILEVEL_PAYS:
            return None
        settings = self.settings
        update = {
            "kmesh": self._coarse_size,
            "basis": "reduced",
            "basis_tolerance": 10 * settings.basis_tolerance,
            "scf_tolerance": 100 * settings.scf_tolerance,
            "force_tolerance": max(_ROUGH_FORCE, settings.force_tolerance),
        }
        return PlaneWaveEngine(self.crystal, settings.model_copy(update=update), pseudopotentials=self.pseudopotentials)
