"""Relaxation of the internal coordinates:  ∂F/∂y = 0,  y the Cartesian displacements of the independent atoms.

Quasi-Newton steps  Δy = −H⁻¹ ∂F/∂y  with BFGS updates of H, limited to a trust radius. A step promises

    ΔF = ∂F/∂y · Δy + ½ Δy · H Δy        H as it was when it proposed the step

and the part of this that arrives decides whether the radius grows or shrinks. (With H after the update the formula is
exact on every quadratic surface, however poor the H that proposed the step.) One soft direction (basal sliding in
strained hcp Mg: 1e-3 Ha/Bohr² beside 0.05) makes plain BFGS creep, so H starts from the curvature found by finite
differences of the forces, unless an earlier solve hands one over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import RelaxationNotConverged

_TRUST_START, _TRUST_MAX, _TRUST_MIN = 0.25, 0.5, 1e-3  # Bohr
_PROBE = 0.02  # Bohr, displacement of the finite-difference curvature
_FLOOR = 5e-4  # Hartree/Bohr², smallest curvature a step trusts
_ENERGY_NOISE = 1e-9  # Hartree
_TELLING = 1e-7  # Hartree, a promised decrease that the noise of F does not hide
_GOOD, _POOR = 0.5, 0.25  # parts of the promised decrease that must arrive for a larger radius, for the same one


@dataclass(frozen=True, eq=False)
class Relaxed:
    """Attributes: y (n,) Bohr, gradient (n,) Hartree/Bohr, hessian (n, n), history one mapping a solve."""

    y: FloatArray
    gradient: FloatArray
    hessian: FloatArray | None
    history: tuple[dict[str, float], ...]


def largest_component(gradient: FloatArray) -> float:
    """max |∂F/∂y_i|."""
    return float(np.abs(gradient).max(initial=0.0))


def relax(
    energy_and_gradient: Callable[[FloatArray], tuple[float, FloatArray]],
    y: FloatArray,
    *,
    tolerance: float,
    max_steps: int,
    hessian: FloatArray | None = None,
    size: Callable[[FloatArray], float] = largest_component,
) -> Relaxed:
    """Minimise from y.

    Args:
        energy_and_gradient: y (n,) → F (Hartree) and ∂F/∂y (n,).
        y: start, Bohr.
        tolerance: largest force at the end, Hartree/Bohr.
        max_steps: calls of ``energy_and_gradient``.
        hessian: start curvature (n, n), or None to measure it (n ≤ 6) or to guess it.
        size: gradient (n,) → largest force on an atom, Hartree/Bohr, which the tolerance is for; the gradient's
            largest component unless told otherwise (half of it where two atoms move together).

    Raises:
        RelaxationNotConverged: with one entry a solve.
    """
    history: list[dict[str, float]] = []

    def call(point: FloatArray) -> tuple[float, FloatArray]:
        if len(history) >= max_steps:
            raise RelaxationNotConverged(
                f"the relaxation left a force of {min(h['gradient'] for h in history):.1e} Ha/Bohr after {max_steps} "
                f"solves, wanted {tolerance:.1e}",
                history,
            )
        value, slope = energy_and_gradient(point)
        history.append({"free_energy": value, "gradient": size(slope)})
        return value, slope

    energy, gradient = call(y)
    if len(y) == 0 or size(gradient) < tolerance:
        return Relaxed(y, gradient, hessian, tuple(history))
    curvature = _measured(call, y, gradient) if hessian is None else hessian
    trust = _TRUST_START
    while True:
        step = _newton_step(curvature, gradient, trust)
        new_energy, new_gradient = call(y + step)
        promised = promised_decrease(curvature, gradient, step)
        curvature = _updated(curvature, step, new_gradient - gradient)
        worse = new_energy > energy + _ENERGY_NOISE and np.linalg.norm(new_gradient) > np.linalg.norm(gradient)
        if worse and size(new_gradient) >= tolerance:
            trust = max(0.3 * float(np.linalg.norm(step)), _TRUST_MIN)
            continue  # the update has learned from it; try again from y
        trust = next_trust(trust, float(np.linalg.norm(step)), promised, new_energy - energy)
        y, energy, gradient = y + step, new_energy, new_gradient
        if size(gradient) < tolerance:
            return Relaxed(y, gradient, curvature, tuple(history))


def promised_decrease(curvature: FloatArray, gradient: FloatArray, step: FloatArray) -> float:
    """Change of F (Hartree, negative) that the quadratic model which proposed a step (n,) expects of it.

    Args:
        curvature: (n, n) of the model, Hartree/Bohr², before it has seen where the step leads.
        gradient: (n,) where the step begins, Hartree/Bohr.
        step: (n,) Bohr.
    """
    return float(gradient @ step + 0.5 * step @ curvature @ step)


def next_trust(trust: float, length: float, promised: float, arrived: float) -> float:
    """Trust radius (Bohr) after a step that was taken.

    It doubles after a step as long as the radius of whose promised decrease (Hartree, negative) half arrived or more,
    and becomes half the step's length where less than a quarter did. Changes of F too small for its noise tell nothing.
    """
    if promised > -_TELLING:
        return trust
    if arrived > _POOR * promised:
        return max(0.5 * length, _TRUST_MIN)
    if length > 0.9 * trust and arrived < _GOOD * promised:
        return min(2 * trust, _TRUST_MAX)
    return trust


def _measured(
    call: Callable[[FloatArray], tuple[float, FloatArray]], y: FloatArray, gradient: FloatArray
) -> FloatArray:
    """One-sided finite differences of the gradient, made symmetric; for many coordinates a plain guess instead.

    Of ∂²F/∂y_i∂y_j there are two values. Where symmetry makes it zero, one of them still has an error of second order:
    a molecule that is turned by a displacement of its atoms across the bond also has a longer bond, and the force along
    it says so. The smaller of the two keeps such directions apart.
    """
    n = len(y)
    if n > 6:
        return 0.1 * np.eye(n)
    columns = []
    for i in range(n):
        probe = np.zeros(n)
        probe[i] = _PROBE if gradient[i] <= 0 else -_PROBE  # downhill
        columns.append((call(y + probe)[1] - gradient) / probe[i])
    measured = np.array(columns)
    return np.where(np.abs(measured) <= np.abs(measured.T), measured, measured.T)


def _newton_step(curvature: FloatArray, gradient: FloatArray, trust: float) -> FloatArray:
    """−|H|⁻¹ g, no longer than the trust radius: downhill also where the curvature is negative."""
    values, modes = np.linalg.eigh(curvature)
    step = -modes @ ((modes.T @ gradient) / np.maximum(np.abs(values), _FLOOR))
    length = float(np.linalg.norm(step))
    return np.asarray(step if length <= trust else step * (trust / length))


def _updated(curvature: FloatArray, step: FloatArray, change: FloatArray) -> FloatArray:
    """BFGS where the curvature along the step is positive, symmetric rank one where it is not."""
    along = float(step @ change)
    if along > 1e-12:
        pushed = curvature @ step
        denominator = float(step @ pushed)
        if denominator > 1e-14:
            return np.asarray(curvature + np.outer(change, change) / along - np.outer(pushed, pushed) / denominator)
    missing = change - curvature @ step
    denominator = float(missing @ step)
    if abs(denominator) < 1e-8 * np.linalg.norm(missing) * np.linalg.norm(step) or denominator == 0:
        return curvature
    return np.asarray(curvature + np.outer(missing, missing) / denominator)
