"""Deformations that are one crystal seen along different axes, so that one solve gives the states of all of them.

    a'_i = Σ_j W_ij a_j ,   x' = x W⁻¹ + t          W a signed permutation that maps the reference crystal onto itself
    F(D') = F(D) ,   ξ' and σ' follow ,   f'_{m'} = f_m exp 2πi[(m' − m)·x₀ − m'·t] ,   m' = m Wᵀ

For the paper's orthorhombic magnesium cell these are the sign changes of two of the three angles θ − 90° (mmm), four
images of each strain. A Brillouin-zone mesh must be as symmetric as the crystal (only permuted axes can break it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from cellfields._typing import Array, FloatArray, IntArray
from cellfields.crystal import SYMMETRY_TOLERANCE, Crystal
from cellfields.crystal.deformation import Deformation, lengths_and_angles
from cellfields.crystal.kinematics import deformation_of_lattice
from cellfields.errors import InputError
from cellfields.state.cell_state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis


@dataclass(frozen=True, eq=False)
class AxisOperation:
    """A relabelling of the lattice vectors, with signs, that maps the reference crystal onto itself.

    Attributes:
        axes: (3, 3) signed permutation W.
        shift: (3,) t, fractional.
        atoms: (N,) index of the atom whose place each atom is mapped to.
    """

    axes: IntArray
    shift: FloatArray
    atoms: IntArray

    def leaves(self, kmesh: Sequence[int] | None) -> bool:
        """Whether the operation maps a Γ-centred k mesh on the crystal's cell onto itself.

        Args:
            kmesh: its three numbers; None, where they are not known, gives True only if every axis keeps its place.
        """
        if kmesh is None:
            return bool(np.array_equal(np.abs(self.axes), np.eye(3)))
        return bool(np.array_equal(np.abs(self.axes) @ np.asarray(kmesh), np.asarray(kmesh)))

    def deformation(self, crystal: Crystal, deformation: Deformation) -> Deformation:
        """The image D' of a deformation D of the crystal, rounded to 1e-10."""
        reference, _ = lengths_and_angles(crystal.lattice_ref)
        values = deformation_of_lattice(self.axes @ deformation.lattice(crystal), reference)
        # Rounding errors on the way through the lattice must not make new deformations out of rounded ones.
        return Deformation.from_array(np.round(values, 10))

    def state(self, crystal: Crystal, state: CellState) -> CellState:
        """The image of a state: that of D', with positions, forces, stress and fields in the standard frame of D'.

        Raises:
            InputError: the crystal has no inversion centre, and the state has fields but does not know its positions.
        """
        deformation = self.deformation(crystal, state.deformation)
        lattice = deformation.lattice(crystal)
        turn = np.linalg.solve(self.axes @ state.lattice, lattice)  # v' = v R, rows
        positions = np.empty_like(state.positions)
        positions[self.atoms] = state.positions @ np.linalg.inv(self.axes) + self.shift
        offset = np.zeros(3)
        if not state.knows("internal"):
            if crystal.inversion_centre is None and state.fields is not None:
                raise InputError("the image of a field without an inversion centre needs its atoms' positions")
            positions, internal = state.positions, state.internal
        else:
            if crystal.inversion_centre is None:  # the first atom of the crystal stays at its place, by convention
                offset = crystal.positions_ref[0] - positions[0]
            internal = crystal.internal(positions + offset)
            positions = crystal.positions(internal)
        forces = None
        if state.forces is not None:
            forces = np.empty_like(state.forces)
            forces[self.atoms] = state.forces @ turn
        return replace(
            state,
            deformation=deformation,
            lattice=lattice,
            positions=positions,
            internal=internal,
            forces=forces,
            stress=None if state.stress is None else turn.T @ state.stress @ turn,
            fields=None if state.fields is None else self._fields(state.fields, self.shift + offset),
        )

    def closes(self, basis: FourierBasis) -> bool:
        """Whether a Fourier basis holds the image of each of its m.

        Where axes are alike only within rounding, it may lack some at the cutoff.
        """
        try:
            _image(basis, self)
        except KeyError:
            return False
        return True

    def _fields(self, fields: ElectronicFields, shift: FloatArray) -> ElectronicFields:
        rows, mirrored, image = _image(fields.basis, self)
        phase = np.exp(2j * np.pi * ((image - fields.basis.indices) @ fields.basis.origin - image @ shift))
        if fields.basis.real and np.abs(phase.imag).max() > 1e-6:
            raise InputError("the operation does not map the inversion centre onto one")
        moved = _MovedCoefficients(fields.coefficients, fields.basis.real, phase, mirrored, rows)
        return ElectronicFields(fields.basis, moved, fields.volume)


@dataclass(frozen=True, eq=False)
class _MovedCoefficients(Mapping[str, Array]):
    """Coefficients of an image, computed from the source's on access, so that thousands of images take no memory."""

    source: Mapping[str, Array]
    real: bool
    phase: Array
    mirrored: Array
    rows: IntArray

    def __getitem__(self, name: str) -> Array:
        values = np.asarray(self.source[name]) * (self.phase.real if self.real else self.phase)
        values = values if self.real else np.where(self.mirrored, values.conj(), values)
        moved = np.empty_like(values)
        moved[self.rows] = values
        return np.asarray(moved)

    def __iter__(self) -> Iterator[str]:
        return iter(self.source)

    def __len__(self) -> int:
        return len(self.source)


def axis_operations(crystal: Crystal, tolerance: float = SYMMETRY_TOLERANCE) -> tuple[AxisOperation, ...]:
    """All operations of a crystal, identity first; one of each pair ±W where the crystal has an inversion centre.

    Where the inversion centre is free there is the identity only: a state that has broken it is one of several of
    equal energy, and an operation might give another one of them than a solve finds.

    Args:
        crystal: the reference crystal.
        tolerance: distance in Bohr within which images of atoms must meet.
    """
    metric = crystal.lattice_ref @ crystal.lattice_ref.T
    operations: list[AxisOperation] = []
    for axes in _signed_permutations():
        if np.abs(axes @ metric @ axes.T - metric).max() > tolerance * np.sqrt(metric.max()):
            continue
        if crystal.inversion_centre is not None and any(np.array_equal(axes, -other.axes) for other in operations):
            continue
        operation = _with_shift(crystal, axes, tolerance)
        if operation is not None:
            operations.append(operation)
    return tuple(operations[:1]) if crystal.inversion == "free" else tuple(operations)


def _signed_permutations() -> list[IntArray]:
    matrices = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), dtype=np.int64)
            matrix[np.arange(3), order] = signs
            matrices.append(matrix)
    return matrices


def _with_shift(crystal: Crystal, axes: IntArray, tolerance: float) -> AxisOperation | None:
    """The operation W with the shift that maps the crystal's atoms onto atoms, or None where there is no such shift."""
    species = np.array(crystal.species)
    turned = crystal.positions_ref @ np.linalg.inv(axes)
    for target in np.flatnonzero(species == species[0]):
        shift = crystal.positions_ref[target] - turned[0]
        difference = (turned + shift)[:, None] - crystal.positions_ref[None]
        difference -= np.rint(difference)
        distance = np.linalg.norm(difference @ crystal.lattice_ref, axis=2)
        atoms = distance.argmin(axis=1)
        if distance.min(axis=1).max() > tolerance or (species[atoms] != species).any():
            continue
        if len(set(atoms.tolist())) == len(atoms):
            shift = shift - difference[np.arange(len(atoms)), atoms].mean(axis=0)
            return AxisOperation(axes, shift - np.rint(shift), atoms)
    return None


@lru_cache(maxsize=256)
def _image(basis: FourierBasis, operation: AxisOperation) -> tuple[IntArray, Array, IntArray]:
    """For each m of a basis: the row of its image m' or of −m' (M,), whether it is that of −m' (M,), and m' (M, 3).

    Raises:
        KeyError: the basis does not hold an image.
    """
    image = basis.indices @ operation.axes.T
    place = {tuple(m): row for row, m in enumerate(basis.indices.tolist())}
    rows, mirrored = np.empty(len(image), dtype=np.int64), np.zeros(len(image), dtype=bool)
    for i, m in enumerate(image.tolist()):
        row = place.get(tuple(m))
        if row is None:
            row, mirrored[i] = place[(-m[0], -m[1], -m[2])], True
        rows[i] = row
    return rows, mirrored, image
