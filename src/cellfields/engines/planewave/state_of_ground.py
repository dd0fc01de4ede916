"""The state of a crystal's cell from the ground state of its primitive cell.

F = n F_p ,  f_{T(a)} = f_a        (n primitive cells in the crystal's cell; T: translations by their lattice)
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from cellfields import __version__
from cellfields._typing import FloatArray
from cellfields.engines.planewave.deformed_crystal import DeformedCrystal
from cellfields.engines.planewave.observables import crystal_forces, electronic_fields, energy_terms, stress
from cellfields.engines.planewave.scf import GroundState
from cellfields.state import CellState
from cellfields.state.fields import FourierBasis


class Clock:
    """A clock that measures wall and CPU time from its construction."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def elapsed(self) -> dict[str, float]:
        """``wall_seconds`` and ``cpu_seconds`` of this process so far."""
        return {
            "wall_seconds": round(time.perf_counter() - self._wall, 4),
            "cpu_seconds": round(time.process_time() - self._cpu, 4),
        }


def state_of_ground(
    ground: GroundState,
    deformed: DeformedCrystal,
    internal: FloatArray,
    field_basis: FourierBasis,
    *,
    scf_steps: Sequence[int],
    clock: Clock,
) -> CellState:
    """The state of the crystal's cell: energies, forces, stress, fields, and the provenance of all of them.

    Args:
        ground: solution in the primitive cell, with the correction for a reduced basis where there is one.
        deformed: the crystal that it belongs to.
        internal: internal coordinates (n_int,), fractional.
        field_basis: Fourier basis in which the fields are expanded.
        scf_steps: number of SCF steps in each solve that led to it.
        clock: started when the work began.
    """
    crystal, copies = deformed.crystal, deformed.crystal.n_translations
    occupations = ground.final_occupations
    terms = {name: copies * value for name, value in energy_terms(ground).items()}
    forces = crystal_forces(ground, crystal)
    return CellState(
        deformation=deformed.deformation,
        lattice=deformed.lattice,
        positions=crystal.positions(internal),
        internal=internal,
        free_energy=copies * ground.free_energy,
        band_energy=copies * occupations.band_energy,
        entropic_energy=copies * occupations.entropic_energy,
        fermi_energy=occupations.fermi_energy,
        forces=forces,
        stress=stress(ground),
        fields=electronic_fields(ground, crystal, field_basis),
        energy_terms=terms,
        provenance={
            "engine": "plane waves",
            "version": __version__,
            "solves": len(scf_steps),
            "scf_steps": sum(scf_steps),
            "k_points": len(ground.energies),
            "bands": int(ground.energies.shape[1]),
            "basis": "reduced" if deformed.reduced else "full",
            "plane_waves": deformed.plane_waves,
            "basis_correction": copies * (ground.free_energy - ground.uncorrected_free_energy),
            "scf_residual": abs(ground.history[-1]["harris_minus_kohn_sham"]),
            "max_force": float(np.abs(forces).max()),
            **clock.elapsed(),
        },
    )
