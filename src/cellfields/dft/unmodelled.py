"""Physics that the engines leave out although a crystal needs it: spin polarisation and dispersion forces.

    spin         Cr, Mn, Fe, Co, Ni, Ce … Tm in any crystal; V and Cu with O or F; O₂ (an O–O bond shorter than 1.4 Å)
    dispersion   sheets, bonded in two directions only, whose nearest atoms are 0.85 … 1.5 Σ r_vdW apart

The elements are those whose solids order magnetically (J. M. D. Coey, Magnetism and Magnetic Materials, Cambridge 2010,
chapter 5), with the d³ … d⁹ oxides and fluorides. Atoms are bonded within 1.3 of the sum of their covalent radii
(Cordero et al. 2008); van der Waals radii are Alvarez's (2013); both tables are ASE's. A sheet in a wide vacuum is not
counted as a layered crystal.
"""

from __future__ import annotations

import warnings

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from ase.neighborlist import neighbor_list

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.errors import PhysicsWarning

MAGNETIC = frozenset(
    ("Cr", "Mn", "Fe", "Co", "Ni", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm")
)
MAGNETIC_WITH_OXYGEN_OR_FLUORINE = frozenset(("V", "Cu"))
_OXYGEN_MOLECULE = 1.4  # Å; peroxides have 1.45 and closed shells
_BONDED = 1.3  # of the sum of covalent radii
_TOUCHING, _VACUUM = 0.85, 1.5  # of the sum of van der Waals radii: 3.0 and 5.3 Å for carbon
_FAR = 8.0  # Å, farther than any layers whose dispersion forces count


def missing_physics(crystal: Crystal, *, smearing: str | None = None) -> tuple[str, ...]:
    """One sentence for each kind of physics that a crystal is likely to need and that the engines leave out.

    Args:
        crystal: the reference crystal.
        smearing: as in the settings; with "none" the sentence about spin warns that the crystal may be a metal.
    """
    sentences = []
    if magnetic := magnetic_elements(crystal):
        sentence = (
            f"{', '.join(magnetic)} may carry magnetic moments, and spin polarisation is not there: the crystal is "
            "solved without spin, and its energies, lengths and stress are those of a non-magnetic state"
        )
        if smearing == "none":
            sentence += '; without spin it is likely to be a metal, which smearing = "none" cannot solve'
        sentences.append(sentence)
    if (distance := layer_distance(crystal)) is not None:
        sentences.append(
            f"the crystal consists of layers {distance:.2f} Å apart, which dispersion forces bind, and the functional "
            "has none: stress and energies across the layers are not to be trusted"
        )
    return tuple(sentences)


def warn_of_missing_physics(crystal: Crystal, *, smearing: str | None = None, stacklevel: int = 3) -> None:
    """Issue each sentence of :func:`missing_physics` as a PhysicsWarning.

    Args:
        crystal: the reference crystal.
        smearing: as in the settings.
        stacklevel: of the warning; by default it points at the caller's caller.
    """
    for sentence in missing_physics(crystal, smearing=smearing):
        warnings.warn(sentence, PhysicsWarning, stacklevel=stacklevel)


def magnetic_elements(crystal: Crystal) -> tuple[str, ...]:
    """Elements that are likely to carry magnetic moments, in the crystal's order; O where it forms molecules."""
    elements = tuple(dict.fromkeys(crystal.species))
    magnetic = set(MAGNETIC)
    if {"O", "F"} & set(elements):
        magnetic |= MAGNETIC_WITH_OXYGEN_OR_FLUORINE
    if "O" in elements and len(neighbor_list("i", crystal.to_atoms(), {("O", "O"): _OXYGEN_MOLECULE})):
        magnetic.add("O")
    return tuple(symbol for symbol in elements if symbol in magnetic)


def layer_distance(crystal: Crystal) -> float | None:
    """Shortest distance in Å between atoms of different layers of a layered crystal; None where it is not layered."""
    atoms = crystal.to_atoms()
    numbers = np.array([atomic_numbers[symbol] for symbol in crystal.species])
    first, second, steps, distances = neighbor_list("ijSd", atoms, _FAR)
    bonded = distances < _BONDED * (covalent_radii[numbers[first]] + covalent_radii[numbers[second]])
    part, offset, sheet = _parts(len(atoms), first[bonded], second[bonded], steps[bonded])
    if any(np.linalg.matrix_rank(vectors) != 2 for vectors in sheet.values()):
        return None
    # A neighbour is of another layer where its part differs, or its own part does not reach that image.
    within = offset[first] + steps - offset[second]
    other = np.array(
        [
            part[i] != part[j] or np.linalg.matrix_rank(np.vstack([sheet[int(part[i])], w])) > 2
            for i, j, w in zip(first, second, within, strict=True)
        ],
        dtype=bool,
    )
    if not other.any():
        return None
    ratio = distances[other] / (vdw_radii[numbers[first[other]]] + vdw_radii[numbers[second[other]]])
    return float(distances[other].min()) if _TOUCHING <= np.nanmin(ratio, initial=np.inf) <= _VACUUM else None


def _parts(
    count: int, first: IntArray, second: IntArray, steps: IntArray
) -> tuple[IntArray, IntArray, dict[int, FloatArray]]:
    """The bonded parts of a crystal.

    Args:
        count: number of atoms N.
        first: (B,) one atom of each bond.
        second: (B,) the other atom.
        steps: (B, 3) the cell in which the other atom lies.

    Returns:
        The part of each atom (N,), its cell within the part (N, 3), and part → the vectors (n, 3) of its lattice.
    """
    part, offset = np.full(count, -1), np.zeros((count, 3), dtype=np.int64)
    vectors: dict[int, list[IntArray]] = {}
    for seed in range(count):
        if part[seed] >= 0:
            continue
        part[seed], waiting = seed, [seed]
        vectors[seed] = [np.zeros(3, dtype=np.int64)]
        while waiting:
            atom = waiting.pop()
            for bond in np.flatnonzero(first == atom):
                neighbour, cell = second[bond], offset[atom] + steps[bond]
                if part[neighbour] < 0:
                    part[neighbour], offset[neighbour] = seed, cell
                    waiting.append(int(neighbour))
                else:
                    vectors[seed].append(cell - offset[neighbour])
    return part, offset, {seed: np.unique(np.array(rows), axis=0).astype(float) for seed, rows in vectors.items()}
