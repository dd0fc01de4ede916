"""Errors of engines on unseen strains as data, which :mod:`~cellfields.evaluation.evaluate` makes and reports show.

Energies are in Hartree, positions in Bohr, stress in GPa, and errors of fields are ratios; :data:`QUANTITIES` gives the
label, unit and scale with which each is shown to people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.errors import InputError
from cellfields.state.quantities import ENERGIES, FIELDS, quantity

SCALARS = tuple(name for name in ENERGIES if quantity(name).extensive)
"""The energies per cell, by which engines are judged; energy levels, as the Fermi energy, are not judged."""


@dataclass(frozen=True)
class DisplayedQuantity:
    """Label and unit with which a quantity is shown to people; shown value = ``scale`` × value in an evaluation."""

    label: str
    unit: str
    scale: float


_NUMBERS = {
    name: DisplayedQuantity(quantity(name).title, f"m{quantity(name).shown_unit}", 1e3) for name in ENERGIES
} | {
    "position": DisplayedQuantity("atomic positions", "Bohr", 1.0),
    "stress_gpa": DisplayedQuantity("stress", "GPa", 1.0),
}
_MEASURES = {"relative_l2": "relative L²", "nrmse": "NRMSE"}


class _DisplayedQuantities(Mapping[str, DisplayedQuantity]):
    """Quantity of an evaluation → how it is shown: iterates over declared fields, but can be asked for any field."""

    def __getitem__(self, key: str) -> DisplayedQuantity:
        name, _, measure = key.rpartition(".")
        if measure in _MEASURES and name:
            title = FIELDS[name].short_title if name in FIELDS else name
            return DisplayedQuantity(f"{title}, {_MEASURES[measure]}", "%", 100.0)
        return _NUMBERS[key]

    def __iter__(self) -> Iterator[str]:
        return iter((*_NUMBERS, *(f"{name}.{measure}" for measure in _MEASURES for name in FIELDS)))

    def __len__(self) -> int:
        return len(_NUMBERS) + len(_MEASURES) * len(FIELDS)


QUANTITIES: Mapping[str, DisplayedQuantity] = _DisplayedQuantities()
"""Quantity of an evaluation ("free_energy", "density.nrmse") → label, unit and scale with which it is shown."""


@dataclass(frozen=True)
class Spread:
    """How much a quantity varies over the test strains.

    Attributes:
        standard_deviation: standard deviation of a scalar or of the stress components; for a field the root mean square
            of the errors of the mean field of the test strains; for positions the root mean square displacement.
        range: largest minus smallest value; for a field the largest of the errors of the mean field; for positions the
            largest displacement.
    """

    standard_deviation: float
    range: float


@dataclass(frozen=True, eq=False)
class EngineErrors:
    """Errors of one engine on n test strains.

    Attributes:
        errors: quantity → (n,) errors in Hartree, Bohr, GPa or as a ratio, never negative.
        predicted: energy → (n,) predicted values, Hartree.
        seconds: (n,) wall time of each solve, without compilation and without lifting the fields from their modes.
    """

    errors: Mapping[str, FloatArray]
    predicted: Mapping[str, FloatArray]
    seconds: FloatArray

    def summary(self, quantity: str) -> dict[str, float]:
        """Mean, median, 99th percentile ("p99") and maximum of the errors of a quantity."""
        values = self.errors[quantity]
        return {
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "p99": float(np.quantile(values, 0.99)),
            "max": float(values.max()),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data of every strain."""
        table: dict[str, Any] = {
            kind: {name: values.tolist() for name, values in getattr(self, kind).items()}
            for kind in ("errors", "predicted")
        }
        return table | {"seconds": self.seconds.tolist()}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        errors, predicted = (
            {name: np.array(values, dtype=float) for name, values in table[kind].items()}
            for kind in ("errors", "predicted")
        )
        return cls(errors, predicted, np.array(table["seconds"], dtype=float))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Errors of several engines on the same unseen strains.

    Attributes:
        deformations: (n, 6) D of the strains.
        volumetric_strain: (n,) V / V⁰ − 1.
        truth: energy → (n,) true values, Hartree.
        displacement: (n,) distance of the true atoms from their reference fractional coordinates, Bohr, measured as the
            error of predicted positions is; nan where positions are not known.
        spread: quantity → how much it varies; its keys are the quantities that all test states know. An engine is
            judged by those of them that it predicts.
        engines: name → errors of the engine.
        outside: (n,) of bool, true for strains outside the surrogate's training domain; None where nobody checked.
    """

    deformations: FloatArray
    volumetric_strain: FloatArray
    truth: Mapping[str, FloatArray]
    displacement: FloatArray
    spread: Mapping[str, Spread]
    engines: Mapping[str, EngineErrors]
    outside: Array | None = None

    def best_baseline(self, quantity: str, judged: str = "surrogate") -> str | None:
        """Name of the engine, other than ``judged``, with the smallest mean error in a quantity, or None."""
        means = {
            name: float(result.errors[quantity].mean())
            for name, result in self.engines.items()
            if name != judged and quantity in result.errors
        }
        return min(means, key=lambda name: means[name]) if means else None

    def typical(self, engine: str) -> int:
        """Index of the strain with the median error of an engine.

        The error is that of the density; where that is not known, of the free energy, or else of the first quantity.

        Raises:
            InputError: the engine has no errors.
        """
        errors = self.engines[engine].errors
        key = next((name for name in ("density.nrmse", "free_energy", *errors) if name in errors), None)
        if key is None:
            raise InputError(f"there is nothing that both {engine} and all test states know")
        order = np.argsort(errors[key], kind="stable")
        return int(order[len(order) // 2])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data: summaries and spreads in the units under ``units``, and the errors of every strain."""
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
            "best_baseline": {name: self.best_baseline(name) for name in self.spread},
            "seconds_per_solve": {name: float(np.median(e.seconds)) for name, e in self.engines.items()},
            "strains": {
                "deformation": self.deformations.tolist(),
                "volumetric_strain": self.volumetric_strain.tolist(),
                "truth": {name: values.tolist() for name, values in self.truth.items()},
                "displacement": [None if np.isnan(x) else x for x in self.displacement.tolist()],
                "outside_domain": None if self.outside is None else self.outside.tolist(),
                "engines": {engine: result.to_dict() for engine, result in self.engines.items()},
            },
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        strains = table["strains"]
        return cls(
            deformations=np.array(strains["deformation"], dtype=float),
            volumetric_strain=np.array(strains["volumetric_strain"], dtype=float),
            truth={name: np.array(values, dtype=float) for name, values in strains["truth"].items()},
            displacement=np.array(strains["displacement"], dtype=float),
            spread={name: Spread(**values) for name, values in table["spread"].items()},
            engines={name: EngineErrors.from_dict(result) for name, result in strains["engines"].items()},
            outside=None if strains.get("outside_domain") is None else np.array(strains["outside_domain"], dtype=bool),
        )
