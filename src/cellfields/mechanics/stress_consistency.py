"""Whether a stress is the derivative of the energy that stands beside it.

    tr σ/3 − dF/dV = p ,   p = −(2/3) (E/V) ∂F/∂E        E: cutoff; dF/dV at a fixed cutoff, σ at fixed plane waves

An analytic stress belongs to a fixed set of plane waves; at a fixed cutoff the set grows with the cell. A set is
decided by E V^(2/3) alone (k points scale with the cell), one sphere a k point as well as the union of all, so that the
isotropic part of the difference is exactly the p above, and F at one nearby cutoff tells it (Froyen and Cohen, J. Phys.
C 19, 2623 (1986); Francis and Payne, J. Phys. Condens. Matter 2, 4395 (1990): Pulay stress). F falls with E, so p is
positive: too much tension, and cells that are relaxed by it are too small. The stress suffers long before F looks bad.

F of a slightly strained cell at the same cutoff would tell the same, but a small strain may pass no plane wave at all,
and a large one brings in the elastic energy. The nearby cutoff is the lower one: cheaper, and it errs to the safe side
(``benchmarks/pulay_pressure.py``: 0.9 to 1.3 times the true p where that exceeds 0.7 GPa).

Where the spheres of plane waves end smoothly (``cutoff_smoothing``) they have no such steps, and p is zero: there
tr σ/3 is compared with F at two isotropic strains of ±0.1 %.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore
from cellfields.engines.contract import Engine, FirstPrinciplesEngine, PlaneWaveCode, VariableCutoffEngine
from cellfields.errors import CellFieldsError, PhysicsWarning
from cellfields.state import CellState
from cellfields.state.density_start import DensityStart
from cellfields.storage.atomic import write_durably
from cellfields.units import GPA

TOLERANCE_GPA = 1.0
"""A stress that is off by more is told of; by more than the spread of stress over a dataset, where that is less."""

FACTORS = (1 / 1.05, 1 / 1.2)  # of the nearby cutoff: the second where no plane wave lies between, or F is converged
_PASSED = 1e-7  # Hartree an atom: a smaller difference of F does not show that a plane wave was passed
FILE = "stress_check.json"  # in the directory of a dataset

_METHOD = "F at a nearby cutoff, atoms held"
_METHOD_OF_SMOOTH = "F at stretches of ±0.1 %, atoms held"
_STRETCH = 1e-3


@dataclass(frozen=True)
class StressConsistency:
    """What is known of σ − dF/dD.

    Attributes:
        pulay_pressure: p, Hartree/Bohr³: what the mean of the diagonal of σ has too much; None where it is not known.
        cutoff: of the engine, Hartree; None where p is not known.
        nearby_cutoff: that p was found from, Hartree; None where p is not known, or was found from two strains.
        deformation: D (6,) where, or None.
        reason: why p is not known; empty where it is.
    """

    pulay_pressure: float | None
    cutoff: float | None = None
    nearby_cutoff: float | None = None
    deformation: tuple[float, ...] | None = None
    reason: str = ""

    @property
    def pulay_pressure_gpa(self) -> float | None:
        """p in GPa."""
        return None if self.pulay_pressure is None else self.pulay_pressure * GPA

    def is_consistent(self, spread_gpa: float | None = None) -> bool | None:
        """Whether σ is dF/dD within a GPa, or within the spread of stress over a dataset (GPa) if that is less.

        None where it is not known.
        """
        if self.pulay_pressure_gpa is None:
            return None
        return abs(self.pulay_pressure_gpa) <= tolerance_gpa(spread_gpa)

    def corrected(self, stress: FloatArray) -> FloatArray:
        """σ − p·1 (3, 3), Hartree/Bohr³: about the derivative of F at the fixed cutoff; σ itself where p is unknown."""
        return np.asarray(stress - (self.pulay_pressure or 0.0) * np.eye(3))

    def sentence(self) -> str:
        """What is known, for people."""
        if self.pulay_pressure_gpa is None:
            return f"whether the stress is the derivative of the energy is not checked: {self.reason}"
        beginning = (
            f"at cutoff = {self.cutoff:g} Ha the stress is not the derivative of the energy but has about "
            f"{self.pulay_pressure_gpa:+.3g} GPa of tension too much"
        )
        ending = "cells, strains and elastic constants found from it are wrong by that"
        if self.nearby_cutoff is None:
            return f"{beginning} (from F at two stretches); {ending}; widen cutoff_smoothing"
        return (
            f"{beginning} (Pulay stress, from F at {self.nearby_cutoff:.4g} Ha); {ending}; raise the cutoff, or set "
            "cutoff_smoothing (a tenth of the cutoff)"
        )

    def warn(self, spread_gpa: float | None = None) -> None:
        """Issue a PhysicsWarning where σ is not dF/dD within the tolerance of :meth:`is_consistent`."""
        if self.is_consistent(spread_gpa) is False:
            warnings.warn(self.sentence(), PhysicsWarning, stacklevel=2)

    def to_dict(self, spread_gpa: float | None = None) -> dict[str, Any]:
        """JSON data: ``checked``, and what was found (``_gpa``: GPa; cutoffs in Hartree) or the ``reason``."""
        if self.pulay_pressure_gpa is None:
            return {"checked": False, "reason": self.reason}
        return {
            "checked": True,
            "method": _METHOD if self.nearby_cutoff is not None else _METHOD_OF_SMOOTH,
            "pulay_pressure_gpa": self.pulay_pressure_gpa,
            "tolerance_gpa": tolerance_gpa(spread_gpa),
            "consistent": self.is_consistent(spread_gpa),
            "cutoff": self.cutoff,
            "nearby_cutoff": self.nearby_cutoff,
            "deformation": None if self.deformation is None else list(self.deformation),
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            KeyError, TypeError, ValueError: not such a table.
        """
        if not table["checked"]:
            return cls(None, reason=str(table["reason"]))
        where = table["deformation"]
        return cls(
            float(table["pulay_pressure_gpa"]) / GPA,
            float(table["cutoff"]),
            None if table["nearby_cutoff"] is None else float(table["nearby_cutoff"]),
            None if where is None else tuple(float(x) for x in where),
        )


def tolerance_gpa(spread_gpa: float | None = None) -> float:
    """What σ may differ from dF/dD, GPa, where stress varies by ``spread_gpa`` over a dataset (None: not known)."""
    return TOLERANCE_GPA if spread_gpa is None else min(TOLERANCE_GPA, spread_gpa)


def stress_consistency(
    engine: Engine, deformation: Deformation | None = None, *, state: CellState | None = None
) -> StressConsistency:
    """Compare an engine's stress with the derivative of its energy, by one more solve with the atoms held.

    Args:
        engine: any. Only first-principles engines with a cutoff are compared.
        deformation: where; None is the reference cell. The atoms are at their reference coordinates (two solves).
        state: a state of this engine, solved already, with fields: the comparison is made there (one solve).

    Returns:
        p, or the reason why it is not known (also where the other solve fails): this function only raises what the
        first of two solves raises.
    """
    smooth = isinstance(engine, PlaneWaveCode) and engine.settings.cutoff_smoothing > 0
    if not (isinstance(engine, FirstPrinciplesEngine) and isinstance(engine, VariableCutoffEngine)):
        return StressConsistency(None, reason=f"a {type(engine).__name__} has no cutoff to vary")
    if state is None:
        where = Deformation.identity(engine.crystal) if deformation is None else deformation
        state = engine.evaluate(where, np.zeros(engine.crystal.n_internal))
    cutoff = float(engine.settings.cutoff)
    start = DensityStart.of(state) if state.knows("density") and state.knows("positions") else None
    if smooth:
        return _of_two_stretches(engine, state, cutoff, start)
    pressure, nearby = 0.0, cutoff
    for nearby in (cutoff * factor for factor in FACTORS):
        try:
            other = engine.at_cutoff(nearby).evaluate(state.deformation, state.internal, start=start)
        except CellFieldsError as error:
            return StressConsistency(None, reason=f"the solve at {nearby:.4g} Ha failed ({error})")
        difference = state.free_energy - other.free_energy
        pressure = -2 / 3 * cutoff / state.volume * difference / (cutoff - nearby)
        if abs(difference) > _PASSED * engine.crystal.n_atoms:
            break
    return StressConsistency(pressure, cutoff, nearby, tuple(state.deformation.as_array().tolist()))


def _of_two_stretches(
    engine: FirstPrinciplesEngine, state: CellState, cutoff: float, start: DensityStart | None
) -> StressConsistency:
    """p = tr σ/3 − ΔF/ΔV from the cell stretched and shrunk by 0.1 %, with the internal coordinates held."""
    if state.stress is None:
        return StressConsistency(None, reason="the state does not know its stress")
    energies, volumes = [], []
    for stretch in (1 - _STRETCH, 1 + _STRETCH):
        stretches = np.array(state.deformation.stretches) * stretch
        deformation = Deformation.from_array([*stretches.tolist(), *state.deformation.angles])
        try:
            stretched = engine.evaluate(deformation, state.internal, start=start)
        except CellFieldsError as error:
            return StressConsistency(None, reason=f"the solve at a stretch of {stretch:g} failed ({error})")
        energies.append(stretched.free_energy)
        volumes.append(stretched.volume)
    derivative = (energies[1] - energies[0]) / (volumes[1] - volumes[0])
    pressure = float(np.trace(state.stress)) / 3 - derivative
    return StressConsistency(pressure, cutoff, None, tuple(state.deformation.as_array().tolist()))


def dataset_stress_consistency(store: DatasetStore) -> StressConsistency | None:
    """What is kept of σ − dF/dD beside a dataset's states: one comparison, at the reference cell.

    It is in the file ``stress_check.json`` of the dataset's directory, which :func:`keep_stress_consistency` writes and
    which is no part of the dataset's identity. None where there is none, or a damaged one: it can be made again.
    """
    try:
        return StressConsistency.from_dict(json.loads((store.directory / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_stress_consistency(store: DatasetStore, found: StressConsistency) -> None:
    """Write it beside a dataset's states.

    Raises:
        StoreError: the file system refused.
    """
    text = json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n"
    write_durably(store.directory / FILE, text.encode("utf-8"))
