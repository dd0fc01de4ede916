"""ABINIT, the paper's code, as an engine: the map Φ_DFT, with the settings of the embedded plane-wave engine.

evaluate(D, ξ) → one self-consistent run, atoms held;      solve(D) → ABINIT's relaxation from the reference atoms
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from cellfields._immutable import Immutable
from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.band_filling import band_overlap, has_enough_bands, metal_without_smearing, starting_bands
from cellfields.dft.occupation import Occupations, occupy
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.dft.unmodelled import warn_of_missing_physics
from cellfields.engines.abinit.density_file import DensityFile
from cellfields.engines.abinit.density_input import empty_file, started, with_density
from cellfields.engines.abinit.fields import electronic_fields, occupations_of
from cellfields.engines.abinit.input import OUTPUT_PREFIX, AbinitInput, make_input
from cellfields.engines.abinit.netcdf import require_netcdf
from cellfields.engines.abinit.output import (
    ENERGY_TERMS,
    AbinitOrbitals,
    AbinitOutput,
    output_files,
    read_output,
    scf_history,
)
from cellfields.engines.abinit.pseudopotentials import PseudopotentialFile, pseudopotential_file
from cellfields.engines.abinit.run import Run, finished_run
from cellfields.engines.abinit.settings import AbinitOptions
from cellfields.engines.contract import Remedy
from cellfields.engines.identity import ABINIT, EngineIdentity
from cellfields.errors import (
    AbinitOutputMissing,
    CorruptFileError,
    InputError,
    RelaxationNotConverged,
    SCFNotConverged,
)
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.state.fields import FourierBasis

_NOT_CONVERGED = "was not enough SCF cycles to converge"
_SAME_ENERGY = 1e-6  # Hartree, between the main output and the netCDF file
# Settings that concern the embedded engine alone.
_EMBEDDED_ONLY = {"basis", "basis_tolerance", "plane_waves"}


class AbinitEngine(Immutable):
    """An immutable engine that runs the ABINIT executable (9.6 or newer).

    It is a :class:`~cellfields.engines.contract.PlaneWaveCode`.

    Attributes:
        crystal: the reference crystal, with an inversion centre or without.
        settings: those of the embedded engine, with the same meaning. ``basis`` and ``basis_tolerance`` have no effect;
            ``plane_waves`` must be "k_sphere".
        options: how ABINIT is launched, and further variables.
        pseudopotentials: symbol → the file that ABINIT reads.
    """

    def __init__(
        self,
        crystal: Crystal,
        settings: PlaneWaveSettings,
        options: AbinitOptions | None = None,
        *,
        pseudopotentials: Mapping[str, PseudopotentialFile] | None = None,
    ) -> None:
        """Read the pseudopotentials and check the settings.

        ABINIT itself is not looked for before the first run, as inputs may be written on another machine.

        Args:
            crystal: the reference crystal.
            settings: of the calculation.
            options: how ABINIT is launched, and further variables; the defaults unless given.
            pseudopotentials: symbol → file that was read, used in place of those that the settings name.

        Raises:
            InputError: a species without a usable pseudopotential, one for another element, or settings or variables
                that are not possible with ABINIT.
        """
        settings.require_symbols(crystal.species)
        if settings.plane_waves != "k_sphere":
            raise InputError(
                f'engine.plane_waves = "{settings.plane_waves}" is not possible with ABINIT, which has one sphere of '
                'plane waves a k point ("k_sphere")'
            )
        warn_of_missing_physics(crystal, smearing=settings.smearing)
        self.crystal = crystal
        self.settings = settings
        self.options = options or AbinitOptions()
        if pseudopotentials is None:
            pseudopotentials = {s: pseudopotential_file(s, settings) for s in dict.fromkeys(crystal.species)}
        self.pseudopotentials: Mapping[str, PseudopotentialFile] = dict(pseudopotentials)
        bands = starting_bands(settings, self.electrons)
        # Refuses an odd number of electrons in filled bands, and too few bands, as the embedded engine does.
        occupy(np.arange(float(bands))[None], np.ones(1), self.electrons, settings.smearing, settings.smearing_width)
        self.input(Deformation.identity(crystal), np.zeros(crystal.n_internal))

    @property
    def electrons(self) -> float:
        """Valence electrons of the primitive cell."""
        return sum(self.pseudopotentials[self.crystal.species[i]].valence for i in self.crystal.primitive_atoms)

    @cached_property
    def field_basis(self) -> FourierBasis:
        """Fourier basis in which the fields of every state are expanded."""
        return FourierBasis.for_crystal(self.crystal, self.settings.stored_cutoff)

    @property
    def reduced(self) -> bool:
        """Whether a reduced Bloch basis stands in for plane waves: never in ABINIT."""
        return False

    @property
    def identity(self) -> EngineIdentity:
        """What this engine's numbers depend on: settings, pseudopotentials and variables, not the launch command."""
        settings = {name: value for name, value in self.settings.identity().items() if name not in _EMBEDDED_ONLY}
        settings["pseudopotentials"] = {s: p.fingerprint for s, p in self.pseudopotentials.items()}
        table = {"engine": ABINIT, "settings": settings, "variables": dict(self.options.variables)}
        return EngineIdentity(table)

    def remedies(self) -> tuple[Remedy, ...]:
        """Engines to try when a solve does not converge: one with slower mixing and twice the steps."""
        settings = self.settings
        careful = settings.model_copy(
            update={
                "mixing": settings.mixing / 3,
                "max_scf_steps": 2 * settings.max_scf_steps,
                "max_relaxation_steps": 2 * settings.max_relaxation_steps,
            }
        )
        engine = AbinitEngine(self.crystal, careful, self.options, pseudopotentials=self.pseudopotentials)
        return (Remedy("smaller mixing", engine),)

    def at_cutoff(self, cutoff: float) -> AbinitEngine:
        """An engine with the same crystal, options and other settings, at another cutoff (Hartree)."""
        return AbinitEngine(self.crystal, self.settings.model_copy(update={"cutoff": cutoff}), self.options)

    def input(
        self,
        deformation: Deformation,
        internal: FloatArray,
        *,
        relax: bool = False,
        bands: int | None = None,
        start: DensityStart | DensityFile | CellState | None = None,
    ) -> AbinitInput:
        """The complete input of a run, whose ``write`` makes a folder that is ready to run.

        Args:
            deformation: of the cell.
            internal: internal coordinates (n_int,), fractional.
            relax: let ABINIT relax the atoms from there.
            bands: number of bands at each k point; the settings' unless given.
            start: a density to begin with, that of a state or prediction of any strain, or a density file of this cell.

        Raises:
            InputError: a wrong number of internal coordinates; a start of another crystal, with other
                pseudopotentials, or a file of another cell, cutoff or grid.
        """
        lattice, settings, ions = deformation.lattice(self.crystal), self.settings, self.pseudopotentials
        run = make_input(
            self.crystal,
            lattice,
            internal,
            settings,
            ions,
            bands or starting_bands(settings, self.electrons),
            relax=relax,
            variables=self.options.variables,
        )
        if start is None:
            return run
        if not isinstance(start, DensityFile):
            start = DensityStart.from_any(start)
        empty = empty_file(self.crystal, lattice, internal, settings, ions)
        return with_density(run, started(empty, start, self.crystal))

    # -- the two maps -------------------------------------------------------------------------------------------

    def evaluate(
        self,
        deformation: Deformation,
        internal: FloatArray,
        *,
        start: DensityStart | DensityFile | CellState | None = None,
    ) -> CellState:
        """State with the internal coordinates (n_int,), fractional, held fixed.

        Args:
            deformation: of the cell.
            internal: internal coordinates (n_int,), fractional.
            start: a density to begin with, that of a state or prediction of any strain, or a density file of this cell.

        Raises:
            InputError: a wrong number of internal coordinates, a metal with smearing "none", no netCDF4 library; a
                start of another crystal, with other pseudopotentials, or a file of another cell, cutoff or grid.
            AbinitError: ABINIT is not there, was killed, found no room, took too long, or stopped for another reason.
            SCFNotConverged: the SCF ended at its limit of steps; the error carries its history.
            CorruptFileError: a file that it wrote is damaged.
        """
        return self._state(deformation, np.asarray(internal, dtype=float), start, relax=False)

    def solve(
        self, deformation: Deformation, *, start: DensityStart | DensityFile | CellState | None = None
    ) -> CellState:
        """Relaxed state: the minimum reached from the reference coordinates, or from those that ``start`` asks for.

        Raises:
            InputError: the crystal's inversion centre is free (ABINIT's relaxation would begin, and stay, on the
                symmetric saddle), or for the reasons of :meth:`evaluate`.
            AbinitError, SCFNotConverged, CorruptFileError: for the reasons of :meth:`evaluate`.
            RelaxationNotConverged: the forces are above the tolerance at the end; the error carries the history.
        """
        if self.crystal.inversion == "free":
            raise InputError(
                'crystal.inversion = "free" is not possible with ABINIT\'s relaxation, which begins and stays where '
                'symmetry holds the atoms; choose "impose", or the embedded engine'
            )
        internal = start.internal if isinstance(start, DensityStart) else None
        internal = np.zeros(self.crystal.n_internal) if internal is None else np.asarray(internal, dtype=float)
        return self._state(deformation, internal, start, relax=self.crystal.n_internal > 0)

    # -- inside -------------------------------------------------------------------------------------------------

    def _state(
        self,
        deformation: Deformation,
        internal: FloatArray,
        start: DensityStart | DensityFile | CellState | None,
        *,
        relax: bool,
    ) -> CellState:
        require_netcdf()
        wall, cpu, spent = time.perf_counter(), time.process_time(), 0.0
        bands = starting_bands(self.settings, self.electrons)
        solves = steps = 0
        while True:
            abinit_input = self.input(deformation, internal, relax=relax, bands=bands, start=start)
            with finished_run(abinit_input, self.options) as run:
                cycles = scf_history(run.main_output)
                output = self._output(run, cycles, relax)
            spent += run.cpu_seconds
            solves, steps = solves + len(cycles), steps + sum(len(cycle) for cycle in cycles)
            if relax:  # a second run, with more bands, begins at the relaxed atoms
                internal = self._internal(output)
            assert output.orbitals is not None
            occupations = occupations_of(output, self.settings)
            if self._enough_bands(output.orbitals, output.electrons, occupations):
                break
            bands += max(2, bands // 4)
        fields = electronic_fields(output, occupations, self.crystal, self.field_basis, self.settings.cutoff)
        forces = self._on_all_atoms(output.forces)
        copies = self.crystal.n_translations
        terms = {name: copies * output.energies[name] for name in ENERGY_TERMS}
        terms["entropic"] = copies * occupations.entropic_energy
        return CellState(
            deformation=deformation,
            lattice=deformation.lattice(self.crystal),
            positions=self.crystal.positions(internal),
            internal=internal,
            free_energy=copies * output.energies["free_energy"],
            band_energy=copies * occupations.band_energy,
            entropic_energy=copies * occupations.entropic_energy,
            fermi_energy=occupations.fermi_energy,
            forces=forces,
            stress=output.stress,
            fields=fields,
            energy_terms=terms,
            provenance={
                "engine": "ABINIT",
                "version": output.version,
                "solves": solves,
                "scf_steps": steps,
                "k_points": len(output.orbitals.k_weights),
                "bands": bands,
                "scf_residual": abs(output.residuals["energy_change"]),
                "potential_residual": output.residuals["potential_residual"],
                "max_force": float(np.abs(forces).max()),
                "wall_seconds": round(time.perf_counter() - wall, 4),
                "cpu_seconds": round(spent + time.process_time() - cpu, 4),
            },
        )

    def _output(self, run: Run, cycles: list[list[dict[str, float]]], relax: bool) -> AbinitOutput:
        """The output of a run that converged.

        Raises:
            AbinitOutputMissing: a file is missing, or the main output shows no SCF.
            SCFNotConverged, RelaxationNotConverged: ABINIT ended at a limit of steps.
            CorruptFileError: a file is damaged, or belongs to another run.
        """
        if not cycles:
            raise AbinitOutputMissing(f"ABINIT ended without one step of self-consistency in its output{run.advice}")
        last = run.main_output.rsplit("--- !BeginCycle", 1)[-1]
        if _NOT_CONVERGED in last:
            raise SCFNotConverged(
                f"ABINIT did not reach self-consistency in {len(cycles[-1])} steps: "
                f"vres2 = {cycles[-1][-1].get('potential_residual', np.nan):.1e}{run.advice}",
                cycles[-1],
            )
        files = output_files(run.folder, OUTPUT_PREFIX)
        missing = {"GSR", "DEN", "VCLMB", "WFK", *(["HIST"] if relax else [])} - set(files)
        if missing:
            names = ", ".join(f"{OUTPUT_PREFIX}_{kind}.nc" for kind in sorted(missing))
            raise AbinitOutputMissing(f"ABINIT ended without writing {names}{run.advice}")
        output = read_output(files)
        if abs(output.energies["free_energy"] - cycles[-1][-1]["free_energy"]) > _SAME_ENERGY:
            raise CorruptFileError(f"{files['GSR'].name} holds another energy than ABINIT's main output{run.advice}")
        force = float(np.abs(output.forces).max())
        if relax and force >= self.settings.force_tolerance:
            raise RelaxationNotConverged(
                f"ABINIT's relaxation left forces of {force:.1e} Ha/Bohr after {len(cycles)} solves, wanted "
                f"{self.settings.force_tolerance:.1e}{run.advice}",
                output.relaxation,
            )
        return output

    def _enough_bands(self, orbitals: AbinitOrbitals, electrons: float, occupations: Occupations) -> bool:
        """Whether no more bands are needed.

        Raises:
            InputError: filled bands overlap, and there is no smearing.
        """
        if self.settings.smearing != "none":
            return has_enough_bands(self.settings, occupations.per_state)
        overlap = band_overlap(orbitals.energies, electrons)
        if overlap >= 0:
            raise metal_without_smearing(overlap)
        return True

    def _internal(self, output: AbinitOutput) -> FloatArray:
        """Internal coordinates (n_int,) of the atoms in a run's output."""
        crystal = self.crystal
        _, reference = crystal.to_primitive(np.eye(3), crystal.positions_ref)
        moved = (output.positions - reference) @ crystal.primitive  # x_c = x_p P, fractional
        return crystal.internal(crystal.positions_ref + self._on_all_atoms(moved))

    def _on_all_atoms(self, primitive: FloatArray) -> FloatArray:
        """Vectors (N, 3) on the crystal's atoms equal on translation images, from the primitive cell's (n, 3)."""
        result = np.zeros((self.crystal.n_atoms, 3))
        for vector, atom in zip(primitive, self.crystal.primitive_atoms, strict=True):
            result[self.crystal.translation_images[:, atom]] = vector
        return result
