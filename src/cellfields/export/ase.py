"""An engine as an ASE calculator: energy, free energy, stress (eV, Å), density.

    E(cell) = min_ξ 𝓕(D(cell), ξ)                "follow": the atoms follow the cell, forces are ∂E/∂R = 0
    E(cell, R) = 𝓕(D(cell), ξ(R))                "held":   the atoms stay where they are, forces are real

An engine maps D to the *relaxed* state. By default the positions in ``Atoms`` therefore only identify the atoms: the
energy does not depend on them, the forces are zero, and ``relaxed_atoms`` gives the relaxed positions. Cell filters and
equations of state need this; phonons, molecular dynamics and displaced atoms cannot be computed with it. Engines that
can hold atoms (first principles) also offer "held", for displacements that keep the crystal's translations and
inversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from scipy.optimize import linear_sum_assignment

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.structure_file import has_moments, net_charge
from cellfields.crystal.voigt import to_voigt
from cellfields.engines.contract import Engine, FirstPrinciplesEngine
from cellfields.errors import InputError
from cellfields.mechanics.evaluator import Evaluator
from cellfields.state import CellState
from cellfields.units import ANGSTROM, EV, EV_PER_ANGSTROM, EV_PER_CUBIC_ANGSTROM

_NEAR = 1.0  # Bohr; allowed distance of an atom from its place, beyond the distance that atoms relax by
_IMPOSSIBLE = 1e6  # Bohr²; cost of assigning an atom to the place of another element


class CellFieldsCalculator(Calculator):
    """ASE calculator of any engine.

    Attributes:
        state: state of the last calculation, in Hartree atomic units and the engine's own frame, or None before one.
    """

    implemented_properties = ["energy", "free_energy", "stress", "forces"]  # noqa: RUF012 (ASE's interface)

    def __init__(self, engine: Engine, *, atoms_are: Literal["follow", "held"] = "follow", **options: Any) -> None:
        """Make a calculator of an engine.

        Args:
            engine: any engine; "held" needs a :class:`~cellfields.engines.contract.FirstPrinciplesEngine`.
            atoms_are: "follow" to relax the atoms with the cell, "held" to hold them where ``Atoms`` has them.
            options: of ASE's ``Calculator``.

        Raises:
            InputError: ``atoms_are`` is unknown, or "held" with an engine that only knows relaxed states.
        """
        super().__init__(**options)  # type: ignore[no-untyped-call]
        if atoms_are not in ("follow", "held"):
            raise InputError(f"atoms_are = {atoms_are!r} must be 'follow' or 'held'")
        if atoms_are == "held" and not isinstance(engine, FirstPrinciplesEngine):
            raise InputError(f"atoms_are = 'held': a {type(engine).__name__} knows relaxed atoms only")
        self._engine, self._atoms_are = engine, atoms_are
        self.state: CellState | None = None
        self._placement: _Placement | None = None
        self._evaluator = Evaluator(engine)

    @property
    def engine(self) -> Engine:
        """The engine; it cannot be changed, because ASE keeps the results of a calculator."""
        return self._engine

    @property
    def atoms_are(self) -> Literal["follow", "held"]:
        """ "follow" or "held"; it cannot be changed, because ASE keeps the results of a calculator."""
        return self._atoms_are

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute energy, stress and forces of the atoms and store them in ``results``; called by ASE.

        Raises:
            InputError: the atoms are not a deformation of the engine's crystal, or the engine gives no free energy or
                no stress.
        """
        super().calculate(atoms, list(properties), list(system_changes))  # type: ignore[no-untyped-call]
        crystal, engine = self.engine.crystal, self.engine
        current = self._atoms()
        deformation = _deformation(current, crystal)
        rotation = _rotation(current, deformation, crystal)
        if self.atoms_are == "follow":
            state = self._evaluator.solve(deformation)
            places = state.positions if state.knows("positions") else crystal.positions_ref
            placement = _Placement.find(current, places, state.lattice, crystal)
        else:
            assert isinstance(engine, FirstPrinciplesEngine)
            lattice = deformation.lattice(crystal)
            placement = _Placement.find(current, crystal.positions_ref, lattice, crystal)
            positions = placement.in_crystal(current.get_scaled_positions(wrap=False))
            if crystal.inversion_centre is None:  # internal coordinates are displacements relative to the first atom
                positions -= positions[0] - crystal.positions_ref[0]
            state = engine.evaluate(deformation, crystal.internal(positions))
        if state.stress is None or not state.knows("free_energy"):
            raise InputError("this engine gives no free energy or no stress")
        self.state, self._placement = state, placement
        forces = np.zeros((crystal.n_atoms, 3))
        if self.atoms_are == "held":
            assert state.forces is not None
            forces[placement.atoms] = state.forces @ rotation.T * EV_PER_ANGSTROM
        self.results = {
            "energy": state.free_energy * EV,
            "free_energy": state.free_energy * EV,
            "stress": to_voigt(rotation @ state.stress @ rotation.T) * EV_PER_CUBIC_ANGSTROM,
            "forces": forces,
        }

    def relaxed_atoms(self) -> Atoms:
        """The atoms of the last calculation at their relaxed positions, in their own order and orientation.

        Raises:
            InputError: nothing has been calculated yet, or the engine does not know positions.
        """
        state, placement = self._last()
        if not state.knows("positions"):
            raise InputError("this engine does not know where the atoms go")
        atoms: Atoms = self._atoms().copy()
        unrelaxed, relaxed = atoms.get_scaled_positions(wrap=False), placement.in_atoms(state.positions)
        atoms.set_scaled_positions(relaxed + np.rint(unrelaxed - relaxed))
        return atoms

    def density(self, shape: tuple[int, int, int]) -> FloatArray:
        """Electron density of the last calculation on a grid (n1, n2, n3), electrons/Å³.

        Element [i, j, k] is at the fractional coordinates (i/n1, j/n2, k/n3) of the ``Atoms`` that it was calculated
        for, with their origin and axes.

        Raises:
            InputError: nothing has been calculated yet, or the engine gives no density.
        """
        state, placement = self._last()
        if state.fields is None or "density" not in state.fields:
            raise InputError("this engine gives no density")
        return state.fields.on_grid("density", shape, -placement.shift) / ANGSTROM**3

    def _atoms(self) -> Atoms:
        if not isinstance(self.atoms, Atoms):
            raise InputError("this calculator needs atoms to calculate")
        return self.atoms

    def _last(self) -> tuple[CellState, _Placement]:
        if self.state is None or self._placement is None:
            raise InputError("nothing has been calculated yet: ask for an energy first")
        return self.state, self._placement


def _deformation(atoms: Atoms, crystal: Crystal) -> Deformation:
    """D of the atoms' cell, whatever its orientation.

    Raises:
        InputError: the atoms are not a deformation of the crystal, carry moments or a charge, or are not periodic.
    """
    if len(atoms) != crystal.n_atoms or sorted(atoms.get_chemical_symbols()) != sorted(crystal.species):
        raise InputError(
            f"atoms: {atoms.get_chemical_formula()} is not a deformation of this engine's {_formula(crystal)}"
        )
    if has_moments(atoms, results=False):
        raise InputError("atoms carry magnetic moments: spin polarisation is not supported")
    if abs(net_charge(atoms)) > 1e-6:
        raise InputError(f"atoms carry a net charge of {net_charge(atoms):g} (initial charges): cells must be neutral")
    if not atoms.pbc.all():
        raise InputError("atoms must be periodic in all three directions (atoms.pbc = True)")
    try:
        return Deformation.from_lattice(atoms.cell.array / ANGSTROM, crystal)
    except InputError as error:
        raise InputError(f"atoms: the cell is not a deformation of this engine's crystal: {error}") from error


def _rotation(atoms: Atoms, deformation: Deformation, crystal: Crystal) -> FloatArray:
    """Rotation Q (3, 3) from the engine's frame to that of the atoms: a_atoms = Q a for each lattice vector a."""
    return np.asarray(np.linalg.solve(deformation.lattice(crystal), atoms.cell.array / ANGSTROM).T)


def _formula(crystal: Crystal) -> str:
    return "".join(f"{s}{crystal.species.count(s)}" for s in dict.fromkeys(crystal.species))


@dataclass(frozen=True, eq=False)
class _Placement:
    """Order and origin of the user's atoms relative to those of the crystal.

    Attributes:
        atoms: (N,) index of the user's atom that corresponds to each atom of the crystal.
        shift: (3,) fractional; the user's coordinates are the crystal's plus this shift.
    """

    atoms: IntArray
    shift: FloatArray

    @classmethod
    def find(cls, atoms: Atoms, places: FloatArray, lattice: FloatArray, crystal: Crystal) -> _Placement:
        """Find the assignment and translation for which the largest distance of an atom from its place is smallest.

        Args:
            atoms: the user's atoms.
            places: (N, 3) fractional coordinates at which the crystal's atoms are expected.
            lattice: (3, 3) rows are lattice vectors, Bohr.
            crystal: the reference crystal.

        Raises:
            InputError: an atom is far from every place.
        """
        positions = atoms.get_scaled_positions(wrap=False)
        symbols = np.array(atoms.get_chemical_symbols())
        wrong = np.where(np.array(crystal.species)[:, None] == symbols[None, :], 0.0, _IMPOSSIBLE)
        best: tuple[float, _Placement] | None = None
        for candidate in np.flatnonzero(symbols == crystal.species[0]):
            shift = positions[candidate] - places[0]
            _, order = linear_sum_assignment(_squared_distances(places + shift, positions, lattice) + wrong)
            offset = positions[order] - places - shift
            shift = shift + (offset - np.rint(offset)).mean(axis=0)
            off = positions[order] - places - shift
            distance = float(np.linalg.norm((off - np.rint(off)) @ lattice, axis=1).max())
            if best is None or distance < best[0]:
                best = distance, cls(order, shift)
        assert best is not None  # atoms and crystal have the same elements
        off = places - crystal.positions_ref
        moved = float(np.linalg.norm((off - np.rint(off)) @ lattice, axis=1).max())
        if best[0] > _NEAR + moved:
            raise InputError(
                f"atoms are not a deformation of this engine's crystal: one lies {best[0]:.2f} Bohr from its place "
                f"(at most {_NEAR + moved:.2f})"
            )
        return best[1]

    def in_crystal(self, positions: FloatArray) -> FloatArray:
        """The user's fractional positions (N, 3) in the crystal's order and origin."""
        return np.asarray(positions[self.atoms] - self.shift)

    def in_atoms(self, positions: FloatArray) -> FloatArray:
        """The crystal's fractional positions (N, 3) in the user's order and origin."""
        result = np.empty_like(positions)
        result[self.atoms] = positions + self.shift
        return result


def _squared_distances(places: FloatArray, positions: FloatArray, lattice: FloatArray) -> FloatArray:
    """(N, N) squared distances between nearest periodic images, Bohr²."""
    off = places[:, None] - positions[None, :]
    return np.asarray((((off - np.rint(off)) @ lattice) ** 2).sum(axis=2))
