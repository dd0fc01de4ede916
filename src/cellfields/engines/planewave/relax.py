"""Relaxation of the internal coordinates:  ∂F/∂y = 0,  y the Cartesian displacements of the independent atoms.

Quasi-Newton steps  Δy = −H⁻¹ ∂F/∂y  with BFGS updates of H, limited to a trust radius. The quadratic model predicts

    ΔF = ∂F/∂y · Δy + ½ Δy · H Δy        with H from before the step

and the ratio of the actual change to this one decides whether the radius grows or shrinks. (With H after the update the
formula is exact on every quadratic surface, however poor the H that proposed the step.) With one soft direction (basal
sliding in strained hcp Mg: 1e-3 Ha/Bohr² beside 0.05) plain BFGS converges slowly, so H starts from the curvature by
finite differences of the forces, unless an earlier solve provides one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import RelaxationNotConverged

_TRUST_START, _TRUST_MAX, _TRUST_MIN = 0.25, 0.5, 1e-3  # Bohr
_PROBE = 0.02  # Bohr, displacement of the finite-difference curvature
_FLOOR = 5e-4  # Hartree/Bohr², smallest curvature that a step is computed with
_ENERGY_NOISE = 1e-9  # Hartree
_TELLING = 1e-7  # Hartree, a predicted decrease that is large beside the noise of F
_GOOD, _POOR = 0.5, 0.25  # parts of the predicted decrease above which the radius may grow, below which it shrinks


@dataclass(frozen=True, eq=False)
class Relaxed:
    """The end of a relaxation.

    Attributes:
        y: (n,) displacements, Bohr.
        gradient: (n,) ∂F/∂y, Hartree/Bohr.
        hessian: (n, n) second derivatives as far as they are known, Hartree/Bohr², or None.
        history: for each solve ``free_energy`` (Hartree) and ``gradient``, the largest force (Hartree/Bohr).
    """

    y: FloatArray
    gradient: FloatArray
    hessian: FloatArray | None
    history: tuple[dict[str, float], ...]


def largest_component(gradient: FloatArray) -> float:
    """Largest component max |∂F/∂y_i| of a gradient (n,); 0 without coordinates."""
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
    """Minimise F from the displacements y.

    Args:
        energy_and_gradient: y (n,) → F (Hartree) and ∂F/∂y (n,), Hartree/Bohr.
        y: start, Bohr.
        tolerance: largest force at the end, Hartree/Bohr.
        max_steps: largest number of calls of ``energy_and_gradient``.
        hessian: start curvature (n, n), Hartree/Bohr², or None to measure it (n ≤ 6) or to guess it.
        size: gradient (n,) → largest force on an atom, Hartree/Bohr, which is compared with the tolerance; the
            gradient's largest component unless given (half of it where two atoms move together).

    Raises:
        RelaxationNotConverged: ``max_steps`` was reached; the error carries the history, one entry for each solve.
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
            continue  # the step is not taken, but its gradient has improved H
        trust = next_trust(trust, float(np.linalg.norm(step)), promised, new_energy - energy)
        y, energy, gradient = y + step, new_energy, new_gradient
        if size(gradient) < tolerance:
            return Relaxed(y, gradient, curvature, tuple(history))


def promised_decrease(curvature: FloatArray, gradient: FloatArray, step: FloatArray) -> float:
    """Change of F (Hartree, negative) that the quadratic model predicts for a step.

    Args:
        curvature: (n, n) of the model that proposed the step, Hartree/Bohr², before its update by the step.
        gradient: (n,) ∂F/∂y where the step begins, Hartree/Bohr.
        step: (n,) Bohr.
    """
    return float(gradient @ step + 0.5 * step @ curvature @ step)


def next_trust(trust: float, length: float, promised: float, arrived: float) -> float:
    """Trust radius (Bohr) after a step that was taken.

    It doubles after a step as long as the radius that brought half of the predicted decrease or more, becomes half the
    step's length where it brought less than a quarter, and stays where the prediction is within the noise of F.

    Args:
        trust: radius before the step, Bohr.
        length: of the step, Bohr.
        promised: predicted change of F, Hartree, negative.
        arrived: actual change of F, Hartree.
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
    """Curvature (n, n), Hartree/Bohr², by one-sided finite differences of the gradient; a guess for n > 6.

    Of ∂²F/∂y_i∂y_j there are two values, of which the smaller is taken. Where symmetry makes the derivative zero, one
    of them may have an error of second order: displacing an atom of a molecule across its bond also makes the bond
    longer, and the force along it changes.
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
    """The step −|H|⁻¹ g, no longer than the trust radius; it leads downhill where H has negative eigenvalues too."""
    values, modes = np.linalg.eigh(curvature)
    step = -modes @ ((modes.T @ gradient) / np.maximum(np.abs(values), _FLOOR))
    length = float(np.linalg.norm(step))
    return np.asarray(step if length <= trust else step * (trust / length))


def _updated(curvature: FloatArray, step: FloatArray, change: FloatArray) -> FloatArray:
    """H after a step: the BFGS update where the curvature along it is positive, symmetric rank one elsewhere.

    Args:
        curvature: (n, n) before, Hartree/Bohr².
        step: (n,) Bohr.
        change: (n,) of the gradient, Hartree/Bohr.
    """
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
