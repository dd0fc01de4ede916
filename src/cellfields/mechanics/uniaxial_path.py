"""The uniaxial stress test: one elongation prescribed, all other free stress components zero (paper, sec. 4.5, fig. 9).

    minimise 𝓕(x) over the free components of x at prescribed e_i        (``coordinates`` says what x is)

"axial" frees the other two elongations and keeps right angles, as the authors did; "all" frees the three shears too.
The path goes from zero outwards, so that it stays in the minimum that it began in for as long as there is one. The
search at each strain begins at the extrapolation of its neighbours, with their stiffness and their orbitals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import Engine
from cellfields.errors import ConvergenceError, InputError
from cellfields.mechanics._minimise import Minimum, barzilai_borwein, minimise
from cellfields.mechanics._record import Record
from cellfields.mechanics.coordinates import Components, active_components, coordinates_of, deformation_of, embedded
from cellfields.mechanics.evaluator import Evaluator
from cellfields.mechanics.stress_measures import Stress
from cellfields.state import CellState

PAPER_STRAINS = tuple(float(x) for x in np.round(np.linspace(-0.1, 0.1, 21), 10))
TOLERANCE = 2e-7  # Hartree/Bohr³, 6 MPa: about the noise of a stress from a reduced basis
_LARGEST_STRAIN = 0.4
_SINGULAR = 1e-10  # of the largest stiffness: smaller singular values count as zero
_WILD = 0.05  # strain; a longer extrapolation is not used

Definition = Literal["cauchy", "small-strain"]
OnPoint = Callable[["UniaxialPoint", CellState], None]


@dataclass(frozen=True, eq=False)
class UniaxialPoint:
    """One converged strain of a uniaxial test.

    Attributes:
        strain: the prescribed e_i.
        deformation: D of the state.
        stress: (3, 3) Cauchy stress, Hartree/Bohr³.
        free_energy: Hartree per cell.
        internal: (n_int,) relaxed internal coordinates, fractional, or None where the engine does not know them.
        evaluations: number of solves.
        in_domain: whether D lies among a model's training strains; None for engines without a domain.
        minimum: z, g and carried stiffness K in the active components, for the points that follow.
    """

    strain: float
    deformation: Deformation
    stress: FloatArray
    free_energy: float
    internal: FloatArray | None
    evaluations: int
    in_domain: bool | None
    minimum: Minimum

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "strain": self.strain,
            "deformation": self.deformation.as_array().tolist(),
            "stress": self.stress.tolist(),
            "free_energy": self.free_energy,
            "internal": None if self.internal is None else self.internal.tolist(),
            "evaluations": self.evaluations,
            "in_domain": self.in_domain,
            "z": self.minimum.z.tolist(),
            "gradient": self.minimum.gradient.tolist(),
            "stiffness": self.minimum.stiffness.tolist(),
        }

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> UniaxialPoint:
        """Make the point from the table that :meth:`to_dict` returned."""
        z, gradient, stiffness = (np.array(table[name]) for name in ("z", "gradient", "stiffness"))
        return cls(
            strain=float(table["strain"]),
            deformation=Deformation.from_array(table["deformation"]),
            stress=np.array(table["stress"]),
            free_energy=float(table["free_energy"]),
            internal=None if table["internal"] is None else np.array(table["internal"], dtype=float),
            evaluations=int(table["evaluations"]),
            in_domain=table["in_domain"],
            minimum=Minimum(z, gradient, stiffness, int(table["evaluations"])),
        )


@dataclass(frozen=True, eq=False)
class UniaxialTable:
    """Stress and elongations along a test as arrays, ready to be plotted.

    Attributes:
        direction: 1, 2 or 3.
        strain: (n,) prescribed, increasing.
        stress: (n,) along the direction, Hartree/Bohr³.
        strains: (n, 3) elongations e₁, e₂, e₃, with the prescribed one among them.
    """

    direction: int
    strain: FloatArray
    stress: FloatArray
    strains: FloatArray

    def residual(self) -> tuple[float, FloatArray]:
        """Stress, Hartree/Bohr³, and elongations (3,) at zero prescribed strain (linear between points)."""
        at_zero = [float(np.interp(0.0, self.strain, column)) for column in (self.stress, *self.strains.T)]
        return at_zero[0], np.array(at_zero[1:])

    def turning_points(self) -> list[float]:
        """Strains where the stress has a maximum or minimum (parabola through three points).

        Beyond them the crystal is unstable under a prescribed *load*, even where it is stable at prescribed strain.
        """
        middle = 0.5 * (self.strain[1:] + self.strain[:-1])
        slope = np.diff(self.stress) / np.diff(self.strain)
        turns = np.flatnonzero(slope[1:] * slope[:-1] < 0)
        return [float(middle[i] - slope[i] * (middle[i + 1] - middle[i]) / (slope[i + 1] - slope[i])) for i in turns]

    def subtracted(self, reference: UniaxialTable | None = None) -> UniaxialTable:
        """The table less the residual stress and strains at zero of ``reference``, or of this table where that is None.

        The paper's figure 9 subtracts those of the DFT curve from all curves.
        """
        stress, strains = (self if reference is None else reference).residual()
        strains[self.direction - 1] = 0.0  # prescribed
        return UniaxialTable(self.direction, self.strain, self.stress - stress, self.strains - strains)


@dataclass(frozen=True, eq=False)
class UniaxialCurve:
    """The result of a uniaxial test.

    Attributes:
        crystal: the reference crystal.
        direction: 1, 2 or 3: the line that is stretched, x₁ ∥ a and x₂ in the plane of a and b.
        components: "axial" or "all".
        points: in order of strain.
        failures: strain → why its branch ended there; strains beyond it were not tried.
    """

    crystal: Crystal
    direction: int
    components: Components
    points: tuple[UniaxialPoint, ...]
    failures: dict[float, str]

    @property
    def evaluations(self) -> int:
        """Number of solves at all points together."""
        return sum(point.evaluations for point in self.points)

    def at(self, strain: float) -> UniaxialPoint:
        """The point whose prescribed strain is nearest to ``strain``."""
        return min(self.points, key=lambda point: abs(point.strain - strain))

    def table(self, definition: Definition = "cauchy") -> UniaxialTable:
        """Stress and strains as arrays, with no residual subtracted.

        Args:
            definition: "cauchy" is eq. 13 along the deformed line, "small-strain" eq. 14, which the paper plots.
        """
        strains = np.array([coordinates_of(point.deformation, self.crystal)[:3] for point in self.points])
        stress = np.array([self._axial(point, definition) for point in self.points])
        return UniaxialTable(self.direction, np.array([point.strain for point in self.points]), stress, strains)

    @property
    def in_domain(self) -> bool | None:
        """Whether all points lie among a model's training strains; None for first principles."""
        flags = [point.in_domain for point in self.points]
        return None if None in flags else all(flags)

    def _axial(self, point: UniaxialPoint, definition: Definition) -> float:
        axis = self.direction - 1
        stress = Stress(self.crystal, point.deformation, point.stress)
        if definition == "small-strain":
            return float(stress.small_strain[axis, axis])
        line = stress.gradient[:, axis] / np.linalg.norm(stress.gradient[:, axis])
        return float(line @ stress.cauchy @ line)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data with units."""
        table = self.table()
        return {
            "direction": self.direction,
            "components": self.components,
            "strain": table.strain.tolist(),
            "axial_stress": table.stress.tolist(),
            "elongations": table.strains.tolist(),
            "turning_points": table.turning_points(),
            "in_domain": self.in_domain,
            "points": [point.to_dict() for point in self.points],
            "failures": {f"{strain:g}": reason for strain, reason in self.failures.items()},
            "evaluations": self.evaluations,
            "units": {"stress": "Hartree/Bohr^3, Cauchy, tension positive", "energy": "Hartree per cell"},
        }


def uniaxial_test(
    engine: Engine,
    direction: int,
    strains: Sequence[float] = PAPER_STRAINS,
    *,
    components: Components = "axial",
    tolerance: float = TOLERANCE,
    max_evaluations: int = 60,
    method: Literal["secant", "barzilai-borwein"] = "secant",
    record: str | Path | None = None,
    on_point: OnPoint | None = None,
) -> UniaxialCurve:
    """Stretch and compress a crystal along one direction.

    Args:
        engine: any engine with stress; DFT gives the "true" curve, a surrogate the learned one.
        direction: 1, 2 or 3.
        strains: prescribed e_i, −0.4 … 0.4; zero is always added.
        components: "axial" or "all".
        tolerance: largest free stress component at a converged point, Hartree/Bohr³.
        max_evaluations: number of solves after which a strain is given up.
        method: "secant" carries a stiffness along and begins where a parabola through its neighbours points to;
            "barzilai-borwein" is the paper's steepest descent, for comparison, and needs several times as many solves.
        record: file of JSON lines that keeps each converged point; a second call with the same file continues the test.
        on_point: called with each newly converged point and its state.

    Returns:
        The curve. A branch ends at the first strain that fails; ``failures`` holds the reason.

    Raises:
        InputError: direction, strains or components out of range, an engine without stress, or an engine that cannot
            identify itself (for ``record``).
        SettingsMismatchError: ``record`` belongs to another test.
        CorruptFileError: ``record`` is not a record of points.
        ConvergenceError: the state at zero strain was not found.
    """
    ordered = _checked(direction, strains)
    active = active_components(components)
    settings = {"direction": direction, "components": components, "tolerance": tolerance, "method": method}
    points_file = None if record is None else Record.open(Path(record), engine, {"test": "uniaxial", **settings})
    done = {p.strain: p for p in map(UniaxialPoint.from_dict, points_file.entries)} if points_file else {}
    free = np.array([index != direction - 1 for index in active])
    search = partial(
        minimise if method == "secant" else barzilai_borwein, tolerance=tolerance, max_evaluations=max_evaluations
    )
    evaluator = Evaluator(engine)
    failures: dict[float, str] = {}
    at_zero: Any = None
    for branch in _branches(ordered):
        evaluator.start = at_zero
        for strain in branch:
            if strain in done:
                continue
            neighbours = sorted(done.values(), key=lambda point: abs(point.strain - strain))
            neighbour = neighbours[0].minimum if neighbours else None
            guess = np.zeros(len(active)) if neighbour is None else neighbour.z.copy()
            if method == "secant" and neighbours:
                guess = _extrapolated(strain, direction - 1, neighbours[:3], free)
            guess[direction - 1] = strain
            try:
                minimum = search(evaluator.restricted(active), guess, free, neighbour)
            except (ConvergenceError, InputError) as error:
                if strain == 0.0:
                    raise
                failures[strain] = str(error)
                break
            state = evaluator.recall(deformation_of(embedded(minimum.z, active), engine.crystal))
            point = _point(strain, state, minimum)
            done[strain] = point
            if points_file is not None:
                points_file.append(point.to_dict())
            if on_point is not None:
                on_point(point, state)
        if branch == [0.0]:
            at_zero = evaluator.start
    requested = {0.0, *ordered}
    points = tuple(done[strain] for strain in sorted(done) if strain in requested)
    return UniaxialCurve(engine.crystal, direction, components, points, failures)


def _checked(direction: int, strains: Sequence[float]) -> list[float]:
    if direction not in (1, 2, 3):
        raise InputError(f"direction = {direction!r} must be 1, 2 or 3")
    values = [float(strain) for strain in strains]
    for value in values:
        if not abs(value) <= _LARGEST_STRAIN:
            raise InputError(f"strains: {value:g} is outside {-_LARGEST_STRAIN:g} … {_LARGEST_STRAIN:g} (0.01 is 1 %)")
    return sorted({round(value, 10) + 0.0 for value in values})


def _branches(strains: list[float]) -> Iterator[list[float]]:
    yield [0.0]
    yield [strain for strain in strains if strain > 0]
    yield [strain for strain in reversed(strains) if strain < 0]


def _extrapolated(strain: float, axis: int, nearest: list[UniaxialPoint], free: Array) -> FloatArray:
    """z (m,) at a new strain, on the parabola through three neighbours or on the tangent at one."""
    minimum = nearest[0].minimum
    guess = minimum.corrected(free)
    if len(nearest) > 1:
        return guess + _newton_polynomial(strain, [(p.strain, p.minimum.corrected(free)) for p in nearest])
    # Least squares, because a component that the training strains held has neither stress nor stiffness.
    slope = -np.linalg.lstsq(minimum.stiffness[np.ix_(free, free)], minimum.stiffness[free, axis], rcond=_SINGULAR)[0]
    guess[free] += slope * (strain - nearest[0].strain)
    return guess


def _newton_polynomial(strain: float, knots: list[tuple[float, FloatArray]]) -> FloatArray:
    """Difference (m,) between the polynomial through the knots and its first knot, cut where terms stop shrinking."""
    places = [place for place, _ in knots]
    differences = [value for _, value in knots]
    total, factor, last = np.zeros_like(differences[0]), 1.0, _WILD
    for order in range(1, len(knots)):
        differences = [
            (differences[i + 1] - differences[i]) / (places[i + order] - places[i]) for i in range(len(knots) - order)
        ]
        factor *= strain - places[order - 1]
        term = differences[0] * factor
        size = float(np.linalg.norm(term))
        if size > last:  # the neighbours lie on both sides of a jump
            break
        total, last = total + term, size
    return total


def _point(strain: float, state: CellState, minimum: Minimum) -> UniaxialPoint:
    assert state.stress is not None  # a gradient has been taken from it
    return UniaxialPoint(
        strain=strain,
        deformation=state.deformation,
        stress=state.stress,
        free_energy=state.free_energy,
        internal=state.internal if state.knows("internal") else None,
        evaluations=minimum.evaluations,
        in_domain=state.provenance.get("in_domain"),
        minimum=minimum,
    )
