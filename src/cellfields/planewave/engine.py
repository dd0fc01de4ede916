"""The embedded Kohn–Sham engine: Φ_DFT evaluated in plane waves (paper, eq. 1–8, 10).

evaluate(D, ξ) → state with the atoms held;      solve(D) → state with ∂F/∂ξ = 0
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cellfields import __version__
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.deformation import Deformation
from cellfields.errors import ConvergenceError, InputError, RelaxationNotConverged
from cellfields.fields import FourierBasis
from cellfields.planewave import observables
from cellfields.planewave.bands import PlaneWaveBands
from cellfields.planewave.basis import PlaneWaveBasis
from cellfields.planewave.geometry import Geometry
from cellfields.planewave.hamiltonian import KohnShamProblem
from cellfields.planewave.kpoints import KMesh
from cellfields.planewave.mixing import AndersonMixer
from cellfields.planewave.pseudopotential import Pseudopotential, load_pseudopotential
from cellfields.planewave.reduced.solver import ReducedMeshes, ReducedStart, corrected, solve_reduced
from cellfields.planewave.relax import Relaxed, relax
from cellfields.planewave.scf import GroundState, self_consistent, starting_bands
from cellfields.planewave.settings import PlaneWaveSettings
from cellfields.planewave.start import PlaneWaveStart
from cellfields.state import CellState

_REDUCED_PAYS = 40  # k points from which the reduced basis is faster than full plane waves
_COARSE_POINTS = 60
_MULTILEVEL_PAYS = 150  # k points from which a rough relaxation on a coarse mesh comes first
_ROUGH_FORCE = 1e-5  # Hartree/Bohr
_MOST_EXTENSIONS = 5  # of the reduced basis at the end of a relaxation
_FAR = 30.0  # times the force tolerance
_ROUGH_SCF = 100.0  # times the SCF tolerance, while the forces are far from converged
_COLD_RESIDUAL, _WARM_RESIDUAL = 1e-2, 1e-3  # Hartree, eigensolver tolerance of the first self-consistency step


class PlaneWaveEngine:
    """A :class:`~cellfields.state.FirstPrinciplesEngine`: norm-conserving pseudopotentials, LDA, plane waves.

    Attributes:
        crystal: reference crystal; must have an inversion centre.
        settings: everything that changes the numbers.
    """

    def __init__(
        self,
        crystal: Crystal,
        settings: PlaneWaveSettings,
        *,
        pseudopotentials: Mapping[str, Pseudopotential] | None = None,
    ) -> None:
        """``pseudopotentials`` (symbol → pseudopotential) stand in for those that the settings name.

        Raises:
            InputError: no inversion centre, an element without a pseudopotential, or one for an element not there.
        """
        if crystal.inversion_centre is None:
            raise InputError(
                "crystal: it has no inversion centre; the plane-wave engine supports only crystals with one so far"
            )
        for table in (settings.pseudopotentials, settings.local_channels):
            for symbol in table:
                if symbol not in crystal.species:
                    raise InputError(
                        f"pseudopotentials: {symbol} is named, but the crystal holds only "
                        f"{', '.join(dict.fromkeys(crystal.species))}"
                    )
        self.crystal = crystal
        self.settings = settings
        if pseudopotentials is None:
            pseudopotentials = {
                symbol: load_pseudopotential(symbol, settings.pseudopotentials, settings.local_channels)
                for symbol in dict.fromkeys(crystal.species)
            }
        if set(pseudopotentials) != set(crystal.species):
            raise InputError(f"pseudopotentials must hold exactly {', '.join(dict.fromkeys(crystal.species))}")
        self.pseudopotentials: Mapping[str, Pseudopotential] = dict(pseudopotentials)

    @cached_property
    def kmesh(self) -> KMesh:
        """k points of the primitive cell."""
        return KMesh.folded(self.settings.kmesh, self.crystal.primitive, time_reversal=self.settings.time_reversal)

    @property
    def reduced(self) -> bool:
        """Whether the reduced Bloch basis is used: on request, or where there are enough k points for it to pay."""
        if self.settings.basis == "auto":
            return len(self.kmesh.points) >= _REDUCED_PAYS
        return self.settings.basis == "reduced"

    @cached_property
    def coarse_mesh(self) -> KMesh:
        """Where a reduced basis is made and tested: some 60 k points off the special ones, or all if they are few."""
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
        """Where the fields of every state are expanded."""
        return FourierBasis.for_crystal(self.crystal, self.settings.stored_cutoff)

    def fingerprint_table(self) -> dict[str, Any]:
        """What identifies the numbers this engine makes: its name, settings and pseudopotentials (JSON data).

        Settings that only decide how a result is reached, or when to give up, are left out: a dataset can be resumed
        with more patience.
        """
        settings = self.settings.model_dump(mode="json", exclude={"max_scf_steps", "max_relaxation_steps", "mixing"})
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
        """State with the internal coordinates (n_int,), fractional, held fixed.

        Raises:
            InputError: a wrong number of internal coordinates, a cutoff too low for the bands, or a metal with
                smearing "none".
            SCFNotConverged: with its history.
        """
        clock = _Clock()
        internal = np.asarray(internal, dtype=float)
        cell = self._cell(deformation, internal)
        ground = cell.final(cell.ground(start)[0])
        return self._state(deformation, internal, ground, clock, [len(ground.history)])

    def solve(self, deformation: Deformation, *, start: PlaneWaveStart | None = None) -> CellState:
        """Relaxed state.

        Raises:
            InputError: as :meth:`evaluate`.
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
        y = np.zeros(3 * len(self.crystal.representatives))
        steps: list[int] = []
        coarser = self._coarser
        if coarser is not None and len(y):
            # The curvature and most of the way cost little on a coarse mesh; this mesh has the last word.
            try:
                rough, start, steps = coarser._relax(deformation, y, start)
                y = rough.y
            except ConvergenceError:
                pass  # it was only to save time
        result, last, own_steps = self._relax(deformation, y, start)
        state = self._state(deformation, self._internal(deformation, result.y), last.ground, clock, own_steps)
        provenance = {**state.provenance, "coarse_solves": len(steps), "coarse_scf_steps": sum(steps)}
        return replace(state, provenance=provenance), last

    # -- inside -------------------------------------------------------------------------------------------------

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

    def _internal(self, deformation: Deformation, y: FloatArray) -> FloatArray:
        """Internal coordinates (fractional) from Cartesian displacements y of the representatives (Bohr)."""
        inverse = np.linalg.inv(deformation.lattice(self.crystal))
        return np.asarray(y.reshape(-1, 3) @ inverse).reshape(-1)

    def _relax(
        self, deformation: Deformation, y: FloatArray, start: PlaneWaveStart | None
    ) -> tuple[Relaxed, PlaneWaveStart, list[int]]:
        """Relax from displacements y; returns also what to continue from, and the SCF steps of each solve."""
        cell: _Cell | None = None
        current = start
        ground: GroundState | None = None
        steps: list[int] = []
        # ∂F/∂y counts the two atoms that move together; the force on one atom is half of it.
        together = 2.0

        tolerance = self.settings.force_tolerance
        last_force = np.inf

        def energy_and_gradient(point: FloatArray) -> tuple[float, FloatArray]:
            nonlocal cell, current, ground, last_force
            cell = self._cell(deformation, self._internal(deformation, point), cell)
            # Far from the minimum a rougher density does; a point is only accepted on a converged one.
            far = len(point) > 0 and last_force > _FAR * tolerance
            ground, mixer = cell.ground(current, rough=far)
            count = len(ground.history)
            forces = self._crystal_forces(ground)
            if far and np.abs(forces).max() < tolerance:
                rougher = PlaneWaveStart.of(ground, self.settings, compress=False, mixer=mixer)
                ground, mixer = cell.ground(rougher)
                count += len(ground.history)
                forces = self._crystal_forces(ground)
            last_force = float(np.abs(forces).max())
            steps.append(count)
            # Compressed once, then only extended: another basis at every step would make the forces noisy.
            current = PlaneWaveStart.of(ground, self.settings, compress=len(steps) == 1, mixer=mixer)
            return ground.free_energy, -together * forces[self.crystal.representatives].reshape(-1)

        hessian = None if start is None else start.hessian
        for _ in range(_MOST_EXTENSIONS):
            result = relax(
                energy_and_gradient,
                y,
                tolerance=together * tolerance,
                max_steps=self.settings.max_relaxation_steps,
                hessian=hessian,
            )
            assert cell is not None and current is not None and ground is not None
            final = cell.final(ground)
            largest = float(np.abs(self._crystal_forces(final)).max()) if final.orbitals is not ground.orbitals else 0.0
            if largest < tolerance:
                return result, replace(current, ground=final, hessian=result.hessian), steps
            # The check of the basis extended it, and the better one sees other forces: go on from here with that.
            y, hessian, current = result.y, result.hessian, PlaneWaveStart.of(final, self.settings, compress=False)
        raise RelaxationNotConverged(
            f"the reduced basis was extended {_MOST_EXTENSIONS} times and still leaves forces of {largest:.1e} "
            f"Ha/Bohr, wanted {tolerance:.1e}; a smaller basis_tolerance helps",
            result.history,
        )

    def _cell(self, deformation: Deformation, internal: FloatArray, like: _Cell | None = None) -> _Cell:
        """The problem to solve; ``like`` has the same lattice, and shares all that depends on it alone."""
        crystal, settings = self.crystal, self.settings
        lattice = deformation.lattice(crystal)
        geometry = Geometry.of_crystal(crystal, lattice, crystal.positions(internal), self.pseudopotentials)
        if like is not None:
            problem = KohnShamProblem(geometry, like.problem.basis, geometry.electrons)
            return _Cell(problem, settings, like.meshes)
        basis = PlaneWaveBasis.build(
            geometry,
            self.kmesh,
            settings.cutoff,
            plane_waves="union" if self.reduced else settings.plane_waves,
            shape=settings.fft_grid,
        )
        problem = KohnShamProblem(geometry, basis, geometry.electrons)
        return _Cell(problem, settings, ReducedMeshes.of(problem, self.coarse_mesh) if self.reduced else None)

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
        occupations = ground.final_occupations
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
                "basis": "reduced" if self.reduced else "full",
                "basis_correction": copies * (ground.free_energy - ground.uncorrected_free_energy),
                "scf_residual": abs(last["harris_minus_kohn_sham"]),
                "max_force": float(np.abs(forces).max()),
                **clock.elapsed(),
            },
        )


@dataclass(frozen=True, eq=False)
class _Cell:
    """One cell with its atoms in place, and how to solve it.

    Attributes:
        problem: what is solved.
        settings: how.
        meshes: k points of the reduced basis, or None for full plane waves.
    """

    problem: KohnShamProblem
    settings: PlaneWaveSettings
    meshes: ReducedMeshes | None

    def ground(self, start: PlaneWaveStart | None, *, rough: bool = False) -> tuple[GroundState, AndersonMixer]:
        """Self-consistent solution, from a start or cold, and the mixer that has learned on the way."""
        problem, settings = self.problem, self.settings
        if rough:
            settings = settings.model_copy(update={"scf_tolerance": _ROUGH_SCF * settings.scf_tolerance})
        if start is None:
            mixer = AndersonMixer(problem.basis.inverse_g2, fraction=settings.mixing)
            density = problem.superposed_density()
        else:
            mixer, density = start.mixer_for(problem, settings), start.density_for(problem)
        if self.meshes is not None:
            begin = None if start is None else ReducedStart(density, start.bloch, *start.reduced_guess(problem))
            return solve_reduced(problem, settings, self.meshes, mixer, begin), mixer
        orbitals = None if start is None else start.orbitals_for(problem)
        solver = PlaneWaveBands(problem, starting_bands(settings, problem.electrons), orbitals)
        first = _COLD_RESIDUAL if orbitals is None else _WARM_RESIDUAL
        return self_consistent(problem, settings, solver, density, mixer=mixer, first_residual=first), mixer

    def final(self, ground: GroundState) -> GroundState:
        """With the reduced basis' correction, where there is one."""
        return ground if self.meshes is None else corrected(self.problem, self.settings, self.meshes, ground)


class _Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def elapsed(self) -> dict[str, float]:
        return {
            "wall_seconds": round(time.perf_counter() - self._wall, 4),
            "cpu_seconds": round(time.process_time() - self._cpu, 4),
        }
