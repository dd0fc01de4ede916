"""How far engines are from the truth on strains that they have not seen, beside how much there was to know.

    e_q(D) = | q_engine(D) − q_true(D) |          an error is large or small only next to the spread of q itself

Scalars: absolute error. Fields: relative L² and NRMSE (paper, eq. 12). Atoms: displacement error in the deformed cell.
Any engine can be judged; the usual three are the surrogate, linear regression and the mean of the training set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.units import Bohr, GPa, Hartree
from scipy.fft import next_fast_len

from cellfields._typing import Array, FloatArray
from cellfields.errors import InputError
from cellfields.evaluation.metrics import displacement, energy_error, position_error, relative_l2
from cellfields.fields import FIELD_NAMES, ElectronicFields
from cellfields.state import CellState, Engine

SCALARS = ("free_energy", "band_energy", "entropic_energy")
STRESS_IN_GPA = Hartree / Bohr**3 / GPa
_SPACING = 0.17  # Bohr between grid points, about as on the paper's 36 × 64 × 60
_VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


@dataclass(frozen=True)
class Quantity:
    """How a quantity is shown to people: value in ``unit`` = ``scale`` × value as it is kept here."""

    label: str
    unit: str
    scale: float


QUANTITIES: dict[str, Quantity] = {
    "free_energy": Quantity("free energy F", "mHa", 1e3),
    "band_energy": Quantity("band energy U", "mHa", 1e3),
    "entropic_energy": Quantity("entropic energy −TS", "mHa", 1e3),
    "position": Quantity("atomic positions", "Bohr", 1.0),
    "stress_gpa": Quantity("stress", "GPa", 1.0),
    **{
        f"{name}.{measure}": Quantity(f"{label}, {measure_label}", "%", 100.0)
        for measure, measure_label in (("relative_l2", "relative L²"), ("nrmse", "NRMSE"))
        for name, label in zip(
            FIELD_NAMES, ("density ρ", "potential φ", "band energy density u", "entropy density s"), strict=True
        )
    },
}


@dataclass(frozen=True)
class Spread:
    """How much a quantity varies over the test strains.

    Attributes:
        standard_deviation: of a scalar, or over the components of the stress; for a field the root mean square of the
            errors that the mean field of the test strains makes; for positions the root mean square displacement.
        range: largest minus smallest; for a field the largest of those errors, for positions the largest displacement.
    """

    standard_deviation: float
    range: float


@dataclass(frozen=True, eq=False)
class EngineErrors:
    """One engine on the test strains.

    Attributes:
        errors: quantity → (n,), Hartree, Bohr, GPa or a ratio, never negative.
        predicted: energy → (n,), Hartree.
        seconds: (n,) wall time of each solve, compilation excluded, fields not lifted.
    """

    errors: Mapping[str, FloatArray]
    predicted: Mapping[str, FloatArray]
    seconds: FloatArray

    def summary(self, quantity: str) -> dict[str, float]:
        """Mean, median, 99th percentile and maximum of an error."""
        values = self.errors[quantity]
        return {
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "p99": float(np.quantile(values, 0.99)),
            "max": float(values.max()),
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Errors of several engines on the same unseen strains.

    Attributes:
        deformations: (n, 6).
        volumetric_strain: (n,) V / V⁰ − 1.
        truth: energy → (n,), Hartree.
        displacement: (n,) how far the true atoms moved from their reference fractional coordinates, Bohr, in the same
            measure as the error of a prediction.
        spread: quantity → how much it varies; its keys are the quantities that were judged.
        engines: name → errors.
    """

    deformations: FloatArray
    volumetric_strain: FloatArray
    truth: Mapping[str, FloatArray]
    displacement: FloatArray
    spread: Mapping[str, Spread]
    engines: Mapping[str, EngineErrors]

    def typical(self, engine: str) -> int:
        """Index of the strain whose density error (or free-energy error) is the median one."""
        key = "density.nrmse" if "density.nrmse" in self.spread else "free_energy"
        order = np.argsort(self.engines[engine].errors[key], kind="stable")
        return int(order[len(order) // 2])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: summaries and spreads in the units that ``units`` names, and the errors of every strain."""
        return {
            "test_strains": len(self.deformations),
            "units": {"energies": "Hartree per cell", "position": "Bohr", "stress_gpa": "GPa", "fields": "ratio"},
            "spread": {
                name: {"standard_deviation": s.standard_deviation, "range": s.range} for name, s in self.spread.items()
            },
            "errors": {
                engine: {name: result.summary(name) for name in self.spread if name in result.errors}
                for engine, result in self.engines.items()
            },
            "seconds_per_solve": {name: float(np.median(e.seconds)) for name, e in self.engines.items()},
            "strains": {
                "deformation": self.deformations.tolist(),
                "volumetric_strain": self.volumetric_strain.tolist(),
                "truth": {name: values.tolist() for name, values in self.truth.items()},
                "errors": {
                    engine: {name: values.tolist() for name, values in result.errors.items()}
                    for engine, result in self.engines.items()
                },
            },
        }


def evaluate(
    engines: Mapping[str, Engine],
    test_states: Sequence[CellState],
    *,
    grid: tuple[int, int, int] | None = None,
) -> Evaluation:
    """Judge engines by states that a first-principles engine computed on strains they have not seen.

    Args:
        engines: name → engine of the same crystal.
        test_states: the truth; at least two, so that there is a spread.
        grid: on which a field's range is found for NRMSE (the paper's is 36 × 64 × 60); None takes about as many points
            a length, and enough to hold the whole field.

    Raises:
        InputError: no engine, fewer than two test states, or engines of another crystal or Fourier basis.
    """
    if not engines:
        raise InputError("an evaluation needs at least one engine")
    if len(test_states) < 2:
        raise InputError(f"an evaluation needs at least 2 test states, got {len(test_states)}")
    crystal = next(iter(engines.values())).crystal
    if any(engine.crystal != crystal for engine in engines.values()):
        raise InputError("the engines of an evaluation must have the same crystal")
    scalars = [name for name in SCALARS if all(getattr(state, name) is not None for state in test_states)]
    names = [name for name in FIELD_NAMES if all(_varies(state.fields, name) for state in test_states)]
    shape = _comparison_grid(test_states[0], names) if grid is None else grid
    mean_fields = {name: _mean_coefficients(test_states, name) for name in names}
    for engine in engines.values():
        engine.solve(test_states[0].deformation)  # compiles what has to be compiled
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    constant: list[dict[str, float]] = []
    for state in test_states:
        ratios = {name: _root_mean_square_over_range(state, name, shape) for name in names}
        for name, engine in engines.items():
            started = time.perf_counter()
            predicted = engine.solve(state.deformation)
            seconds = time.perf_counter() - started
            rows[name].append(
                {"seconds": seconds}
                | {f"predicted.{q}": float(getattr(predicted, q)) for q in scalars if getattr(predicted, q) is not None}
                | _errors(predicted, state, scalars, ratios)
            )
        if state.fields is not None and names:
            ignorant = ElectronicFields(state.fields.basis, mean_fields, state.fields.volume)
            constant.append(_field_errors(ignorant, state.fields, ratios))
    energies = {name: np.array([float(getattr(state, name)) for state in test_states]) for name in scalars}
    moved = np.array([displacement(state) for state in test_states])
    spread = {name: Spread(float(values.std()), float(np.ptp(values))) for name, values in energies.items()}
    if crystal.n_internal:
        spread["position"] = _root_mean_square_and_largest(moved)
    spread |= {name: _root_mean_square_and_largest(values) for name, values in _columns(constant).items()}
    if all(state.stress is not None for state in test_states) and any("stress_gpa" in row[0] for row in rows.values()):
        components = np.array([_voigt_gpa(state) for state in test_states])
        spread["stress_gpa"] = Spread(
            float(np.sqrt(np.mean((components - components.mean(axis=0)) ** 2))),
            float(np.ptp(components, axis=0).max()),
        )
    return Evaluation(
        deformations=np.array([state.deformation.as_array() for state in test_states]),
        volumetric_strain=np.array([state.deformation.volumetric_strain(crystal) for state in test_states]),
        truth=energies,
        displacement=moved,
        spread=spread,
        engines={name: _engine_errors(_columns(table)) for name, table in rows.items()},
    )


def _errors(
    predicted: CellState, true: CellState, scalars: Sequence[str], ratios: Mapping[str, float]
) -> dict[str, float]:
    """Quantity → error of one prediction, for what both of them know."""
    errors = {q: energy_error(predicted, true, q) for q in scalars if getattr(predicted, q) is not None}
    if true.internal.size:
        errors["position"] = position_error(predicted, true)
    if predicted.fields is not None and true.fields is not None:
        errors |= _field_errors(predicted.fields, true.fields, ratios)
    if predicted.stress is not None and true.stress is not None:
        errors["stress_gpa"] = float(np.sqrt(np.mean((_voigt_gpa(predicted) - _voigt_gpa(true)) ** 2)))
    return errors


def _field_errors(predicted: ElectronicFields, true: ElectronicFields, ratios: Mapping[str, float]) -> dict[str, float]:
    """By Parseval, NRMSE = relative L² · (root mean square of the true field / its range) on a grid that holds it."""
    errors = {}
    for name, ratio in ratios.items():
        if name in predicted:
            errors[f"{name}.relative_l2"] = relative_l2(predicted, true, name)
            errors[f"{name}.nrmse"] = errors[f"{name}.relative_l2"] * ratio
    return errors


def _root_mean_square_over_range(state: CellState, name: str, shape: tuple[int, int, int]) -> float:
    assert state.fields is not None  # only names that every state has get here
    values = state.fields.on_grid(name, shape)
    return float(np.sqrt(np.mean(values**2)) / np.ptp(values))


def _engine_errors(columns: Mapping[str, FloatArray]) -> EngineErrors:
    predicted = {n.removeprefix("predicted."): values for n, values in columns.items() if n.startswith("predicted.")}
    errors = {n: values for n, values in columns.items() if n != "seconds" and not n.startswith("predicted.")}
    return EngineErrors(errors, predicted, columns["seconds"])


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, FloatArray]:
    """Per strain → per quantity, for the quantities that every strain has."""
    names = [name for name in (rows[0] if rows else ()) if all(name in row for row in rows)]
    return {name: np.array([row[name] for row in rows]) for name in names}


def _varies(fields: ElectronicFields | None, name: str) -> bool:
    """Whether there is anything to be relative to: the entropy of an insulator is zero everywhere."""
    return fields is not None and name in fields and bool(np.abs(fields.coefficients[name][1:]).max(initial=0.0) > 0)


def _mean_coefficients(states: Sequence[CellState], name: str) -> Array:
    coefficients = [state.fields.coefficients[name] for state in states if state.fields is not None]
    return np.asarray(np.mean(coefficients, axis=0))


def _comparison_grid(state: CellState, names: Sequence[str]) -> tuple[int, int, int]:
    if not names or state.fields is None:
        return (1, 1, 1)
    reach = 2 * np.abs(state.fields.basis.indices).max(axis=0) + 1  # all of the field …
    points = np.ceil(np.linalg.norm(state.lattice, axis=1) / _SPACING)  # … and its extrema well sampled
    n1, n2, n3 = (next_fast_len(int(n), real=True) for n in np.maximum(reach, points))
    return n1, n2, n3


def _voigt_gpa(state: CellState) -> FloatArray:
    assert state.stress is not None  # the callers look
    return np.asarray(state.stress[_VOIGT] * STRESS_IN_GPA)


def _root_mean_square_and_largest(values: FloatArray) -> Spread:
    return Spread(float(np.sqrt(np.mean(values**2))), float(values.max()))
