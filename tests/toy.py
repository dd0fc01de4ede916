"""An engine with a closed formula, for tests of everything downstream of an engine. Not physics, but smooth and exact.

atoms relax to ξ(D) = A·(quadratic in the strain);  ρ = superposed Gaussians at the relaxed atoms;  F = polynomial
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis


def magnesium() -> Crystal:
    """The paper's four-atom cell."""
    return Crystal.from_lengths_and_angles(
        [5.89, 10.201779256580686, 9.56],
        [90, 90, 90],
        ["Mg"] * 4,
        [[0, 0, 0], [0.5, 0.5, 0], [0, 2 / 3, 0.5], [0.5, 1 / 6, 0.5]],
    )


class ToyEngine:
    """Smooth closed-form map with the interface of an engine; picklable."""

    def __init__(self, crystal: Crystal, field_cutoff: float = 4.0) -> None:
        self.crystal = crystal
        self.field_cutoff = field_cutoff

    def solve(self, deformation: Deformation, *, start: Any | None = None) -> CellState:
        crystal = self.crystal
        basis = FourierBasis.for_crystal(crystal, self.field_cutoff)
        strain = (deformation.as_array() - Deformation.identity(crystal).as_array()) * [10, 10, 10, 0.2, 0.2, 0.2]
        n = crystal.n_internal
        mix = np.cos(np.arange(n * 6).reshape(n, 6))
        internal = 0.01 * (mix @ strain) + 0.01 * (mix @ strain) ** 2
        positions = crystal.positions(internal)
        lattice = deformation.lattice(crystal)
        volume = float(np.linalg.det(lattice))
        g2 = ((basis.indices @ (2 * np.pi * np.linalg.inv(lattice).T)) ** 2).sum(axis=1)
        phase = np.exp(-2j * np.pi * (basis.indices @ (positions - basis.origin).T)).sum(axis=1)
        density = 2 * np.exp(-g2 / 1.5) * (phase.real if basis.real else phase)
        energy = -1.8 + 0.01 * float(strain @ np.diag([3, 2, 4, 1, 1.5, 2.0]) @ strain + 0.1 * strain.sum() ** 3)
        with np.errstate(divide="ignore"):
            potential = np.where(g2 > 0, -4 * np.pi / np.where(g2 > 0, g2, 1) * density / volume, 0)
        fields = {
            "density": density,
            "coulomb_potential": potential,
            "band_energy_density": -0.1 * density * (1 + 0.1 * strain[0]),
            "entropy_density": -1e-3 * density * (1 + 0.2 * strain[1] ** 2),
        }
        return CellState(
            deformation=deformation,
            lattice=lattice,
            positions=positions,
            internal=internal,
            free_energy=energy,
            band_energy=float(fields["band_energy_density"][0].real),
            entropic_energy=-0.01 * float(fields["entropy_density"][0].real),
            fermi_energy=0.1 + 0.01 * float(strain[0]),
            stress=np.eye(3) * 1e-4 * strain[0],
            fields=ElectronicFields(basis, fields, volume),
            energy_terms={"total": energy},
            provenance={"engine": "toy", "scf_steps": 7},
        )
