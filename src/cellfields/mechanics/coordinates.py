"""Six numbers for a homogeneous deformation, and the stress that does work on each of them.

    x = (e₁, e₂, e₃, c₂₃, c₁₃, c₁₂) ,   C = FᵀF ,   C_ii = (1 + e_i)² ,   C_jk = c_jk
    g = ∂w/∂x = (S_ii (1 + e_i) , S_jk)                                w = 𝓕/V⁰

e_i is the elongation of the material line along x_i: the paper's ε_ii as long as there is no shear. A state has g_j = 0
in all components but e_i exactly when its second Piola–Kirchhoff stress is S_ii alone, that is, when its Cauchy stress
is uniaxial along the deformed line: σ = s f fᵀ with f = F x̂_i / |F x̂_i|.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.crystal.voigt import from_voigt, to_voigt
from cellfields.errors import InputError
from cellfields.mechanics.stress_measures import Stress
from cellfields.state import CellState

Components = Literal["axial", "all"]
NAMES = ("e1", "e2", "e3", "c23", "c13", "c12")


def active_components(components: Components) -> tuple[int, ...]:
    """Indices into x: the three elongations (right angles kept), or all six.

    Raises:
        InputError: components is neither "axial" nor "all".
    """
    if components not in ("axial", "all"):
        raise InputError(f"components = {components!r} must be 'axial' (right angles are kept) or 'all'")
    return (0, 1, 2) if components == "axial" else (0, 1, 2, 3, 4, 5)


def embedded(z: FloatArray, active: Sequence[int]) -> FloatArray:
    """x (6,) from its active components; the others are zero."""
    x = np.zeros(6)
    x[list(active)] = z
    return x


def deformation_of(x: FloatArray, crystal: Crystal) -> Deformation:
    """D at the coordinates x (6,).

    Raises:
        InputError: no cell has these x, or D is out of its range.
    """
    metric = from_voigt(np.concatenate([(1 + x[:3]) ** 2, x[3:]]))
    try:
        upper = np.asarray(np.linalg.cholesky(metric).T)
    except np.linalg.LinAlgError:
        raise InputError(f"strain components {np.round(x, 6).tolist()} close no cell") from None
    return Deformation.from_deformation_gradient(upper, crystal)


def coordinates_of(deformation: Deformation, crystal: Crystal) -> FloatArray:
    """Coordinates x (6,) of D."""
    gradient = deformation.deformation_gradient(crystal)
    metric = to_voigt(gradient.T @ gradient)
    return np.concatenate([np.sqrt(metric[:3]) - 1, metric[3:]])


def conjugate_stress(state: CellState, crystal: Crystal) -> FloatArray:
    """g (6,) of a state: the stress that does work on x, Hartree/Bohr³.

    Raises:
        InputError: the state does not know its stress.
    """
    second = to_voigt(Stress.of(state, crystal).second_piola)
    elongations = coordinates_of(state.deformation, crystal)[:3]
    return np.concatenate([second[:3] * (1 + elongations), second[3:]])
