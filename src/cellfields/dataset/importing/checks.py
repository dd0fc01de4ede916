"""Checks that every imported state must pass; one that fails is refused with the number that is wrong.

    ∫ρ = N, whole and the same for all states                        ∫u = U
    σ = σᵀ ,  ‖σ‖ ≤ 500 GPa                                          atoms near their reference places
    |F_i − F_j| ≤ V ‖σ‖_max ‖η_i − η_j‖ + 2 mHa an atom              ‖·‖ Frobenius; η Green–Lagrange strain

The last line is dF = V σ : dη with the largest stress that is accepted: 500 GPa is 290 GPa of pressure, diamond
compressed by more than a tenth in every direction. 2 mHa an atom are what numerical noise may add. A strain of 3 %
explains 0.07 Ha an atom of magnesium at most; an energy in eV among energies in Hartree, or of another reference state,
is off by more. The projection gives φ zero mean. A mistake that violates none of these lines (all energies of a
dataset in eV, an oxide with half of its electrons) is not found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.dataset.importing.structure import formula, shortest_bond
from cellfields.dataset.importing.valence import electron_counts
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.units import ANGSTROM, EV_PER_CUBIC_ANGSTROM, GPA

_MOST_STRESS = 500 / GPA
_NOISE = 2e-3  # Hartree an atom
_SHOWN = 4  # possible electron counts in a message


def electron_tolerance(electrons: float) -> float:
    """Electrons by which a sum over a grid may be wrong: files have six digits, and VASP's grids are good to 1e-5."""
    return 0.01 + 1e-4 * abs(electrons)


@dataclass(frozen=True)
class _Seen:
    name: str
    electrons: float | None
    free_energy: float | None
    strain: FloatArray


@dataclass(eq=False)
class DatasetChecks:
    """The checks of one dataset.

        require(state);  compare(key, state);  … seal it …;  accept(key, state);  measured()

    Attributes:
        crystal: the reference crystal.
        electrons: in its cell, if the study tells; otherwise whole valences must give the number.
    """

    crystal: Crystal
    electrons: float | None = None
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _measured: dict[str, list[float]] = field(default_factory=dict)

    def require(self, state: CellState, electrons: float | None = None) -> None:
        """Check a state by itself.

        Args:
            state: to be checked.
            electrons: how many the source itself says that it has.

        Raises:
            InputError: one sentence about "it", the state.
        """
        measured = self._measure(state)
        if "electrons" in measured:
            self._require_electrons(measured["electrons"], state.volume, electrons)
        if state.stress is not None:
            _require_stress(state.stress)
        limit = shortest_bond(self.crystal) / 4
        if not measured.get("displacement", 0.0) <= limit:
            raise InputError(
                f"an atom is {measured['displacement']:.3g} Bohr from its reference fractional position (at most "
                f"{limit:.3g}, a quarter of the shortest distance): are its internal coordinates fractional?"
            )
        if not measured.get("band_energy", 0.0) <= 1e-3 * abs(state.band_energy or 0.0) + 1e-4:
            raise InputError(
                f"its band_energy_density integrates to a number that is {measured['band_energy']:.3g} Ha from its "
                f"band_energy, {state.band_energy:.6g} Ha: they must be in Hartree/Bohr³ and Hartree per cell"
            )

    def compare(self, key: str, state: CellState) -> None:
        """Check a state against those of other keys.

        Raises:
            InputError: one sentence about "it", the state.
        """
        compared = _seen(self.crystal, state)
        others = [other for name, other in self._seen.items() if name != key]
        for other in others:
            _require_same_electrons(compared, other, state.volume)
        rivals = [other for other in others if other.free_energy is not None]
        if compared.free_energy is None or not rivals:
            return
        apart = np.abs(np.array([other.free_energy for other in rivals], dtype=float) - compared.free_energy)
        strains = np.linalg.norm([other.strain - compared.strain for other in rivals], axis=(1, 2))
        allowed = _MOST_STRESS * state.volume * strains + _NOISE * self.crystal.n_atoms
        worst = int(np.argmax(apart - allowed))
        if apart[worst] > allowed[worst]:
            raise InputError(
                f"its free energy, {compared.free_energy:.6g} Ha, is {apart[worst]:.3g} Ha from that of "
                f"{rivals[worst].name} in the same dataset, where the strain between the two explains "
                f"{allowed[worst]:.2g} Ha at most: both must be per cell of the crystal, of one reference, and in the "
                "unit that the source says (a table's free_energy is in Hartree, free_energy_ev in eV)"
            )

    def remember(self, key: str, state: CellState) -> None:
        """Compare other states from now on with this one, which the dataset holds already."""
        self._seen[key] = _seen(self.crystal, state)

    def accept(self, key: str, state: CellState) -> None:
        """Compare other states with this imported one from now on, and count its numbers in :meth:`measured`."""
        self.remember(key, state)
        for name, value in self._measure(state).items():
            self._measured.setdefault(name, []).append(value)

    def measured(self) -> dict[str, Any]:
        """Ranges and extremes over the accepted states; an entry is None where no state has the quantity.

        Returns:
            ``electrons``: smallest and largest ∫ρ; ``free_energy_range``: largest less smallest F, Hartree an atom;
            ``largest_stress``: of a component, Hartree/Bohr³; ``largest_displacement``: of an atom from its reference
            fractional position, Bohr; ``largest_band_energy_difference``: |∫u − U|, Hartree.
        """
        table = self._measured
        electrons, energies = table.get("electrons"), table.get("free_energy")
        return {
            "electrons": None if electrons is None else [min(electrons), max(electrons)],
            "free_energy_range": None if energies is None else (max(energies) - min(energies)) / self.crystal.n_atoms,
            "largest_stress": max(table.get("stress", ()), default=None),
            "largest_displacement": max(table.get("displacement", ()), default=None),
            "largest_band_energy_difference": max(table.get("band_energy", ()), default=None),
        }

    def _measure(self, state: CellState) -> dict[str, float]:
        measured: dict[str, float] = {}
        if state.knows("free_energy"):
            measured["free_energy"] = float(state.free_energy)
        if state.fields is not None and "density" in state.fields:
            measured["electrons"] = state.fields.integral("density")
        if state.fields is not None and "band_energy_density" in state.fields and state.band_energy is not None:
            measured["band_energy"] = abs(state.fields.integral("band_energy_density") - state.band_energy)
        if state.stress is not None:
            measured["stress"] = float(np.abs(state.stress).max())
        if state.knows("internal") and self.crystal.n_internal:
            moved = np.tensordot(state.internal, self.crystal.internal_basis, axes=1)
            measured["displacement"] = float(np.linalg.norm(moved @ state.lattice, axis=1).max())
        return measured

    def _require_electrons(self, n: float, volume: float, stated: float | None) -> None:
        holds, tolerance = f"its density holds {_number(n)} electrons", electron_tolerance(n)
        wanted, sayer = (stated, "its source says") if self.electrons is None else (self.electrons, "the study says")
        if wanted is not None:
            if abs(n - wanted) > tolerance:
                raise InputError(f"{holds}, where {sayer} {wanted:g}{_likely(n, volume, (wanted,))}")
            return
        possible = electron_counts(self.crystal.species)
        if round(n) in possible and abs(n - round(n)) <= tolerance:
            return
        some = ", ".join(map(str, possible[:_SHOWN])) + (" …" if len(possible) > _SHOWN else "")
        raise InputError(
            f"{holds}, which whole valences of {formula(self.crystal.species)} do not give (they give {some})"
            f"{_likely(n, volume, possible)}; imported.electrons in the study allows another number"
        )


def _seen(crystal: Crystal, state: CellState) -> _Seen:
    gradient = np.linalg.solve(crystal.lattice_ref, state.lattice)
    return _Seen(
        name=str(state.provenance.get("source", "another state")),
        electrons=state.fields.integral("density") if state.fields is not None and "density" in state.fields else None,
        free_energy=float(state.free_energy) if state.knows("free_energy") else None,
        strain=0.5 * (gradient @ gradient.T - np.eye(3)),
    )


def _require_same_electrons(compared: _Seen, other: _Seen, volume: float) -> None:
    n = compared.electrons
    if n is None or other.electrons is None or abs(n - other.electrons) <= electron_tolerance(n):
        return
    raise InputError(
        f"its density holds {_number(n)} electrons, that of {other.name} in the same dataset "
        f"{_number(other.electrons)}: all states of a dataset must have the same number"
        f"{_likely(n, volume, (other.electrons,))}"
    )


def _require_stress(stress: FloatArray) -> None:
    largest = float(np.abs(stress).max())
    skew = float(np.abs(stress - stress.T).max())
    if not skew <= 1e-3 * largest + 1e-6:
        raise InputError(f"its stress is not symmetric: two components differ by {skew * GPA:.3g} GPa")
    if not np.linalg.norm(stress) <= _MOST_STRESS:
        raise InputError(
            f"its stress of {largest * GPA:.4g} GPa is more than any crystal bears (at most {_MOST_STRESS * GPA:.0f} "
            "GPa, root of the sum of squares): a table's stress is in Hartree/Bohr³, stress_gpa in GPa; 1 eV/Å³ is "
            f"{GPA / EV_PER_CUBIC_ANGSTROM:.1f} GPa"
        )


def _number(electrons: float) -> str:
    return f"{electrons:.5g}" if abs(electrons - round(electrons)) > 1e-3 else f"{round(electrons)}"


def _likely(electrons: float, volume: float, wanted: Sequence[float]) -> str:
    """Which mistakes make one of the numbers that are wanted into this one, as the end of a sentence."""
    mistakes = {
        "the values were divided by the volume, or a CHGCAR was written without it": volume,
        "the values were divided by the volume in Å³, or a CHGCAR was written without it": volume * ANGSTROM**3,
        "the values were multiplied by the volume": 1 / volume,
        "the values are in electrons/Å³, not in electrons/Bohr³": ANGSTROM**3,
        "it is one of two spins, or half of the density": 2.0,
        "it was counted twice": 0.5,
    }
    explanations = [m for m, factor in mistakes.items() if any(abs(electrons * factor - n) < 2e-3 * n for n in wanted)]
    return f"; it looks as if {', or '.join(explanations)}" if explanations else ""
