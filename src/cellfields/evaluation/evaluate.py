"""Errors of engines on strains that they have not seen, and the spread of the true values to compare them with.

    e_q(D) = | q_engine(D) − q_true(D) |

Scalars have an absolute error, fields a relative L² error and an NRMSE (paper, eq. 12), atoms a displacement error in
the deformed cell. Any engine can be judged; the usual three are the surrogate, linear regression and the mean of the
training set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import next_fast_len

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.voigt import to_voigt
from cellfields.engines.contract import Engine
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import SCALARS, EngineErrors, Evaluation, Spread
from cellfields.evaluation.metrics import displacement, energy_error, position_error, relative_l2
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields
from cellfields.state.quantities import FIELDS
from cellfields.units import GPA

_SPACING = 0.17  # Bohr between grid points, about that of the paper's grid of 36 × 64 × 60


@dataclass(frozen=True, eq=False)
class HeldOutStates:
    """Unseen states with everything that the errors of an engine on them need, computed once for all engines.

    Attributes:
        states: the true states.
        scalars: names of the energies that all states know.
        ratios: for each state, field → root mean square of the field divided by its range on the grid. The fields are
            those that are declared, known to all states, and not constant in any of them.
        truth: true values and their spread, as an evaluation without engines.
    """

    states: Sequence[CellState]
    scalars: Sequence[str]
    ratios: Sequence[Mapping[str, float]]
    truth: Evaluation

    @classmethod
    def of(
        cls, crystal: Crystal, test_states: Sequence[CellState], grid: tuple[int, int, int] | None = None
    ) -> HeldOutStates:
        """Measure the true states.

        Args:
            crystal: the reference crystal.
            test_states: at least two, so that they have a spread.
            grid: points along each axis of the grid on which a field's range is measured; None takes a grid that holds
                the whole field, with about 0.17 Bohr between its points.

        Raises:
            InputError: fewer than two states.
        """
        if len(test_states) < 2:
            raise InputError(f"an evaluation needs at least 2 test states, got {len(test_states)}")
        scalars = [name for name in SCALARS if all(state.knows(name) for state in test_states)]
        names = [name for name in FIELDS if all(_varies(state.fields, name) for state in test_states)]
        shape = _comparison_grid(test_states[0], names) if grid is None else grid
        ratios = [{n: _root_mean_square_over_range(s, n, shape) for n in names} for s in test_states]
        energies = {name: np.array([float(getattr(state, name)) for state in test_states]) for name in scalars}
        moved = np.array([displacement(state) for state in test_states])
        spread = {name: Spread(float(values.std()), float(np.ptp(values))) for name, values in energies.items()}
        if crystal.n_internal and all(state.knows("internal") for state in test_states):
            spread["position"] = _root_mean_square_and_largest(moved)
        spread |= _field_spread(test_states, ratios)
        if all(state.stress is not None for state in test_states):
            components = np.array([_voigt_gpa(state) for state in test_states])
            spread["stress_gpa"] = Spread(
                float(np.sqrt(np.mean((components - components.mean(axis=0)) ** 2))),
                float(np.ptp(components, axis=0).max()),
            )
        truth = Evaluation(
            deformations=np.array([state.deformation.as_array() for state in test_states]),
            volumetric_strain=np.array([state.deformation.volumetric_strain(crystal) for state in test_states]),
            truth=energies,
            displacement=moved,
            spread=spread,
            engines={},
        )
        return cls(test_states, scalars, ratios, truth)

    def judge(self, engine: Engine) -> EngineErrors:
        """Errors of one engine on all states.

        Raises:
            InputError: the engine's fields are given in another Fourier basis.
        """
        engine.solve(self.states[0].deformation)  # so that compilation does not count in the times below
        rows: list[dict[str, float]] = []
        for state, ratios in zip(self.states, self.ratios, strict=True):
            started = time.perf_counter()
            predicted = engine.solve(state.deformation)
            seconds = time.perf_counter() - started
            energies = {f"predicted.{q}": float(getattr(predicted, q)) for q in self.scalars if predicted.knows(q)}
            rows.append({"seconds": seconds} | energies | _errors(predicted, state, self.scalars, ratios))
        return _engine_errors(_columns(rows))


def evaluate(
    engines: Mapping[str, Engine],
    test_states: Sequence[CellState],
    *,
    grid: tuple[int, int, int] | None = None,
) -> Evaluation:
    """Errors of engines on states that a first-principles engine computed for strains they have not seen.

    Args:
        engines: name → engine; all of the same crystal.
        test_states: the true states; at least two, so that they have a spread.
        grid: points along each axis of the grid on which a field's range is measured for NRMSE (in the paper
            36 × 64 × 60); None takes a grid that holds the whole field, about as dense as the paper's.

    Raises:
        InputError: no engine, fewer than two test states, or engines of another crystal or Fourier basis.
    """
    if not engines:
        raise InputError("an evaluation needs at least one engine")
    crystal = next(iter(engines.values())).crystal
    if any(engine.crystal != crystal for engine in engines.values()):
        raise InputError("the engines of an evaluation must have the same crystal")
    held_out = HeldOutStates.of(crystal, test_states, grid)
    judged = {name: held_out.judge(engine) for name, engine in engines.items()}
    unpredicted = {"stress_gpa"} - {name for result in judged.values() for name in result.errors}
    spread = {name: value for name, value in held_out.truth.spread.items() if name not in unpredicted}
    return replace(held_out.truth, spread=spread, engines=judged)


def _errors(
    predicted: CellState, true: CellState, scalars: Sequence[str], ratios: Mapping[str, float]
) -> dict[str, float]:
    """Quantity → error of one prediction, for the quantities that both states know."""
    errors = {q: energy_error(predicted, true, q) for q in scalars if predicted.knows(q)}
    if true.internal.size and predicted.knows("internal") and true.knows("internal"):
        errors["position"] = position_error(predicted, true)
    if predicted.fields is not None and true.fields is not None:
        errors |= _field_errors(predicted.fields, true.fields, ratios)
    if predicted.stress is not None and true.stress is not None:
        errors["stress_gpa"] = float(np.sqrt(np.mean((_voigt_gpa(predicted) - _voigt_gpa(true)) ** 2)))
    return errors


def _field_errors(predicted: ElectronicFields, true: ElectronicFields, ratios: Mapping[str, float]) -> dict[str, float]:
    """Relative L² error and NRMSE of each field in ``ratios``.

    By Parseval's theorem NRMSE = relative L² · ratio, the root mean square of the true field divided by its range.
    """
    errors = {}
    for name, ratio in ratios.items():
        if name in predicted:
            errors[f"{name}.relative_l2"] = relative_l2(predicted, true, name)
            errors[f"{name}.nrmse"] = errors[f"{name}.relative_l2"] * ratio
    return errors


def _root_mean_square_over_range(state: CellState, name: str, shape: tuple[int, int, int]) -> float:
    assert state.fields is not None  # names are of fields that every state has
    values = state.fields.on_grid(name, shape)
    return float(np.sqrt(np.mean(values**2)) / np.ptp(values))


def _field_spread(states: Sequence[CellState], ratios: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Spread of each error measure of the fields: the errors of predicting the mean true field for every strain."""
    means = {name: _mean_coefficients(states, name) for name in ratios[0]}
    rows = []
    for state, ratio in zip(states, ratios, strict=True):
        if state.fields is not None and means:
            mean_fields = ElectronicFields(state.fields.basis, means, state.fields.volume)
            rows.append(_field_errors(mean_fields, state.fields, ratio))
    return {name: _root_mean_square_and_largest(values) for name, values in _columns(rows).items()}


def _engine_errors(columns: Mapping[str, FloatArray]) -> EngineErrors:
    predicted = {n.removeprefix("predicted."): values for n, values in columns.items() if n.startswith("predicted.")}
    errors = {n: values for n, values in columns.items() if n != "seconds" and not n.startswith("predicted.")}
    return EngineErrors(errors, predicted, columns["seconds"])


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, FloatArray]:
    """Tables of the strains, quantity → number, as quantity → (n,) array, for the quantities that every strain has."""
    names = [name for name in (rows[0] if rows else ()) if all(name in row for row in rows)]
    return {name: np.array([row[name] for row in rows]) for name in names}


def _varies(fields: ElectronicFields | None, name: str) -> bool:
    """Whether the field is known and not constant, as an insulator's entropy density is; relative errors need that."""
    return fields is not None and name in fields and fields.varies(name)


def _mean_coefficients(states: Sequence[CellState], name: str) -> Array:
    coefficients = [state.fields.coefficients[name] for state in states if state.fields is not None]
    return np.asarray(np.mean(coefficients, axis=0))


def _comparison_grid(state: CellState, names: Sequence[str]) -> tuple[int, int, int]:
    if not names or state.fields is None:
        return (1, 1, 1)
    reach = 2 * np.abs(state.fields.basis.indices).max(axis=0) + 1  # holds every coefficient
    points = np.ceil(np.linalg.norm(state.lattice, axis=1) / _SPACING)  # samples the extrema well
    n1, n2, n3 = (next_fast_len(int(n), real=True) for n in np.maximum(reach, points))
    return n1, n2, n3


def _voigt_gpa(state: CellState) -> FloatArray:
    assert state.stress is not None  # checked by the callers
    return to_voigt(state.stress) * GPA


def _root_mean_square_and_largest(values: FloatArray) -> Spread:
    return Spread(float(np.sqrt(np.mean(values**2))), float(values.max()))
