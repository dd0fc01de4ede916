"""The embedded Kohn–Sham engine: Φ_DFT evaluated in plane waves (paper, eq. 1–8, 10).

evaluate(D, ξ) → state with the atoms held;      solve(D) → state with ∂F/∂ξ = 0
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from cellfields import __version__
from cellfields._immutable import Immutable
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import Pseudopotential, load_pseudopotentials
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.dft.unmodelled import warn_of_missing_physics
from cellfields.engines.contract import Remedy
from cellfields.engines.identity import PLANE_WAVES, EngineIdentity
from cellfields.engines.planewave import observables
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.cell import Cell
from cellfields.engines.planewave.continuation import FieldStart, PlaneWaveStart
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.hamiltonian import KohnShamProblem
from cellfields.engines.planewave.kpoints import KMesh
from cellfields.engines.planewave.odd_modes import OddModes, odd_mode_check
from cellfields.engines.planewave.reduced.solver import ReducedMeshes
from cellfields.engines.planewave.relax import Relaxed, largest_component, relax
from cellfields.engines.planewave.scf import GroundState
from cellfields.errors import ConvergenceError, InputError, RelaxationNotConverged
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import FourierBasis

_REDUCED_PAYS = 40  # k points from which the reduced basis is faster than full plane waves
_COARSE_POINTS = 60
_MULTILEVEL_PAYS = 150  # k points from which a rough relaxation on a coarse mesh comes first
_ROUGH_FORCE = 1e-5  # Hartree/Bohr
_MOST_EXTENSIONS = 5  # of the reduced basis at the end of a relaxation
_FAR, _NEAR = 30.0, 10.0  # times the force tolerance
_ROUGH_SCF, _FINER_SCF = 100.0, 0.01  # times the SCF tolerance: far from the end, and close to it
_SEED = 0.05  # Bohr, displacement into unstable odd modes that a relaxation starts with
_EVEN_CURVATURE = 0.1  # Hartree/Bohr², a guess for the other modes


class PlaneWaveEngine(Immutable):
    """A :class:`~cellfields.state.FirstPrinciplesEngine`: norm-conserving pseudopotentials, plane waves. Immutable.

    Attributes:
        crystal: reference crystal.
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
            InputError: an element without a pseudopotential, or one for an element not there.
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
        """k points of the primitive cell."""
        return KMesh.folded(self.settings.kmesh, self.crystal.primitive, time_reversal=self.settings.time_reversal)

    @property
    def reduced(self) -> bool:
        """Whether the reduced Bloch basis is used: on request, or where there are enough k points for it to pay."""
        if self.settings.basis == "auto":
            return len(self.kmesh.points) >= _REDUCED_PAYS
        return self.settings.basis == "reduced"

    @property
    def plane_waves(self) -> str:
        """Which set of plane waves the numbers belong to: the settings', or "union" in the reduced basis."""
        return "union" if self.reduced else self.settings.plane_waves

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

    @property
    def identity(self) -> EngineIdentity:
        """What identifies the numbers that this engine makes: its name, settings and pseudopotentials.

        Settings that only decide how a result is reached, or when to give up, are left out: a dataset can be resumed
        with more patience.
        """
        settings = self.settings.identity()
        settings["pseudopotentials"] = {s: p.fingerprint for s, p in self.pseudopotentials.items()}
        return EngineIdentity({"engine": PLANE_WAVES, "settings": settings})

    def remedies(self) -> tuple[Remedy, ...]:
        """What to try when a solve does not converge: slower mixing with twice the patience, then no reduced basis.

        Full plane waves take the union of the spheres that the reduced basis lives in: labels of one kind.
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

        For what needs more than a self-consistent state: energies of a density that is not self-consistent.
        """
        return self._cell(deformation, np.asarray(internal, dtype=float))

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
            internal: where the atoms are.
            start: a density to begin with, of any strain: a state's, or what :meth:`solve_and_continue` returned.

        Raises:
            InputError: a wrong number of internal coordinates, a cutoff too low for the bands, a metal with smearing
                "none", or a start that belongs to another crystal.
            SCFNotConverged: with its history.
        """
        clock = _Clock()
        internal = np.asarray(internal, dtype=float)
        cell = self._cell(deformation, internal)
        ground = cell.final(cell.ground(self._own(start))[0])
        return self._state(deformation, internal, ground, clock, [len(ground.history)])

    def solve(
        self, deformation: Deformation, *, start: PlaneWaveStart | DensityStart | CellState | None = None
    ) -> CellState:
        """Relaxed state: the minimum reached from the reference coordinates, or from those that ``start`` asks for.

        Where the inversion centre is free the reference coordinates are a saddle or a minimum. The relaxation first
        keeps the centre, then looks at the odd modes (odd_modes.py), and follows those that are unstable.

        Raises:
            InputError: as :meth:`evaluate`.
            SCFNotConverged, RelaxationNotConverged: with their histories.
        """
        return self.solve_and_continue(deformation, start=start)[0]

    def solve_and_continue(
        self, deformation: Deformation, *, start: PlaneWaveStart | DensityStart | CellState | None = None
    ) -> tuple[CellState, PlaneWaveStart]:
        """Relaxed state, and what a neighbouring solve may start from."""
        clock = _Clock()
        y = np.zeros(3 * len(self.crystal.representatives))
        current: PlaneWaveStart | FieldStart | None = self._own(start)
        given = current.source.internal if isinstance(current, FieldStart) else None
        if given is not None:
            y = self._displacements(deformation, given)
        steps: list[int] = []
        # What a rough relaxation finds, atoms and curvature, may be there already.
        coarser = None if given is not None and current is not None and current.hessian is not None else self._coarser
        odd: dict[str, float] = {}
        if given is None and self.crystal.inversion == "free":
            source = self._source(current)
            # With the centre imposed there are fewer internal coordinates than a curvature given for these.
            density = None if source is None else replace(source, curvature=None)
            modes = odd_mode_check(self, deformation, start=density)
            y, current = self._off_the_saddle(modes, None if source is None else source.curvature)
            coarser = coarser if modes.unstable else None
            odd = {"softest_odd_mode": float(modes.curvatures[0])} if len(modes.curvatures) else {}
        if coarser is not None and len(y):
            # The curvature and most of the way cost little on a coarse mesh; this mesh has the last word.
            try:
                rough, current, steps = coarser._relax(deformation, y, current)
                y = rough.y if given is None else y  # atoms that are said to be in place are better there already
            except ConvergenceError:
                pass  # it was only to save time
        result, last, own_steps = self._relax(deformation, y, current, near=given is not None)
        state = self._state(deformation, self._internal(deformation, result.y), last.ground, clock, own_steps)
        provenance = {**state.provenance, "coarse_solves": len(steps), "coarse_scf_steps": sum(steps), **odd}
        return replace(state, provenance=provenance), last

    # -- inside -------------------------------------------------------------------------------------------------

    def _own(self, start: PlaneWaveStart | DensityStart | CellState | None) -> PlaneWaveStart | FieldStart | None:
        if start is None or isinstance(start, PlaneWaveStart):
            return start
        source = DensityStart.from_any(start)
        source.require(self.crystal, sum(self.pseudopotentials[symbol].valence for symbol in self.crystal.species))
        return FieldStart(self.crystal, source, source.curvature)

    def _source(self, start: PlaneWaveStart | FieldStart | None) -> DensityStart | None:
        """A start as plain data, which an engine of the same crystal with its inversion centre imposed takes too."""
        if not isinstance(start, PlaneWaveStart):
            return None if start is None else start.source
        crystal, ground = self.crystal, start.ground
        _, reference = crystal.to_primitive(np.eye(3), crystal.positions_ref)
        moved = (ground.problem.geometry.positions - reference) @ crystal.primitive
        positions = crystal.positions_ref + self._on_all_atoms(moved)
        fields = observables.electronic_fields(ground, crystal, self.field_basis)
        return DensityStart(fields, positions, curvature=start.hessian)

    def _off_the_saddle(self, modes: OddModes, curvature: FloatArray | None) -> tuple[FloatArray, FieldStart]:
        """Displacements to relax from: the symmetric minimum, or a little way into its unstable modes.

        ``curvature`` (n_int, n_int) of another strain, or None, is taken for the even modes.
        """
        state, crystal = modes.state, self.crystal
        positions = state.positions
        if modes.unstable:
            positions = positions + _SEED * modes.seed @ np.linalg.inv(state.lattice)
        y = self._displacements(state.deformation, crystal.internal(positions))
        even = _EVEN_CURVATURE if curvature is None else curvature
        hessian = modes.hessian(crystal.primitive_atoms, even)[3:, 3:]  # the first atom stays
        return y, FieldStart(crystal, DensityStart.of(state), hessian)

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

    def _displacements(self, deformation: Deformation, internal: FloatArray) -> FloatArray:
        """Inverse of :meth:`_internal`."""
        if np.shape(internal) != (self.crystal.n_internal,):
            raise InputError(
                f"start: {np.shape(internal)} internal coordinates, the crystal has {self.crystal.n_internal}"
            )
        return np.asarray((np.asarray(internal).reshape(-1, 3) @ deformation.lattice(self.crystal)).reshape(-1))

    def _relax(
        self,
        deformation: Deformation,
        y: FloatArray,
        start: PlaneWaveStart | FieldStart | None,
        *,
        near: bool = False,
    ) -> tuple[Relaxed, PlaneWaveStart, list[int]]:
        """Relax from displacements y; returns also what to continue from, and the SCF steps of each solve.

        ``near``: y is said to be almost there, so every density is converged from the first.
        """
        cell: Cell | None = None
        current = start
        ground: GroundState | None = None
        steps: list[int] = []
        # ∂F/∂y counts the two atoms that move together; the force on one atom is half of it.
        together = 1.0 if self.crystal.inversion_centre is None else 2.0

        def size(gradient: FloatArray) -> float:
            """Force on an atom: without an inversion centre the first one, which stays, feels minus the sum."""
            on_first = 0.0 if together == 2 else np.abs(gradient.reshape(-1, 3).sum(axis=0)).max(initial=0.0)
            return max(float(on_first), largest_component(gradient)) / together

        tolerance = self.settings.force_tolerance
        last_force = np.inf

        def energy_and_gradient(point: FloatArray) -> tuple[float, FloatArray]:
            nonlocal cell, current, ground, last_force
            cell = self._cell(deformation, self._internal(deformation, point), cell)
            # Far from the minimum a rougher density does; a point is only accepted on a converged one.
            far = len(point) > 0 and last_force > _FAR * tolerance and not near
            ground, mixer = cell.ground(current, accuracy=_ROUGH_SCF if far else 1.0)
            count = len(ground.history)
            forces = self._crystal_forces(ground)
            if far and np.abs(forces).max() < tolerance:
                rougher = PlaneWaveStart.of(ground, self.settings, compress=False, mixer=mixer)
                ground, mixer = cell.ground(rougher)
                count += len(ground.history)
                forces = self._crystal_forces(ground)
            if len(point) and tolerance <= np.abs(forces).max() < _NEAR * tolerance:
                # Forces are of first order in the density's error: so close to the end, that may be what they are.
                started = PlaneWaveStart.of(ground, self.settings, compress=False, mixer=mixer)
                ground, mixer = cell.ground(started, accuracy=_FINER_SCF)
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
                tolerance=tolerance,
                max_steps=self.settings.max_relaxation_steps,
                hessian=hessian,
                size=size,
            )
            assert cell is not None and isinstance(current, PlaneWaveStart) and ground is not None
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

    def _cell(self, deformation: Deformation, internal: FloatArray, like: Cell | None = None) -> Cell:
        """The problem to solve; ``like`` has the same lattice, and shares all that depends on it alone."""
        crystal, settings = self.crystal, self.settings
        lattice = deformation.lattice(crystal)
        geometry = Geometry.of_crystal(crystal, lattice, crystal.positions(internal), self.pseudopotentials)
        if like is not None:
            problem = KohnShamProblem(geometry, like.problem.basis, geometry.electrons, settings.functional)
            return Cell(problem, settings, like.meshes)
        basis = PlaneWaveBasis.build(
            geometry,
            self.kmesh,
            settings.cutoff,
            plane_waves=self.plane_waves,
            shape=settings.fft_grid,
        )
        problem = KohnShamProblem(geometry, basis, geometry.electrons, settings.functional)
        return Cell(problem, settings, ReducedMeshes.of(problem, self.coarse_mesh) if self.reduced else None)

    def _crystal_forces(self, ground: GroundState) -> FloatArray:
        """(N, 3): translation images feel the same force."""
        return self._on_all_atoms(observables.forces(ground))

    def _on_all_atoms(self, primitive: FloatArray) -> FloatArray:
        """(N, 3) from vectors on the primitive cell's atoms: translation images have the same."""
        result = np.zeros((self.crystal.n_atoms, 3))
        for vector, atom in zip(primitive, self.crystal.primitive_atoms, strict=True):
            result[self.crystal.translation_images[:, atom]] = vector
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
                "plane_waves": self.plane_waves,
                "basis_correction": copies * (ground.free_energy - ground.uncorrected_free_energy),
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
