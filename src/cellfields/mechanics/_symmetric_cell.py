"""The strains of a cell that keep the symmetry of its crystal, and the stress that does work on them.

    C = FᵀF = 1 + 2 Σ_k y_k M_k ,   Q M_k Qᵀ = M_k  for all Q ∈ G ,   g_k = ∂w/∂y_k = S : M_k           w = 𝓕/V⁰

A search in y cannot leave the symmetry: noise in the stress does not make a cubic crystal tetragonal. G are those
rotations and reflections of the crystal that its k mesh shares: the computed energy has no other symmetry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.voigt import from_voigt
from cellfields.engines.contract import Engine, kmesh_of
from cellfields.errors import InputError
from cellfields.mechanics.coordinates import Components, active_components
from cellfields.mechanics.moduli import point_group
from cellfields.mechanics.stress_measures import Stress
from cellfields.state import CellState

_INTEGER = 1e-6
_INDEPENDENT = 1e-6
_SAME_STRAIN = 1e-4  # larger than the error of rounding D to six digits


def shared_by_mesh(crystal: Crystal, operations: FloatArray, kmesh: Sequence[int] | None) -> FloatArray:
    """Those of the operations (n, 3, 3), Cartesian, that map a Γ-centred mesh onto itself.

    Of an unknown mesh (None) only operations that map each axis of the cell onto itself or its reverse are kept: every
    mesh shares these.
    """
    lattice = crystal.lattice_ref
    turned = lattice @ np.swapaxes(operations, 1, 2) @ np.linalg.inv(lattice)  # a'_i = Σ_j W_ij a_j
    if kmesh is None:
        is_shared = np.abs(turned - turned * np.eye(3)).max(axis=(1, 2)) < _INTEGER
    else:
        # The mesh is the lattice of b_i / n_i, which is the reciprocal lattice of the cell n_i a_i.
        size = np.asarray(kmesh, dtype=float)
        large = turned * size[:, None] / size[None, :]
        is_shared = np.abs(large - np.rint(large)).max(axis=(1, 2)) < _INTEGER
    return np.asarray(operations[is_shared])


def lost_to_the_mesh(engine: Engine) -> bool:
    """Whether the engine's k mesh is known and lacks a symmetry that its reference crystal has."""
    kmesh, operations = kmesh_of(engine), point_group(engine.crystal)
    return kmesh is not None and len(shared_by_mesh(engine.crystal, operations, kmesh)) < len(operations)


@dataclass(frozen=True, eq=False)
class SymmetricCell:
    """Coordinates y of cells that keep a symmetry.

    Attributes:
        crystal: the reference crystal.
        patterns: (m, 3, 3) M_k, orthonormal; those without shear come first.
        base: (3, 3) C at y = 0.
    """

    crystal: Crystal
    patterns: FloatArray
    base: FloatArray

    @classmethod
    def of(cls, engine: Engine, components: Components, begin: Deformation | None) -> SymmetricCell:
        """Coordinates that keep the symmetry shared by the crystal, the mesh, and a strain to begin with.

        Args:
            engine: the engine, which holds the crystal and, where it is known, the k mesh.
            components: "axial" keeps right angles, "all" frees all six components.
            begin: D where y = 0; a symmetry that it has within 1e-4 of strain is made exact. None is the reference
                cell.

        Raises:
            InputError: components is neither "axial" nor "all".
        """
        crystal, count = engine.crystal, len(active_components(components))
        operations = shared_by_mesh(crystal, point_group(crystal), kmesh_of(engine))
        base = np.eye(3)
        if begin is not None:
            gradient = begin.deformation_gradient(crystal)
            base = gradient.T @ gradient
            change = operations @ base @ np.swapaxes(operations, 1, 2) - base
            operations = operations[np.abs(change).max(axis=(1, 2)) < _SAME_STRAIN]
            base = np.mean(operations @ base @ np.swapaxes(operations, 1, 2), axis=0)  # symmetric exactly
        return cls(crystal, _patterns(operations, count), base)

    def deformation(self, y: FloatArray) -> Deformation:
        """D at the coordinates y (m,).

        Raises:
            InputError: no cell has these y, or D is out of its range.
        """
        metric = self.base + 2 * np.einsum("k,kij->ij", y, self.patterns)
        try:
            upper = np.asarray(np.linalg.cholesky(metric).T)
        except np.linalg.LinAlgError:
            raise InputError(f"strain components {np.round(y, 6).tolist()} close no cell") from None
        return Deformation.from_deformation_gradient(upper, self.crystal)

    def gradient(self, state: CellState) -> FloatArray:
        """g (m,) of a state: the stress that does work on y, Hartree/Bohr³.

        Raises:
            InputError: the state does not know its stress.
        """
        return np.asarray(np.einsum("kij,ij->k", self.patterns, Stress.of(state, self.crystal).second_piola))

    def forbidden(self, state: CellState) -> float:
        """Largest component of the second Piola–Kirchhoff stress outside the patterns, Hartree/Bohr³."""
        second = Stress.of(state, self.crystal).second_piola
        return float(np.abs(second - np.einsum("k,kij->ij", self.gradient(state), self.patterns)).max())


def _patterns(operations: FloatArray, count: int) -> FloatArray:
    """Orthonormal symmetric matrices that the operations leave alone, from the first ``count`` Voigt components."""
    patterns: list[FloatArray] = []
    for unit in from_voigt(np.eye(6))[:count]:
        average = np.einsum("nai,nbj,ij->ab", operations, operations, unit) / len(operations)
        if count < 6 and np.abs(average - np.diag(np.diagonal(average))).max() > _INDEPENDENT:
            average = unit  # the operations mix free and fixed components: no symmetry is used
        for other in patterns:
            average = average - np.sum(other * average) * other
        length = float(np.linalg.norm(average))
        if length > _INDEPENDENT:
            patterns.append(average / length)
    return np.array(patterns)
