"""The result type of every engine: what is known of one deformed cell (paper, eq. 8, 10 and 11).

CellState(D) = (R̄ᵉ, ρ̄, φ̄, ū, s̄, F, …)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.state.fields import ElectronicFields
from cellfields.state.quantities import ENERGIES, FIELDS, quantity

UNITS = {
    "energy": "Hartree per cell of the crystal given",
    "length": "Bohr",
    "positions": "fractional",
    "internal": quantity("internal").unit,
    "forces": quantity("forces").unit,
    "stress": f"{quantity('stress').unit}, tension positive",
    "angles": "degrees",
}


@dataclass(frozen=True, eq=False)
class CellState:
    """What an engine knows of one deformed cell: plain data in Hartree atomic units, for one cell of the crystal.

    Attributes:
        deformation: D, relative to the reference cell.
        lattice: (3, 3) rows, Bohr, standard frame.
        positions: (N, 3) fractional coordinates of the atoms.
        internal: (n_int,) internal coordinates, fractional.
        free_energy: F = E − TS, Hartree.
        band_energy: U = Σ w f E, Hartree (paper, eq. 5, 17; the mean of V_H + V_loc is zero), or None.
        entropic_energy: −TS = −S/β, Hartree, or None.
        fermi_energy: E_F, Hartree (for an insulator the middle of the gap), or None.
        forces: (N, 3) on the atoms, Cartesian, Hartree/Bohr, or None.
        stress: (3, 3) Cauchy, tension positive, Hartree/Bohr³, or None.
        fields: ρ, φ, u, s and other stored fields, or None.
        energy_terms: name → Hartree, the parts that F is the sum of (may be empty).
        provenance: which code computed the state, in what time and how many iterations: numbers and strings only.
        unknown: names out of ``free_energy`` and ``internal`` (which stands for ``positions`` too) that are not known
            and therefore nan. States imported from another code may lack them; an engine's states never do.
    """

    deformation: Deformation
    lattice: FloatArray
    positions: FloatArray
    internal: FloatArray
    free_energy: float
    band_energy: float | None = None
    entropic_energy: float | None = None
    fermi_energy: float | None = None
    forces: FloatArray | None = None
    stress: FloatArray | None = None
    fields: ElectronicFields | None = None
    energy_terms: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    def knows(self, name: str) -> bool:
        """Whether a quantity is known: an attribute of this class, or a field by its name, declared or not."""
        if self.fields is not None and name in self.fields:
            return True
        if name in FIELDS:
            return False
        if name == "positions":
            name = "internal"
        return name not in self.unknown and getattr(self, name, None) is not None

    @property
    def volume(self) -> float:
        """Volume of the deformed cell, Bohr³."""
        return float(np.linalg.det(self.lattice))

    def to_dict(self) -> dict[str, Any]:
        """Everything but the fields, as plain JSON data with a ``units`` entry; unknown quantities are left out."""
        table: dict[str, Any] = {"deformation": self.deformation.as_array().tolist()}
        for name in ENERGIES:
            if self.knows(name):
                table[name] = getattr(self, name)
        for name in ("positions", "internal", "lattice", "forces", "stress"):
            if self.knows(name):
                table[name] = getattr(self, name).tolist()
        table["energy_terms"] = dict(self.energy_terms)
        table["provenance"] = dict(self.provenance)
        table["units"] = dict(UNITS)
        return table
