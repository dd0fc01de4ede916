"""Where a relaxation begins: at the reference, at given atoms, off a saddle, or where a coarser mesh has led.

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
    """What a relaxation begins with.

    Attributes:
        displacements: (n_int,) of the representatives from the reference, Bohr.
        start: density, orbitals, curvature; None for a cold start.
        in_place: whether the atoms are said to be almost where the relaxation will end.
    """

    displacements: FloatArray
    start: PlaneWaveStart | FieldStart | None
    in_place: bool = False

    @classmethod
    def of(cls, deformed: DeformedCrystal, start: PlaneWaveStart | FieldStart | None) -> RelaxationStart:
        """At the reference coordinates, or at those that a start asks for.

        Raises:
            InputError: the start asks for a number of internal coordinates that is not the crystal's.
        """
        given = start.source.internal if isinstance(start, FieldStart) else None
        if given is None:
            return cls(np.zeros(3 * len(deformed.crystal.representatives)), start)
        return cls(deformed.displacements(given), start, in_place=True)

    @property
    def complete(self) -> bool:
        """Whether all that a rough relaxation finds, atoms and curvature, is there already."""
        return self.in_place and self.start is not None and self.start.hessian is not None


def off_the_saddle(deformed: DeformedCrystal, modes: OddModes, curvature: FloatArray | None) -> RelaxationStart:
    """At the symmetric minimum, or a little way from it into its unstable modes.

    Args:
        deformed: the crystal with its inversion centre free.
        modes: of its state that was relaxed with the inversion centre imposed.
        curvature: (n_int, n_int) of another strain, Hartree/Bohr², taken for the even modes, or None.
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
    """Where a rough relaxation on a coarse mesh leads, and the SCF steps of its solves.

    The curvature and most of the way cost little there. It is only to save time: where it does not converge the
    relaxation begins as it would have without it.
    """
    try:
        rough = Relaxation(coarse, beginning.start).run(beginning.displacements)
    except ConvergenceError:
        return beginning, ()
    # Atoms that are said to be in place are better there already.
    displacements = beginning.displacements if beginning.in_place else rough.displacements
    return replace(beginning, displacements=displacements, start=rough.continuation), rough.scf_steps


def density_of_start(
    start: PlaneWaveStart | FieldStart | None, crystal: Crystal, basis: FourierBasis
) -> DensityStart | None:
    """A start as plain data, which an engine of the same crystal with its inversion centre imposed takes too.

    Args:
        start: of the crystal; None stays None.
        crystal: the reference crystal.
        basis: where the density is expanded.
    """
    if not isinstance(start, PlaneWaveStart):
        return None if start is None else start.source
    ground = start.ground
    _, reference = crystal.to_primitive(np.eye(3), crystal.positions_ref)
    moved = (ground.problem.geometry.positions - reference) @ crystal.primitive
    positions = crystal.positions_ref + on_all_atoms(crystal, moved)
    fields = electronic_fields(ground, crystal, basis)
    return DensityStart(fields, positions, curvature=start.hessian)
