"""A crystal in one deformation, and the Kohn–Sham problem for any positions of its atoms.

x = y A⁻¹ ,    A = A₀ F(D)ᵀ        (y: Cartesian displacements, Bohr; x: internal coordinates, fractional)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import Pseudopotential
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.cell import Cell
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.reduced.solver import ReducedMeshes
from cellfields.errors import InputError


@dataclass(frozen=True, eq=False)
class DeformedCrystal:
    """A deformed crystal without its atoms' positions: what stays the same while they move.

    Attributes:
        crystal: the reference crystal.
        deformation: D.
        settings: of the engine.
        pseudopotentials: by symbol, one for each species.
        kmesh: k points of the primitive cell.
        coarse_mesh: k points on which the reduced basis is made and tested, or None for full plane waves.
    """

    crystal: Crystal
    deformation: Deformation
    settings: PlaneWaveSettings
    pseudopotentials: Mapping[str, Pseudopotential]
    kmesh: KMesh
    coarse_mesh: KMesh | None

    @property
    def reduced(self) -> bool:
        """Whether the reduced Bloch basis is used."""
        return self.coarse_mesh is not None

    @property
    def plane_waves(self) -> str:
        """Which set of plane waves the numbers belong to: the settings', or "union" in the reduced basis."""
        return "union" if self.reduced else self.settings.plane_waves

    @cached_property
    def lattice(self) -> FloatArray:
        """(3, 3) rows of the deformed crystal's lattice vectors, Bohr."""
        return self.deformation.lattice(self.crystal)

    def internal(self, displacements: FloatArray) -> FloatArray:
        """Internal coordinates (n_int,), fractional, from the displacements (n_int,) of the representatives, Bohr."""
        return np.asarray(displacements.reshape(-1, 3) @ np.linalg.inv(self.lattice)).reshape(-1)

    def displacements(self, internal: FloatArray) -> FloatArray:
        """Cartesian displacements (n_int,) of the representatives, Bohr, from the internal coordinates (n_int,).

        Raises:
            InputError: a number of internal coordinates that is not the crystal's.
        """
        if np.shape(internal) != (self.crystal.n_internal,):
            raise InputError(
                f"start: {np.shape(internal)} internal coordinates, the crystal has {self.crystal.n_internal}"
            )
        return np.asarray((np.asarray(internal).reshape(-1, 3) @ self.lattice).reshape(-1))

    def cell(self, internal: FloatArray, like: Cell | None = None) -> Cell:
        """The problem to solve with the internal coordinates (n_int,), fractional, held.

        Args:
            internal: the internal coordinates.
            like: a cell of this deformed crystal with its atoms elsewhere, whose basis and meshes are shared.

        Raises:
            InputError: a wrong number of internal coordinates, or settings that do not fit the cell.
        """
        crystal, settings = self.crystal, self.settings
        geometry = Geometry.of_crystal(crystal, self.lattice, crystal.positions(internal), self.pseudopotentials)
        if like is not None:
            problem = KohnShamProblem(geometry, like.problem.basis, geometry.electrons, settings.functional)
            return Cell(problem, settings, like.meshes)
        basis = PlaneWaveBasis.build(
            geometry,
            self.kmesh,
            settings.cutoff,
            smoothing=settings.cutoff_smoothing,
            plane_waves=self.plane_waves,
            shape=settings.fft_grid,
        )
        problem = KohnShamProblem(geometry, basis, geometry.electrons, settings.functional)
        meshes = None if self.coarse_mesh is None else ReducedMeshes.of(problem, self.coarse_mesh)
        return Cell(problem, settings, meshes)
