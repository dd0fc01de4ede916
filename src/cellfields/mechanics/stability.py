"""Where a crystal under uniaxial load stops being stable: K_ff, the stiffness on the free components, gets singular.

    g_f(x_f, e_i) = 0 ,   K_ff = ∂g_f/∂x_f ,   K_fi = ∂g_f/∂e_i          smallest eigenvalue of K_ff: + stable, − not

Beyond a limit point there is no neighbouring equilibrium at all: a path that minimises jumps, and sees no eigenvalue
change its sign. So the path is followed by its arc length s, around the turning point and onto the unstable branch, and
the zero of the eigenvalue is found in s (Keller 1977). There e_i(s) is stationary: the strain is found to second order.
Another choice of x changes K_ff of a state with g_f = 0 by a congruence, so the sign does not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from cellfields._typing import FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.engines.contract import Engine
from cellfields.errors import ConvergenceError, InputError, LeftDomainError
from cellfields.mechanics._minimise import measured_stiffness, updated
from cellfields.mechanics.coordinates import (
    NAMES,
    Components,
    active_components,
    coordinates_of,
    deformation_of,
    embedded,
)
from cellfields.mechanics.departure import check_outside, components_of, departure, is_outside
from cellfields.mechanics.evaluator import Evaluator
from cellfields.mechanics.uniaxial_path import TOLERANCE, UniaxialPoint, uniaxial_test

_STEP = 0.01  # arc length between two points of the path
_PROBE = 1e-3  # strain, of the measured stiffness
_RESOLUTION = 1e-4  # arc length
_SHRINK = (1.0, 0.5, 0.25, 0.125)
_CORRECTIONS = 12
_MOST_STEPS = 200
_INSIDE = (0.5, 0.25, 0.75, 0.1, 0.9)  # parts of an interval, tried where Brent's own point cannot be solved
_COUPLED = 0.02  # |v · K_fi| / |K_fi| above which the load itself drives the mode


@dataclass(frozen=True, eq=False)
class Instability:
    """The first state along a path that is not stable.

    Attributes:
        direction: 1, 2 or 3.
        strain: e_i of the state.
        deformation: D, within the tolerance of the free stress.
        stress: (3, 3) Cauchy stress, Hartree/Bohr³.
        eigenvalue: smallest one of K_ff, zero within the accuracy of the search, Hartree/Bohr³.
        mode: component → its part in the eigenvector, along which the crystal gives way.
        kind: "limit point" (the load drives the mode: no equilibrium beyond) or "bifurcation" (the mode breaks a
            symmetry that the path keeps).
        in_domain: whether D lies among a model's training strains; None for engines without a domain.
        evaluations: number of solves.
    """

    direction: int
    strain: float
    deformation: Deformation
    stress: FloatArray
    eigenvalue: float
    mode: dict[str, float]
    kind: Literal["limit point", "bifurcation"]
    in_domain: bool | None
    evaluations: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "direction": self.direction,
            "strain": self.strain,
            "deformation": self.deformation.as_array().tolist(),
            "stress": self.stress.tolist(),
            "eigenvalue": self.eigenvalue,
            "mode": self.mode,
            "kind": self.kind,
            "in_domain": self.in_domain,
            "evaluations": self.evaluations,
        }


def tangent_stiffness(
    engine: Engine, deformation: Deformation, *, components: Components = "all", step: float = _PROBE
) -> FloatArray:
    """K (m, m) = ∂g/∂x at D by differences, 4 or 10 solves; order e₁, e₂, e₃, c₂₃, c₁₃, c₁₂.

    Raises:
        InputError: components is neither "axial" nor "all", or the engine has no stress.
    """
    active = active_components(components)
    gradient = Evaluator(engine).restricted(active)
    z = coordinates_of(deformation, engine.crystal)[list(active)]
    return measured_stiffness(gradient, z, gradient(z), step)


def find_instability(
    engine: Engine,
    direction: int,
    *,
    towards: float = -0.1,
    components: Components = "axial",
    begin: UniaxialPoint | None = None,
    tolerance: float = TOLERANCE,
    step: float = _STEP,
    outside: str = "raise",
) -> Instability | None:
    """Follow the uniaxial path from zero, or from a point of a curve, until it loses its stability.

    Each step takes some 5 solves (11 with shears); with DFT, ``begin`` should be a few steps before the instability.

    Args:
        engine: any engine with stress.
        direction: 1, 2 or 3.
        towards: the strain to go to, not zero; a positive one stretches, a negative one compresses.
        components: "axial" or "all".
        begin: a stable point of a curve with the same direction and components.
        tolerance: largest free stress component, Hartree/Bohr³.
        step: arc length between points.
        outside: "raise" refuses an instability outside the strains that a model was trained on, "flag" returns it with
            ``in_domain`` False. Both are alike for first principles.

    Returns:
        The instability, or None when the path reaches ``towards`` and is stable.

    Raises:
        InputError: an argument is out of range, begin is of another test, or its state is unstable already.
        LeftDomainError: the instability lies outside the strains that a model was trained on, with ``outside`` "raise".
        ConvergenceError: the path could not be followed.
    """
    check_outside(outside)
    if not (0 < step <= 0.1 and abs(towards) > 0):
        raise InputError(f"step = {step:g} must be in 0 … 0.1, and towards = {towards:g} not zero")
    active = active_components(components)
    if begin is None:
        begin = uniaxial_test(engine, direction, [0.0], components=components, tolerance=tolerance).points[0]
    if len(begin.minimum.z) != len(active) or begin.minimum.z[direction - 1] != begin.strain:
        raise InputError("begin belongs to a test of another direction or with other components")
    evaluator = Evaluator(engine)
    path = _Path(evaluator.restricted(active), direction - 1, len(active), tolerance)
    place = path.at(begin.minimum.z, np.sign(towards) * np.eye(len(active))[direction - 1])
    if place.eigenvalue <= 0:
        raise InputError(f"begin: the crystal is unstable already at strain {begin.strain:g}")
    for _ in range(_MOST_STEPS):
        if (place.z[direction - 1] - towards) * np.sign(towards) >= 0:
            return None
        next_place, arc_length = path.advance(place, step)
        if next_place.eigenvalue <= 0:
            critical = _zero(path, place, next_place, arc_length)
            state = evaluator.recall(deformation_of(embedded(critical.z, active), engine.crystal))
            assert state.stress is not None
            if outside == "raise" and is_outside(state):
                message = departure(f"an instability along x{direction}", engine, (), state.deformation, "it is there")
                raise LeftDomainError(message, [components_of(state)])
            names = [NAMES[index] for index in active if index != direction - 1]
            limit_point = critical.coupling > _COUPLED
            # At a limit point the residual of g along the mode shifts the strain, to first order.
            residual = float(critical.mode @ np.delete(critical.gradient, direction - 1))
            return Instability(
                direction=direction,
                strain=float(critical.z[direction - 1]) - (residual / critical.drive if limit_point else 0.0),
                deformation=state.deformation,
                stress=state.stress,
                eigenvalue=critical.eigenvalue,
                mode=dict(zip(names, critical.mode.tolist(), strict=True)),
                kind="limit point" if limit_point else "bifurcation",
                in_domain=state.provenance.get("in_domain"),
                evaluations=evaluator.evaluations,
            )
        place = next_place
    raise ConvergenceError(f"the path was followed for {_MOST_STEPS} steps of {step:g} without an end")


@dataclass(frozen=True, eq=False)
class _Place:
    """A point of the path; stresses and stiffnesses are in Hartree/Bohr³.

    Attributes:
        z: (m,) strain components.
        gradient: (m,) g.
        stiffness: (m, m) K.
        tangent: (m,) unit tangent of the path.
        eigenvalue: smallest eigenvalue of K_ff.
        mode: (m − 1,) its eigenvector v.
        drive: v · K_fi, by which the load drives that mode.
        coupling: |v · K_fi| / |K_fi|, 0 … 1.
    """

    z: FloatArray
    gradient: FloatArray
    stiffness: FloatArray
    tangent: FloatArray
    eigenvalue: float
    mode: FloatArray
    drive: float
    coupling: float


@dataclass(frozen=True, eq=False)
class _Path:
    """The curve g_f(z) = 0; ``axis`` is the place of e_i in z."""

    gradient: Callable[[FloatArray], FloatArray]
    axis: int
    size: int
    tolerance: float
    refused: list[str] = field(default_factory=list)  # the error message of the last strain that could not be solved

    def at(self, z: FloatArray, along: FloatArray, gradient: FloatArray | None = None) -> _Place:
        """Measure K at z (m,) on the path, with g there or None to compute it; the tangent points along ``along``."""
        gradient = self.gradient(z) if gradient is None else gradient
        stiffness = measured_stiffness(self.gradient, z, gradient, _PROBE)
        rows = np.delete(stiffness, self.axis, axis=0)
        free, load = np.delete(rows, self.axis, axis=1), rows[:, self.axis]
        tangent = np.linalg.svd(rows)[2][-1]  # rows @ tangent = 0
        values, modes = np.linalg.eigh(free)
        mode = modes[:, 0] * np.sign(modes[np.abs(modes[:, 0]).argmax(), 0])
        drive = float(mode @ load)
        return _Place(
            z=z,
            gradient=gradient,
            stiffness=stiffness,
            tangent=tangent if tangent @ along > 0 else -tangent,
            eigenvalue=float(values[0]),
            mode=mode,
            drive=drive,
            coupling=abs(drive) / (float(np.linalg.norm(load)) or 1.0),
        )

    def advance(self, place: _Place, step: float) -> tuple[_Place, float]:
        """The next point, and its arc length from ``place``: shorter than ``step`` where that did not converge.

        Raises:
            ConvergenceError: not even an eighth of the step converged.
        """
        for arc_length in step * np.array(_SHRINK):
            next_place = self.ahead(place, float(arc_length))
            if next_place is not None:
                return next_place, float(arc_length)
        raise ConvergenceError(
            f"the path was lost at strain {place.z[self.axis]:.5f}: no equilibrium found {_SHRINK[-1] * step:g} ahead"
            + "".join(f" ({reason})" for reason in self.refused)
        )

    def ahead(self, place: _Place, step: float, guess: _Place | None = None) -> _Place | None:
        """Newton in the plane across the tangent:  g_f(z) = 0 ,  t · (z − z_place) = step.

        Args:
            place: the point whose tangent t and z make the plane.
            step: arc length.
            guess: point where to begin, with its stiffness; None is ``place`` moved along t.

        Returns:
            The point with its measured stiffness, or None where the iteration did not converge or the engine refused a
            strain; ``refused`` then holds the message.
        """
        start = place if guess is None else guess
        stiffness, z_last, g_last = start.stiffness, start.z, start.gradient
        z = z_last + (step - place.tangent @ (z_last - place.z)) * place.tangent
        try:
            for _ in range(_CORRECTIONS):
                gradient = self.gradient(z)
                stiffness = updated(stiffness, z - z_last, gradient - g_last, self.tolerance)
                missing = np.delete(gradient, self.axis)
                if np.abs(missing).max(initial=0.0) < self.tolerance:
                    return self.at(z, place.tangent, gradient)
                rows = np.vstack([np.delete(stiffness, self.axis, axis=0), place.tangent * np.abs(stiffness).max()])
                z_last, g_last = z, gradient
                z = z + np.linalg.solve(rows, -np.append(missing, 0.0))
        except (InputError, ConvergenceError, np.linalg.LinAlgError) as error:
            self.refused[:] = [str(error)]
        return None


def _zero(path: _Path, low: _Place, high: _Place, step: float) -> _Place:
    """The point between two, ``step`` apart, where the eigenvalue is zero, by Brent's method in the arc length.

    Where a point that Brent's method needs cannot be solved, others between the two nearest solved points of different
    sign are tried, and the search goes on between the nearest two again.

    Raises:
        ConvergenceError: no point could be solved between two of different sign that are farther apart than 1e-4.
    """
    places = {0.0: low, step: high}

    def place(s: float) -> _Place | None:
        if s not in places:
            nearest = min(places, key=lambda arc_length: abs(arc_length - s))
            new_place = path.ahead(low, s) or path.ahead(low, s, places[nearest])
            if new_place is None:
                return None
            places[s] = new_place
        return places[s]

    def eigenvalue(s: float) -> float:
        solved = place(s)
        if solved is None:
            raise _NoPlace
        return solved.eigenvalue

    begin, end = 0.0, step
    while end - begin > _RESOLUTION:
        try:
            return places[float(brentq(eigenvalue, begin, end, xtol=_RESOLUTION))]
        except _NoPlace:
            begin, end = _nearest_of_different_sign(places)
        inner = begin + (end - begin) * np.array(_INSIDE)
        if all(place(float(s)) is None for s in inner):
            raise ConvergenceError(
                f"the crystal loses its stability between strains {places[begin].z[path.axis]:.5f} and "
                f"{places[end].z[path.axis]:.5f}, but no state between them could be solved"
                + "".join(f" ({reason})" for reason in path.refused)
            )
        begin, end = _nearest_of_different_sign(places)
    return min(places[begin], places[end], key=lambda end_point: abs(end_point.eigenvalue))


class _NoPlace(Exception):
    """A point of the path that Brent's method needs cannot be solved."""


def _nearest_of_different_sign(places: dict[float, _Place]) -> tuple[float, float]:
    """Arc lengths of the first two neighbouring solved points of which the former is stable and the latter is not."""
    arc_lengths = sorted(places)
    return next((a, b) for a, b in pairwise(arc_lengths) if places[a].eigenvalue > 0 >= places[b].eigenvalue)
