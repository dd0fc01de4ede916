"""Between states and vectors: what a regression sees of a crystal, and how its answer becomes a state (eq. 10, 11).

    encode   CellState → {field: PCA coefficients (K,), "internal": (n_int,), "free_energy": (1,), "fermi_energy": (1,)}
    decode   the same table → CellState,   U = ∫u ,   −TS = −σ ∫s

Networks and baselines share this page, so that they are compared on nothing but the map in between. The Fermi energy is
an addition to the paper's list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.deformation import Deformation
from cellfields.errors import InputError
from cellfields.fields import FIELD_NAMES, ElectronicFields, FourierBasis
from cellfields.state import CellState
from cellfields.surrogate.reduction import LiftedFields, Reduction


@dataclass(frozen=True, eq=False)
class StateEncoding:
    """The part of a fitted engine that does not depend on how D is mapped to numbers.

    Attributes:
        crystal: the reference crystal.
        basis: Fourier basis of the fields, None when the states have no fields.
        reductions: field name → PCA; only fields that every training state has.
        has_fermi_energy: every training state has one.
        smearing_width: σ in Hartree with −TS = −σ∫s, None when the training states do not tell.
    """

    crystal: Crystal
    basis: FourierBasis | None
    reductions: Mapping[str, Reduction]
    has_fermi_energy: bool
    smearing_width: float | None

    @classmethod
    def fit(cls, crystal: Crystal, states: Sequence[CellState], max_modes: int) -> StateEncoding:
        """Find the reductions from training states.

        Raises:
            InputError: fewer than two states, states of another crystal, fields in different bases, values not finite.
        """
        if len(states) < 2:
            raise InputError(f"training needs at least 2 states, got {len(states)}")
        for state in states:
            if state.internal.shape != (crystal.n_internal,) or state.positions.shape != (crystal.n_atoms, 3):
                raise InputError(
                    f"a training state has {len(state.positions)} atoms and {len(state.internal)} internal "
                    f"coordinates, but the crystal has {crystal.n_atoms} and {crystal.n_internal}"
                )
            if not (np.isfinite(state.free_energy) and np.isfinite(state.internal).all()):
                raise InputError(f"the training state at D = {state.deformation.as_array()} holds values not finite")
        basis, reductions = _reduce_fields(states, max_modes)
        return cls(
            crystal=crystal,
            basis=basis,
            reductions=reductions,
            has_fermi_energy=all(s.fermi_energy is not None and np.isfinite(s.fermi_energy) for s in states),
            smearing_width=_smearing_width(states),
        )

    @property
    def quantities(self) -> tuple[str, ...]:
        """What there is to learn, in order: fields that vary, internal coordinates (if any), free and Fermi energy."""
        fields = (name for name, reduction in self.reductions.items() if reduction.size)
        internal = ("internal",) if self.crystal.n_internal else ()
        fermi = ("fermi_energy",) if self.has_fermi_energy else ()
        return (*fields, *internal, "free_energy", *fermi)

    def width(self, quantity: str) -> int:
        """How many numbers a quantity has."""
        if quantity in self.reductions:
            return self.reductions[quantity].size
        return self.crystal.n_internal if quantity == "internal" else 1

    def encode(self, states: Sequence[CellState]) -> dict[str, FloatArray]:
        """Quantity → (n, width) for n states."""
        table: dict[str, FloatArray] = {}
        for name in self.quantities:
            if name in self.reductions:
                vectors = np.array([_fields(state).vector(name) for state in states])
                table[name] = self.reductions[name].project(vectors)
            else:
                table[name] = np.array([np.atleast_1d(getattr(state, name)) for state in states], dtype=float)
        return table

    def decode(
        self,
        deformation: Deformation,
        outputs: Mapping[str, FloatArray],
        *,
        stress: FloatArray | None = None,
        provenance: Mapping[str, Any],
    ) -> CellState:
        """A state from quantity → (width,); fields are lifted when they are asked for."""
        lattice = deformation.lattice(self.crystal)
        internal = outputs.get("internal", np.zeros(0))
        reduced = {name: outputs.get(name, np.zeros(0)) for name in self.reductions}
        fields = None
        if self.basis is not None:
            lifted = LiftedFields(self.basis, self.reductions, reduced)
            fields = ElectronicFields(self.basis, lifted, float(np.linalg.det(lattice)))
        return CellState(
            deformation=deformation,
            lattice=lattice,
            positions=self.crystal.positions(internal),
            internal=internal,
            free_energy=float(outputs["free_energy"][0]),
            band_energy=self._integral("band_energy_density", reduced),
            entropic_energy=self._entropic_energy(reduced),
            fermi_energy=float(outputs["fermi_energy"][0]) if self.has_fermi_energy else None,
            stress=stress,
            fields=fields,
            provenance=provenance,
        )

    def truncate(self, fields: ElectronicFields) -> ElectronicFields:
        """ℓ(p(f)) of a state's fields: the best that these modes allow, the floor under every error of a network."""
        if self.basis is None or not fields.basis.same_as(self.basis):
            raise InputError("fields to truncate must be given in the Fourier basis of the training states")
        reduced = {name: reduction.project(fields.vector(name)) for name, reduction in self.reductions.items()}
        return ElectronicFields(self.basis, LiftedFields(self.basis, self.reductions, reduced), fields.volume)

    def _integral(self, name: str, reduced: Mapping[str, FloatArray]) -> float | None:
        return float(self.reductions[name].cell_mean(reduced[name])) if name in reduced else None

    def _entropic_energy(self, reduced: Mapping[str, FloatArray]) -> float | None:
        entropy = self._integral("entropy_density", reduced)
        return None if entropy is None or self.smearing_width is None else -self.smearing_width * entropy


def _fields(state: CellState) -> ElectronicFields:
    assert state.fields is not None  # asked for only where every state has them
    return state.fields


def _reduce_fields(states: Sequence[CellState], max_modes: int) -> tuple[FourierBasis | None, dict[str, Reduction]]:
    if any(state.fields is None for state in states):
        return None, {}
    basis = _fields(states[0]).basis
    if not all(_fields(state).basis.same_as(basis) for state in states):
        raise InputError(
            "training states hold fields in different Fourier bases: field_cutoff must be the same for all"
        )
    names = [name for name in FIELD_NAMES if all(name in _fields(state) for state in states)]
    if not names:
        return None, {}
    vectors = {name: np.array([_fields(state).vector(name) for state in states]) for name in names}
    return basis, {name: Reduction.fit(vectors[name], max_modes) for name in names}


def _smearing_width(states: Sequence[CellState]) -> float | None:
    """σ from −TS = −σ∫s by least squares over the states; None when they do not agree on one."""
    pairs = [
        (state.fields.integral("entropy_density"), state.entropic_energy)
        for state in states
        if state.fields is not None and "entropy_density" in state.fields and state.entropic_energy is not None
    ]
    if not pairs:
        return None
    entropy, energy = np.array(pairs).T
    if not entropy.any():  # an insulator
        return None if energy.any() else 0.0
    width = -float(entropy @ energy) / float(entropy @ entropy)
    agreed = np.abs(energy + width * entropy).max() <= 1e-6 * np.abs(energy).max() + 1e-12
    return width if agreed else None
