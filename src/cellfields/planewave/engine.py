"""The embedded Kohn–Sham engine: Φ_DFT evaluated in plane waves (paper, eq. 1–8, 10).

evaluate(D, ξ) → state with the atoms held;      solve(D) → state with ∂F/∂ξ = 0
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from cellfields import __version__
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.deformation import Deformation
from cellfields.errors import InputError
from cellfields.fields import FourierBasis
from cellfields.planewave import observables
from cellfields.planewave.bands import PlaneWaveBands
from cellfields.planewave.basis import PlaneWaveBasis
from cellfields.planewave.geometry import Geometry
from cellfields.planewave.hamiltonian import KohnShamProblem
from cellfields.planewave.kpoints import KMesh
from cellfields.planewave.pseudopotential import Pseudopotential, load_pseudopotential
from cellfields.planewave.relax import Relaxed, relax
from cellfields.planewave.scf import GroundState, self_consistent, starting_bands
from cellfields.planewave.settings import PlaneWaveSettings
from cellfields.planewave.start import PlaneWaveStart
from cellfields.state import CellState


class PlaneWaveEngine:
    """A :class:`~cellfields.state.FirstPrinciplesEngine`: norm-conserving pseudopotentials, LDA, plane waves.

    Attributes:
        crystal: reference crystal; must have an inversion centre.
        settings: everything that changes the numbers.
    """

    def __init__(self, crystal: Crystal, settings: PlaneWaveSettings) -> None:
        """
        Raises:
            InputError: no inversion centre, or an element without a pseudopotential.
        """
        if crystal.inversion_centre is None:
            raise InputError(
                "crystal: it has no inversion centre; the plane-wave engine supports only crystals with one so far"
            )
        self.crystal = crystal
        self.settings = settings
        self.pseudopotentials: dict[str, Pseudopotential] = {
            symbol: load_pseudopotential(symbol, settings.pseudopotentials) for symbol in dict.fromkeys(crystal.species)
        }

    @cached_property
    def kmesh(self) -> KMesh:
        """k points of the primitive cell."""
        return KMesh.folded(self.settings.kmesh, self.crystal.primitive, time_reversal=self.settings.time_reversal)

    @cached_property
    def field_basis(self) -> FourierBasis:
        """Where the fields of every state are expanded."""
        return FourierBasis.for_crystal(self.crystal, self.settings.stored_cutoff)

    def fingerprint_table(self) -> dict[str, Any]:
        """What identifies the numbers this engine makes: its name, settings and pseudopotentials (JSON data)."""
        settings = self.settings.model_dump(mode="json")
        settings["pseudopotentials"] = {s: p.fingerprint for s, p in self.pseudopotentials.items()}
        return {"engine": "plane waves", "settings": settings}

    # -- the two maps -------------------------------------------------------------------------------------------

    def evaluate(
        self,
        deformation: Deformation,
        internal: FloatArray,
        *,
        start: PlaneWaveStart | None = None,
    ) -> CellState:
        """State with the internal coordinates (n_int,) held fixed.

        Raises:
            SCFNotConverged: with its history.
        """
        clock = _Clock()
        ground = self._ground(self._problem(deformation, np.asarray(internal, dtype=float)), start)
        return self._state(deformation, np.asarray(internal, dtype=float), ground, clock, [len(ground.history)])

    def solve(self, deformation: Deformation, *, start: PlaneWaveStart | None = None) -> CellState:
        """Relaxed state.

        Raises:
            SCFNotConverged, RelaxationNotConverged: with their histories.
        """
        return self.solve_and_continue(deformation, start=start)[0]

    def solve_many(self, deformations: Iterable[Deformation]) -> Iterator[CellState]:
        """Relaxed states in order, each started cold so that results do not depend on the order."""
        return (self.solve(deformation) for deformation in deformations)

    def solve_and_continue(
        self, deformation: Deformation, *, start: PlaneWaveStart | None = None
    ) -> tuple[CellState, PlaneWaveStart]:
        """Relaxed state, and what a neighbouring solve may start from."""
        clock = _Clock()
        crystal = self.crystal
        reps = crystal.representatives
        lattice = deformation.lattice(crystal)
        inverse = np.linalg.inv(lattice)
        basis = None
        current: GroundState | None = None
        steps: list[int] = []

        def internal_of(y: FloatArray) -> FloatArray:
            return (y.reshape(-1, 3) @ inverse).reshape(-1)

        # ∂F/∂y counts the atoms that move together; the force on one atom is that divided by their number.
        together = 2.0

        def energy_and_gradient(y: FloatArray) -> tuple[float, FloatArray]:
            nonlocal basis, current
            problem = self._problem(deformation, internal_of(y), basis)
            basis = problem.basis
            begin = start if current is None else PlaneWaveStart(current)
            current = self._ground(problem, begin)
            steps.append(len(current.history))
            on_atoms = self._crystal_forces(current)[reps]
            return current.free_energy, -together * on_atoms.reshape(-1)

        hessian = None if start is None else start.hessian
        result: Relaxed = relax(
            energy_and_gradient,
            np.zeros(3 * len(reps)),
            tolerance=together * self.settings.force_tolerance,
            max_steps=self.settings.max_relaxation_steps,
            hessian=hessian,
        )
        assert current is not None
        state = self._state(deformation, internal_of(result.y), current, clock, steps)
        return state, PlaneWaveStart(current, result.hessian if len(reps) else None)

    # -- inside -------------------------------------------------------------------------------------------------

    def _problem(
        self, deformation: Deformation, internal: FloatArray, basis: PlaneWaveBasis | None = None
    ) -> KohnShamProblem:
        lattice = deformation.lattice(self.crystal)
        positions = self.crystal.positions(internal)
        geometry = Geometry.of_crystal(self.crystal, lattice, positions, self.pseudopotentials)
        if basis is None:
            settings = self.settings
            basis = PlaneWaveBasis.build(
                geometry, self.kmesh, settings.cutoff, plane_waves=settings.plane_waves, shape=settings.fft_grid
            )
        return KohnShamProblem(geometry, basis, geometry.electrons)

    def _ground(self, problem: KohnShamProblem, start: PlaneWaveStart | None) -> GroundState:
        bands = starting_bands(self.settings, problem.electrons)
        if start is None:
            solver = PlaneWaveBands(problem, bands)
            return self_consistent(problem, self.settings, solver, problem.superposed_density())
        solver = PlaneWaveBands(problem, bands, start.orbitals_for(problem))
        return self_consistent(problem, self.settings, solver, start.density_for(problem), first_residual=1e-3)

    def _crystal_forces(self, ground: GroundState) -> FloatArray:
        """(N, 3): translation images feel the same force."""
        primitive = observables.forces(ground)
        result = np.zeros((self.crystal.n_atoms, 3))
        for force, atom in zip(primitive, self.crystal.primitive_atoms, strict=True):
            result[self.crystal.translation_images[:, atom]] = force
        return result

    def _state(
        self,
        deformation: Deformation,
        internal: FloatArray,
        ground: GroundState,
        clock: _Clock,
        scf_steps: list[int],
    ) -> CellState:
        crystal, copies = self.crystal, self.crystal.n_translations
        occupations = ground.occupations
        terms = {name: copies * value for name, value in observables.energy_terms(ground).items()}
        forces = self._crystal_forces(ground)
        stress = observables.stress(ground)
        fields = observables.electronic_fields(ground, crystal, self.field_basis)
        last = ground.history[-1]
        return CellState(
            deformation=deformation,
            lattice=deformation.lattice(crystal),
            positions=crystal.positions(internal),
            internal=internal,
            free_energy=copies * ground.free_energy,
            band_energy=copies * occupations.band_energy,
            entropic_energy=copies * occupations.entropic_energy,
            fermi_energy=occupations.fermi_energy,
            forces=forces,
            stress=stress,
            fields=fields,
            energy_terms=terms,
            provenance={
                "engine": "plane waves",
                "version": __version__,
                "solves": len(scf_steps),
                "scf_steps": sum(scf_steps),
                "k_points": len(ground.energies),
                "bands": int(ground.energies.shape[1]),
                "scf_residual": abs(last["harris_minus_kohn_sham"]),
                "max_force": float(np.abs(forces).max()),
                **clock.elapsed(),
            },
        )


class _Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def elapsed(self) -> dict[str, float]:
        return {
            "wall_seconds": round(time.perf_counter() - self._wall, 4),
            "cpu_seconds": round(time.process_time() - self._cpu, 4),
        }
