"""Between states and vectors: the numbers that a regression learns, and how they become a state (eq. 10, 11).

    encode   CellState → {field: PCA coefficients (K,), "internal": (n_int,), "free_energy": (1,), "fermi_energy": (1,)}
    decode   such a table → CellState,     U = ∫u ,   −TS = −σ ∫s      (as the fields are declared)

Networks and baselines share this encoding, so that comparisons concern the map in between alone. The Fermi energy is an
addition to the paper's list. Each quantity is learned from the states that know it; U and −TS become separate numbers
where there is no field that they are the integral of. What too few states know stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.state.quantities import ENERGIES, FIELDS, field_of, ordered_fields
from cellfields.surrogate.reduction import LiftedFields, Reduction
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES

NUMBERS = ("internal", *ENERGIES)


@dataclass(frozen=True, eq=False)
class StateEncoding:
    """The part of a fitted engine that does not depend on how D is mapped to numbers.

    Attributes:
        crystal: the reference crystal.
        basis: Fourier basis of the fields, None when no field is learned.
        reductions: field name → PCA, of the fields that enough states know.
        numbers: those of :data:`NUMBERS` that are learned as separate outputs.
        smearing_width: σ in Hartree with −TS = −σ∫s, None when the training states do not determine it.
    """

    crystal: Crystal
    basis: FourierBasis | None
    reductions: Mapping[str, Reduction]
    numbers: tuple[str, ...]
    smearing_width: float | None

    @classmethod
    def fit(cls, crystal: Crystal, states: Sequence[CellState], max_modes: int, images: int = 1) -> StateEncoding:
        """Make the encoding from training states, with ``images`` of each strain.

        Raises:
            InputError: fewer than two states, states of another crystal, fields in different bases, values not finite,
                or nothing that enough states know.
        """
        if len(states) < 2 * images:
            raise InputError(f"training needs at least 2 states, got {len(states) // images}")
        fewest = min(MINIMUM_TRAINING_STATES * images, len(states))  # all states, where there are fewer
        for state in states:
            if state.internal.shape != (crystal.n_internal,) or state.positions.shape != (crystal.n_atoms, 3):
                raise InputError(
                    f"a training state has {len(state.positions)} atoms and {len(state.internal)} internal "
                    f"coordinates, but the crystal has {crystal.n_atoms} and {crystal.n_internal}"
                )
            if not all(np.isfinite(getattr(state, name)).all() for name in (*NUMBERS, "stress") if state.knows(name)):
                raise InputError(f"the training state at D = {state.deformation.as_array()} holds values not finite")
        basis, reductions = _reduce_fields(states, max_modes, fewest)
        width = _smearing_width(states) if field_of("entropic_energy") in reductions else None
        needless = set(_integrals(reductions, width)) | ({"internal"} if crystal.n_internal == 0 else set())
        numbers = (n for n in NUMBERS if n not in needless and len(_rows_knowing(states, n)) >= fewest)
        encoding = cls(crystal, basis, reductions, tuple(numbers), width)
        if not encoding.quantities:
            raise InputError(
                f"there is nothing to learn: at least {MINIMUM_TRAINING_STATES} training states must know a quantity"
            )
        return encoding

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what is learned, in order: fields that vary, then numbers."""
        return (*(name for name, reduction in self.reductions.items() if reduction.size), *self.numbers)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the fields, numbers and stress that a state may hold but that cannot be decoded."""
        predicted = {*self.reductions, *self.numbers, *self.integrals}
        if self.crystal.n_internal == 0:
            predicted.add("internal")
        if "free_energy" in self.numbers:
            predicted.add("stress")  # its derivative
        return tuple(name for name in (*FIELDS, *NUMBERS, "stress") if name not in predicted)

    @property
    def integrals(self) -> dict[str, tuple[str, float]]:
        """Energy → (field, factor) where the energy is the factor times the integral of a field that is learned."""
        return _integrals(self.reductions, self.smearing_width)

    def width(self, quantity: str) -> int:
        """Number of outputs of a quantity."""
        if quantity in self.reductions:
            return self.reductions[quantity].size
        return self.crystal.n_internal if quantity == "internal" else 1

    def encode(self, states: Sequence[CellState]) -> dict[str, tuple[IntArray, FloatArray]]:
        """Quantity → indices (n,) of the states that know it, and its values there, (n, width)."""
        table: dict[str, tuple[IntArray, FloatArray]] = {}
        for name in self.quantities:
            rows = _rows_knowing(states, name)
            if name in self.reductions:
                values = self.reductions[name].project(field_vectors(states, name))
            else:
                values = np.array([np.atleast_1d(getattr(states[row], name)) for row in rows], dtype=float)
            table[name] = rows, values
        return table

    def decode(
        self,
        deformation: Deformation,
        outputs: Mapping[str, FloatArray],
        *,
        stress: FloatArray | None = None,
        provenance: Mapping[str, Any],
    ) -> CellState:
        """Make a state from quantity → outputs (width,); fields are lifted when they are first used."""
        lattice = deformation.lattice(self.crystal)
        internal = outputs.get("internal", np.full(self.crystal.n_internal, np.nan))
        has_atoms = "internal" not in self.unknown
        reduced = {name: outputs.get(name, np.zeros(0)) for name in self.reductions}
        energies: dict[str, Any] = {
            energy: factor * float(self.reductions[field].cell_mean(reduced[field]))
            for energy, (field, factor) in self.integrals.items()
        }
        energies |= {name: float(outputs[name][0]) for name in self.numbers if name != "internal"}
        fields = None
        if self.basis is not None:
            lifted = LiftedFields(self.basis, self.reductions, reduced)
            fields = ElectronicFields(self.basis, lifted, float(np.linalg.det(lattice)))
        return CellState(
            deformation=deformation,
            lattice=lattice,
            positions=self.crystal.positions(internal) if has_atoms else np.full((self.crystal.n_atoms, 3), np.nan),
            internal=internal,
            **{"free_energy": np.nan, **energies},
            stress=stress,
            fields=fields,
            provenance=provenance,
            unknown=frozenset(self.unknown) & {"internal", "free_energy"},
        )

    def truncate(self, fields: ElectronicFields) -> ElectronicFields:
        """ℓ(p(f)) of a state's fields: the nearest fields that the modes can represent.

        No regression on these modes can err by less.

        Raises:
            InputError: the Fourier basis of the fields is not that of the training states.
        """
        if self.basis is None or not fields.basis.same_as(self.basis):
            raise InputError("fields to truncate must be given in the Fourier basis of the training states")
        reduced = {name: reduction.project(fields.vector(name)) for name, reduction in self.reductions.items()}
        return ElectronicFields(self.basis, LiftedFields(self.basis, self.reductions, reduced), fields.volume)


def _integrals(reductions: Mapping[str, Reduction], smearing_width: float | None) -> dict[str, tuple[str, float]]:
    """Energy → the learned field that it is the integral of, and the factor before the integral."""
    table = {}
    for energy in ENERGIES:
        field = field_of(energy)
        integral = FIELDS[field].integral if field is not None and field in reductions else None
        factor = None if integral is None else integral.factor(smearing_width)
        if field is not None and factor is not None:
            table[energy] = field, factor
    return table


def _rows_knowing(states: Sequence[CellState], name: str) -> IntArray:
    """Indices of the states that know a quantity."""
    return np.array([row for row, state in enumerate(states) if state.knows(name)], dtype=np.int64)


def field_vectors(states: Sequence[CellState], name: str) -> FloatArray:
    """Folded Fourier vectors (n, P) of a field, one for each state that has it."""
    return np.array([s.fields.vector(name) for s in states if s.fields is not None and name in s.fields])


def _reduce_fields(
    states: Sequence[CellState], max_modes: int, fewest: int
) -> tuple[FourierBasis | None, dict[str, Reduction]]:
    bases = [state.fields.basis for state in states if state.fields is not None]
    if not all(basis.same_as(bases[0]) for basis in bases):
        raise InputError(
            "training states hold fields in different Fourier bases: field_cutoff must be the same for all"
        )
    stored = ordered_fields(name for state in states if state.fields is not None for name in state.fields.coefficients)
    names = [name for name in stored if len(_rows_knowing(states, name)) >= fewest]
    reductions = {name: Reduction.fit(field_vectors(states, name), max_modes) for name in names}
    return bases[0] if names else None, reductions


def _smearing_width(states: Sequence[CellState]) -> float | None:
    """σ from −TS = −σ∫s by least squares over the states; None when they do not share one."""
    name = field_of("entropic_energy")
    pairs = [
        (state.fields.integral(name), state.entropic_energy)
        for state in states
        if name is not None and state.fields is not None and name in state.fields and state.entropic_energy is not None
    ]
    if not pairs:
        return None
    entropy, energy = np.array(pairs).T
    if not entropy.any():  # an insulator
        return None if energy.any() else 0.0
    width = -float(entropy @ energy) / float(entropy @ entropy)
    agreed = np.abs(energy + width * entropy).max() <= 1e-6 * np.abs(energy).max() + 1e-12
    return width if agreed else None
