"""Minimisation over some components of strain by stresses alone:  g_free(z) = 0 with K_free positive definite.

    z ← z − |K|⁻¹ g          K: carried from call to call, and corrected by what each step shows:
    K ← K + (r sᵀ + s rᵀ)/sᵀs − (r·s) s sᵀ/(sᵀs)² ,   s = Δz ,   r = Δg − K s      (Powell's symmetric Broyden)

K covers *all* components, also those that are held: steps along a path of prescribed strains then correct it too.
Energies are not used. Where the plane waves are few the stress is not quite the derivative of the energy, and a
stress-free state is what is looked for; the work ½ (g + g') · s says whether a step went downhill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cellfields._typing import Array, FloatArray
from cellfields.errors import ConvergenceError, InputError

Gradient = Callable[[FloatArray], FloatArray]

_TRUST, _LARGEST, _SMALLEST = 0.02, 0.05, 1e-4  # strain
_SOFTEST = 0.01  # of the largest curvature: the smallest that a step trusts
_TEACHES = 3.0  # times the tolerance: a change of stress below is noise
_PROBE = 2e-3  # strain
_ELONGATIONS = 3  # come first in z, then the shears


@dataclass(frozen=True, eq=False)
class Minimum:
    """A strain at which the free stress components are zero within the tolerance.

    Attributes:
        z: (m,) strain components.
        gradient: (m,) g at z, Hartree/Bohr³.
        stiffness: (m, m) K as carried to z, Hartree/Bohr³.
        evaluations: number of gradients that the search computed.
    """

    z: FloatArray
    gradient: FloatArray
    stiffness: FloatArray
    evaluations: int

    def corrected(self, free: Array) -> FloatArray:
        """z (m,) after one more Newton step in the ``free`` components (m,), unsolved: for predictions, not results."""
        z = self.z.copy()
        z[free] += newton_step(self.stiffness[np.ix_(free, free)], self.gradient[free], _SMALLEST)
        return z


@dataclass
class _Counted:
    """A gradient function that limits the number of its calls and records the residual of each.

    A call raises :class:`~cellfields.errors.ConvergenceError` at the limit, or where a later strain has no answer.
    """

    gradient: Gradient
    free: Array
    limit: int
    history: list[dict[str, float]] = field(default_factory=list)

    def __call__(self, z: FloatArray) -> FloatArray:
        if len(self.history) >= self.limit:
            least = min((entry["residual"] for entry in self.history), default=np.inf)
            raise ConvergenceError(
                f"the free stress components are not zero after {self.limit} evaluations (smallest so far {least:.1e} "
                "Ha/Bohr³)",
                self.history,
            )
        try:
            gradient = self.gradient(z)
        except InputError as error:
            if not self.history:
                raise  # the engine or the start is at fault, not a strain that the search went to
            raise ConvergenceError(
                f"the search ran away: it began with a largest free stress of {self.history[0]['residual']:.1e} "
                f"Ha/Bohr³, and after {len(self.history)} evaluations came to a strain that has no answer ({error})",
                self.history,
            ) from error
        self.history.append({"residual": residual(gradient, self.free)})
        return gradient


def residual(gradient: FloatArray, free: Array) -> float:
    """Largest absolute value of the free components of g (m,)."""
    return float(np.abs(gradient[free]).max(initial=0.0))


def measured_stiffness(gradient: Gradient, z: FloatArray, at_z: FloatArray, step: float = _PROBE) -> FloatArray:
    """∂g/∂z (m, m) by differences, made symmetric: one evaluation for each elongation, two for each shear.

    One-sided differences in a shear would give a false coupling to stresses that are even functions of that shear.
    """
    columns = []
    for index, unit in enumerate(np.eye(len(z))):
        ahead = gradient(z + step * unit)
        if index < _ELONGATIONS:
            columns.append((ahead - at_z) / step)
        else:
            columns.append((ahead - gradient(z - step * unit)) / (2 * step))
    return np.asarray(0.5 * (np.array(columns) + np.array(columns).T))


def updated(stiffness: FloatArray, step: FloatArray, change: FloatArray, tolerance: float) -> FloatArray:
    """Symmetric K (m, m) nearest to the old one that satisfies K s = Δg; unchanged where Δg is noise."""
    if np.abs(change).max() < _TEACHES * tolerance:
        return stiffness
    square = float(step @ step)
    missing = change - stiffness @ step
    cross = np.outer(missing, step) / square
    return np.asarray(stiffness + cross + cross.T - (missing @ step) * np.outer(step, step) / square**2)


def newton_step(stiffness: FloatArray, gradient: FloatArray, trust: float) -> FloatArray:
    """Step −|K|⁻¹ g, cut to the trust radius; it goes downhill also where K is not positive definite."""
    values, modes = np.linalg.eigh(stiffness)
    curvature = np.maximum(np.abs(values), _SOFTEST * np.abs(values).max())
    step = -modes @ ((modes.T @ gradient) / curvature)
    length = float(np.linalg.norm(step))
    return np.asarray(step if length <= trust else step * (trust / length))


def minimise(
    gradient: Gradient,
    z: FloatArray,
    free: Array,
    neighbour: Minimum | None,
    *,
    tolerance: float,
    max_evaluations: int,
) -> Minimum:
    """Search from z for g = 0 in the free components by quasi-Newton steps.

    Args:
        gradient: z (m,) → g (m,), Hartree/Bohr³.
        z: (m,) strain components at the start.
        free: (m,) which components may move.
        neighbour: the last minimum of a path, whose K is carried on; without one K is measured.
        tolerance: largest free component of g at the end, Hartree/Bohr³.
        max_evaluations: largest number of gradients to compute.

    Raises:
        InputError: the first gradient cannot be computed.
        ConvergenceError: the search did not converge; it holds the residual of each evaluation.
    """
    call = _Counted(gradient, free, max_evaluations)
    g = call(z)
    if neighbour is None:
        stiffness = measured_stiffness(call, z, g)
    else:
        stiffness = updated(neighbour.stiffness, z - neighbour.z, g - neighbour.gradient, tolerance)
    trust = _TRUST
    while residual(g, free) >= tolerance:
        step = np.zeros_like(z)
        step[free] = newton_step(stiffness[np.ix_(free, free)], g[free], trust)
        g_new = call(z + step)
        stiffness = updated(stiffness, step, g_new - g, tolerance)
        uphill = (g + g_new) @ step > 0 and residual(g_new, free) > residual(g, free)
        length = float(np.linalg.norm(step))
        if uphill:
            trust = max(0.3 * length, _SMALLEST)
            continue  # K has been corrected by this step; try again from z
        if length > 0.9 * trust:
            trust = min(2 * trust, _LARGEST)
        z, g = z + step, g_new
    return Minimum(z, g, stiffness, len(call.history))


def barzilai_borwein(
    gradient: Gradient,
    z: FloatArray,
    free: Array,
    neighbour: Minimum | None,
    *,
    tolerance: float,
    max_evaluations: int,
) -> Minimum:
    """Steepest descent with steps −(s·s)/(s·Δg) g of Barzilai and Borwein (1988), the paper's method.

    Arguments, result and errors are those of :func:`minimise`. K gives the length of the first step only and is
    returned unchanged.
    """
    call = _Counted(gradient, free, max_evaluations)
    g = call(z)
    stiffness = measured_stiffness(call, z, g) if neighbour is None else neighbour.stiffness
    length = 1 / float(np.linalg.eigvalsh(stiffness[np.ix_(free, free)])[-1])
    while residual(g, free) >= tolerance:
        step = np.where(free, -length * g, 0.0)
        step *= min(1.0, _LARGEST / float(np.linalg.norm(step)))
        g_new = call(z + step)
        change = float(step @ (g_new - g))
        length = float(step @ step) / change if change > 0 else 2 * length
        z, g = z + step, g_new
    return Minimum(z, g, stiffness, len(call.history))
