"""Starts of a relaxation: the reference or given positions, a point off a saddle, or the end on a coarser mesh.

y = y_sym + seed        (y_sym: relaxed with its inversion centre; seed: along modes of negative curvature)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.engines.planewave.continuation import FieldStart, PlaneWaveStart
from cellfields.engines.planewave.deformed_crystal import DeformedCrystal
from cellfields.engines.planewave.observables import electronic_fields, on_all_atoms
from cellfields.engines.planewave.odd_modes import OddModes
from cellfields.engines.planewave.relaxation import Relaxation
from cellfields.errors import ConvergenceError
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import FourierBasis

_SEED = 0.05  # Bohr, displacement into unstable odd modes that a relaxation starts with
_EVEN_CURVATURE = 0.1  # Hartree/Bohr², a guess for the other modes


@dataclass(frozen=True, eq=False)
class RelaxationStart:
    """Positions, density and curvature with which a relaxation begins.

    Attributes:
        displacements: (n_int,) of the representatives from the reference, Bohr.
        start: density, orbitals, curvature; None begins with superposed atoms.
        in_place: whether the caller gave the atoms' positions, which are taken to be close to the end.
    """

    displacements: FloatArray
    start: PlaneWaveStart | FieldStart | None
    in_place: bool = False

    @classmethod
    def of(cls, deformed: DeformedCrystal, start: PlaneWaveStart | FieldStart | None) -> RelaxationStart:
        """A start at the reference coordinates, or at the internal coordinates that a FieldStart holds.

        Raises:
            InputError: the start holds a number of internal coordinates that is not the crystal's.
        """
        internal = start.source.internal if isinstance(start, FieldStart) else None
        if internal is None:
            return cls(np.zeros(3 * len(deformed.crystal.representatives)), start)
        return cls(deformed.displacements(internal), start, in_place=True)

    @property
    def complete(self) -> bool:
        """Whether it has both atom positions and curvature, so that a rough relaxation is not needed."""
        return self.in_place and self.start is not None and self.start.hessian is not None


def off_the_saddle(deformed: DeformedCrystal, modes: OddModes, curvature: FloatArray | None) -> RelaxationStart:
    """A start at the state relaxed with its inversion centre, displaced along its unstable odd modes if it has any.

    Args:
        deformed: the crystal with its inversion centre free.
        modes: odd modes of the state that was relaxed with the inversion centre imposed.
        curvature: (n_int, n_int) from another strain, Hartree/Bohr², used for the even modes, or None.
    """
    state, crystal = modes.state, deformed.crystal
    positions = state.positions
    if modes.unstable:
        positions = positions + _SEED * modes.seed @ np.linalg.inv(state.lattice)
    displacements = deformed.displacements(crystal.internal(positions))
    even = _EVEN_CURVATURE if curvature is None else curvature
    hessian = modes.hessian(crystal.primitive_atoms, even)[3:, 3:]  # the first atom stays
    return RelaxationStart(displacements, FieldStart(crystal, DensityStart.of(state), hessian))


def after_coarse_relaxation(
    coarse: DeformedCrystal, beginning: RelaxationStart
) -> tuple[RelaxationStart, tuple[int, ...]]:
    """A start at the end of a rough relaxation on a coarse mesh, and the SCF steps of its solves.

    Curvature and most of the steps cost little there. It only saves time: where it does not converge, the start is
    returned as it is.

    Args:
        coarse: the deformed crystal on the coarse mesh.
        beginning: start of the rough relaxation.
    """
    try:
        rough = Relaxation(coarse, beginning.start).run(beginning.displacements)
    except ConvergenceError:
        return beginning, ()
    # Positions that the caller gave are better than those of the coarse mesh.
    displacements = beginning.displacements if beginning.in_place else rough.displacements
    return replace(beginning, displacements=displacements, start=rough.continuation), rough.scf_steps


def density_of_start(
    start: PlaneWaveStart | FieldStart | None, crystal: Crystal, basis: FourierBasis
) -> DensityStart | None:
    """A start as plain data, which an engine of the same crystal with its inversion centre imposed accepts too.

    Args:
        start: of the crystal; None gives None.
        crystal: the reference crystal.
        basis: Fourier basis in which the density is expanded.
    """
    if not isinstance(start, PlaneWaveStart):
        return None if start is None else start.source
    ground = start.ground
    _, reference = crystal.to_primitive(np.eye(3), crystal.positions_ref)
    moved = (ground.problem.geometry.positions - reference) @ crystal.primitive
    positions = crystal.positions_ref + on_all_atoms(crystal, moved)
    fields = electronic_fields(ground, crystal, basis)
    return DensityStart(fields, positions, curvature=start.hessian)
