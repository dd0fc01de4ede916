"""Make a state of the crystal from what a source says of one cell; whatever it does not say stays unknown.

cell          D as given, or the lattice vectors of the structure, or of a field's file
atoms         ξ as given, or the structure's atoms, or those of a field's file
fields        each on the grid of its own file, whose atoms say where its origin is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset.importing.projection import project
from cellfields.dataset.importing.structure import Match, match
from cellfields.errors import InputError
from cellfields.formats.grid_field import GridField, Structure
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis

_CELLS_AGREE = 1e-3  # relative: cell files are written with six digits or more
_ATOMS_AGREE = 0.02  # Bohr


@dataclass(frozen=True, eq=False)
class Record:
    """One cell as its source describes it. What is None, or an entry that is left out, is not known.

    Attributes:
        name: of the file, folder or row, for messages.
        deformation: D.
        internal: (n_int,) ξ.
        structure: cell and atoms; ``forces`` and ``stress`` are in its frame and order.
        energies: free_energy, band_energy, entropic_energy, fermi_energy: Hartree per cell of the crystal.
        electrons: how many the source itself says that the cell has; its density must have them.
        forces: (N, 3) Hartree/Bohr.
        stress: (3, 3) Hartree/Bohr³, tension positive; without a structure in the frame a ∥ x, b in the xy plane.
        fields: field → values on a grid.
        provenance: plain data, kept in the state's.
    """

    name: str
    deformation: Deformation | None = None
    internal: FloatArray | None = None
    structure: Structure | None = None
    energies: Mapping[str, float] = field(default_factory=dict)
    electrons: float | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    fields: Mapping[str, GridField] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def state_of(record: Record, crystal: Crystal, cutoff: float, max_loss: float) -> CellState:
    """The state that a record describes.

    Args:
        record: of one cell.
        crystal: the reference crystal.
        cutoff: ½|G⁰|² up to which fields are kept, Hartree.
        max_loss: part of a field (relative L²) that may be lost, to its asymmetry as to the cutoff.

    Raises:
        InputError: no deformation of this crystal, contradictions, or a field that loses too much; the message is one
            sentence about "it", the record.
    """
    structure_match = None if record.structure is None else match(crystal, record.structure)
    matches = {name: match(crystal, grid_field.structure) for name, grid_field in record.fields.items()}
    all_matches = [one_match for one_match in (structure_match, *matches.values()) if one_match is not None]
    deformation = record.deformation or (all_matches[0].deformation if all_matches else None)
    if deformation is None:
        raise InputError("it says nothing of its cell: neither D, nor lattice vectors, nor a file that holds them")
    lattice = deformation.lattice(crystal)
    internal = record.internal if record.internal is not None or not all_matches else all_matches[0].internal
    if internal is None and crystal.n_internal == 0:
        internal = np.zeros(0)
    _require_agreement(crystal, lattice, internal, all_matches)
    unknown = {"internal": internal is None, "free_energy": "free_energy" not in record.energies}
    fields, losses = _fields(record, matches, crystal, lattice, cutoff, max_loss)
    forces, stress = _in_standard_frame(record, structure_match)
    return CellState(
        deformation=deformation,
        lattice=lattice,
        positions=np.full((crystal.n_atoms, 3), np.nan) if internal is None else crystal.positions(internal),
        internal=np.full(crystal.n_internal, np.nan) if internal is None else np.asarray(internal, dtype=float),
        forces=forces,
        stress=stress,
        fields=fields,
        provenance={"engine": "imported", "source": record.name, **record.provenance, **losses},
        unknown=frozenset(name for name, lacking in unknown.items() if lacking),
        **{"free_energy": np.nan, **record.energies},  # type: ignore[arg-type]
    )


def _require_agreement(
    crystal: Crystal, lattice: FloatArray, internal: FloatArray | None, all_matches: list[Match]
) -> None:
    for one_match in all_matches:
        lattice_of_match = one_match.deformation.lattice(crystal)
        if not np.allclose(lattice_of_match, lattice, rtol=0, atol=_CELLS_AGREE * np.abs(lattice).max()):
            raise InputError(
                f"it contradicts itself: one place says D = {lattice_words(one_match.deformation)}, another has other "
                "lattice vectors"
            )
        if internal is not None and internal.shape == one_match.internal.shape and internal.size:
            apart = np.linalg.norm((internal - one_match.internal).reshape(-1, 3) @ lattice, axis=1).max()
            if apart > _ATOMS_AGREE:
                raise InputError(f"it contradicts itself: an atom is in two places {apart:.3g} Bohr apart")


def lattice_words(deformation: Deformation) -> str:
    """The six components of D with six digits, in parentheses, for a message."""
    return "(" + ", ".join(f"{x:.6g}" for x in deformation.as_array()) + ")"


def _fields(
    record: Record,
    matches: Mapping[str, Match],
    crystal: Crystal,
    lattice: FloatArray,
    cutoff: float,
    max_loss: float,
) -> tuple[ElectronicFields | None, dict[str, Any]]:
    if not record.fields:
        return None, {}
    basis = FourierBasis.for_crystal(crystal, cutoff)
    volume = float(np.linalg.det(lattice))
    coefficients, losses = {}, {}
    for name, grid_field in record.fields.items():
        coefficients[name], loss = project(name, grid_field, matches[name].shift, volume, basis, crystal, cutoff)
        if loss.asymmetry > max_loss:
            raise InputError(
                f"{100 * loss.asymmetry:.2g} % of its {name} (relative L²) break the translations or the inversion of "
                f"the crystal (at most {100 * max_loss:g} %): does the crystal have the symmetry that was computed?"
            )
        if loss.cutoff > max_loss:
            raise InputError(
                f"{100 * loss.cutoff:.2g} % of its {name} (relative L²) lie beyond {cutoff:g} Ha (at most "
                f"{100 * max_loss:g} %): choose a higher field_cutoff"
            )
        losses[name] = {"asymmetry": loss.asymmetry, "cutoff": loss.cutoff}
    return ElectronicFields(basis, coefficients, volume), {"losses": losses}


def _in_standard_frame(record: Record, structure_match: Match | None) -> tuple[FloatArray | None, FloatArray | None]:
    forces, stress = record.forces, record.stress
    if structure_match is not None and forces is not None:
        forces = forces[structure_match.order] @ structure_match.rotation
    if structure_match is not None and stress is not None:
        stress = structure_match.rotation.T @ stress @ structure_match.rotation
    return forces, stress
