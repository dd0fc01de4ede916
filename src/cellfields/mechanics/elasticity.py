"""Elastic constants of second and third order at any state of any engine, by differences of stress.

    𝓕(η)/V = 𝓕/V + σ_ij η_ij + ½ C_ijkl η_ij η_kl + ⅙ C_ijklmn η_ij η_kl η_mn          η: Green strain from the state
    C_IJ = ∂S_I/∂η_J ,   S = J U⁻¹ σ U⁻¹ ,   U = (1 + 2η)^½                             V, σ: of the state itself

These are the thermodynamic (Brugger) constants, the second derivatives of the energy, symmetric at any stress. What a
further small strain ε does to the Cauchy stress is another tensor when the state is stressed (Birch; Wallace 1967):

    dσ_ij = B_ijkl dε_kl ,   B_ijkl = C_ijkl − σ_ij δ_kl + ½ (σ_ik δ_jl + σ_il δ_jk + σ_jk δ_il + σ_jl δ_ik)

B_ijkl = B_klij only under pressure. The crystal is stable against every small strain under constant load when the
symmetric part of B is positive definite (Wang et al. 1993). Voigt order xx, yy, zz, yz, xz, xy; η₄ = 2 η_yz and so on.
Relaxed ions move along, at ∂𝓕/∂ξ = 0; clamped ions keep their fractional coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.linalg import sqrtm

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.voigt import NAMES, TENSOR_FROM_ENGINEERING, from_voigt, stiffness_to_voigt, to_voigt
from cellfields.engines.contract import Engine, FirstPrinciplesEngine
from cellfields.errors import InputError
from cellfields.mechanics.evaluator import Evaluator
from cellfields.mechanics.stress_measures import Stress
from cellfields.state import CellState

STABILITY_OF = "the symmetric part of B (Birch), all homogeneous strains of this cell, under constant load"
"""What "stable" means here. Stability of phonons, of other cells, or without the load is not tested."""

Ions = Literal["relaxed", "clamped"]
# Steps balance the noise of a self-consistent stress (3e-8 Ha/Bohr³) against the next order; a formula has no noise.
_STEPS = {"second": (5e-3, 1e-4), "third": (2e-2, 1e-3)}  # (first principles, others)


@dataclass(frozen=True, eq=False)
class ElasticConstants:
    """Second-order constants of one state.

    Attributes:
        deformation: D of the state.
        stress: (3, 3) its Cauchy stress, Hartree/Bohr³.
        constants: (6, 6) C, symmetric, Hartree/Bohr³.
        asymmetry: largest |C_IJ − C_JI| before the differences were made symmetric, a measure of their error.
        ions: "relaxed" or "clamped".
        in_domain: whether the state and all strained states lie where a model was trained; None for engines without a
            domain.
    """

    deformation: Deformation
    stress: FloatArray
    constants: FloatArray
    asymmetry: float
    ions: Ions
    in_domain: bool | None = None

    @property
    def birch(self) -> FloatArray:
        """Birch's stiffness B (6, 6) with dσ_I = B_IJ dε_J, Hartree/Bohr³."""
        return self.constants + _stress_terms(self.stress)

    @property
    def is_stable(self) -> bool | None:
        """Whether the symmetric part of B is positive definite: see :data:`STABILITY_OF`; None for extrapolations."""
        return None if self.in_domain is False else bool(np.linalg.eigvalsh(self.birch + self.birch.T)[0] > 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "deformation": self.deformation.as_array().tolist(),
            "ions": self.ions,
            "stress": self.stress.tolist(),
            "constants": self.constants.tolist(),
            "birch": self.birch.tolist(),
            "asymmetry": self.asymmetry,
            "stable": self.is_stable,
            "stability_of": STABILITY_OF,
            "in_domain": self.in_domain,
            "units": {"constants": "Hartree/Bohr^3", "order": ", ".join(NAMES), "angles": "degrees"},
        }


def elastic_constants(
    engine: Engine,
    deformation: Deformation | None = None,
    *,
    ions: Ions = "relaxed",
    step: float | None = None,
) -> ElasticConstants:
    """C at a state by central differences: 13 solves.

    Args:
        engine: any engine with stress; clamped ions need a :class:`~cellfields.engines.contract.FirstPrinciplesEngine`.
        deformation: D, or None for the reference cell (which may be under stress: see the top of this file).
        ions: "relaxed" or "clamped".
        step: size of each η_J, or None for 5e-3 (first principles) or 1e-4 (closed formulae such as surrogates).

    Raises:
        InputError: the engine cannot clamp ions, or has no stress, or the step is not in 0 … 0.05.
    """
    crystal, size = engine.crystal, _step(engine, step, "second")
    deformation = Deformation.identity(crystal) if deformation is None else deformation
    strained = _StrainedStress(engine, deformation, ions)
    columns = [(strained(size * unit) - strained(-size * unit)) / (2 * size) for unit in np.eye(6)]
    raw = np.array(columns).T
    return ElasticConstants(
        deformation=deformation,
        stress=strained.stress,
        constants=0.5 * (raw + raw.T),
        asymmetry=float(np.abs(raw - raw.T).max()),
        ions=ions,
        in_domain=strained.in_domain,
    )


def third_order_constants(
    engine: Engine, deformation: Deformation | None = None, *, ions: Ions = "relaxed", step: float | None = None
) -> tuple[FloatArray, float]:
    """C_IJK = ∂²S_I/∂η_J∂η_K at a state by central second differences: 43 solves.

    Args:
        engine: any engine with stress; clamped ions need a :class:`~cellfields.engines.contract.FirstPrinciplesEngine`.
        deformation: D of the state, or None for the reference cell.
        ions: "relaxed" or "clamped".
        step: size of each η_J, or None for 2e-2 (first principles) or 1e-3 (closed formulae such as surrogates).

    Returns:
        (6, 6, 6) constants, made symmetric in all indices, Hartree/Bohr³, and the largest change that this made.

    Raises:
        InputError: the engine cannot clamp ions, or has no stress, or the step is not in 0 … 0.05.
    """
    crystal, size = engine.crystal, _step(engine, step, "third")
    strained = _StrainedStress(engine, Deformation.identity(crystal) if deformation is None else deformation, ions)
    unit = size * np.eye(6)
    pair = np.array([strained(u) + strained(-u) for u in unit])  # S(η) + S(−η)
    centre = 2 * to_voigt(strained.stress)
    raw = np.zeros((6, 6, 6))
    for j in range(6):
        raw[:, j, j] = (pair[j] - centre) / size**2
        for k in range(j):
            both = strained(unit[j] + unit[k]) + strained(-unit[j] - unit[k])
            raw[:, j, k] = raw[:, k, j] = (both - pair[j] - pair[k] + centre) / (2 * size**2)
    symmetric = (raw + raw.transpose(1, 0, 2) + raw.transpose(2, 1, 0)) / 3  # raw is symmetric in the last two
    return symmetric, float(np.abs(raw - symmetric).max())


class _StrainedStress:
    """S(η) (6,) of a state strained further, in the frame of the state; η (6,) with engineering shears."""

    def __init__(self, engine: Engine, deformation: Deformation, ions: Ions) -> None:
        if ions not in ("relaxed", "clamped"):
            raise InputError(f"ions = {ions!r} must be 'relaxed' or 'clamped'")
        self._crystal: Crystal = engine.crystal
        self._gradient = deformation.deformation_gradient(engine.crystal)
        evaluator = Evaluator(engine)
        centre = evaluator.solve(deformation)
        self.stress = Stress.of(centre, engine.crystal).cauchy
        self.in_domain: bool | None = centre.provenance.get("in_domain")
        self._solve: Callable[[Deformation], CellState] = evaluator.solve
        if ions == "clamped":
            if not isinstance(engine, FirstPrinciplesEngine):
                raise InputError(
                    f"ions = 'clamped' needs an engine that holds atoms where they are; a {type(engine).__name__} "
                    "knows relaxed states only"
                )
            internal, start = centre.internal, evaluator.start
            self._solve = lambda strained: engine.evaluate(strained, internal, start=start)

    def __call__(self, strain: FloatArray) -> FloatArray:
        stretch = np.real(sqrtm(np.eye(3) + 2 * from_voigt(strain * TENSOR_FROM_ENGINEERING)))
        strained_gradient = stretch @ self._gradient
        state = self._solve(Deformation.from_deformation_gradient(strained_gradient, self._crystal))
        if state.provenance.get("in_domain") is False:
            self.in_domain = False
        stress = Stress.of(state, self._crystal)
        rotation = strained_gradient @ np.linalg.inv(stress.gradient)  # the engine answers in the standard frame
        cauchy = rotation @ stress.cauchy @ rotation.T
        inverse = np.linalg.inv(stretch)
        return to_voigt(np.linalg.det(stretch) * inverse @ cauchy @ inverse)


def _step(engine: Engine, step: float | None, order: str) -> float:
    noisy, exact = _STEPS[order]
    chosen = step if step is not None else noisy if isinstance(engine, FirstPrinciplesEngine) else exact
    if not 0 < chosen <= 0.05:
        raise InputError(f"step = {chosen:g} must be greater than 0 and at most 0.05 (a strain)")
    return chosen


def _stress_terms(stress: FloatArray) -> FloatArray:
    """B − C (6, 6) as a function of σ."""
    identity = np.eye(3)
    twice = sum(
        np.einsum(pattern, stress, identity) for pattern in ("ik,jl->ijkl", "il,jk->ijkl", "jk,il->ijkl", "jl,ik->ijkl")
    )
    tensor = 0.5 * twice - np.einsum("ij,kl->ijkl", stress, identity)
    return stiffness_to_voigt(tensor)
