"""Local pseudopotential:  V_loc(G) = V⁻¹ Σ_s S_s(G) v_s(|G|),  G ≠ 0 ;   E_loc = V Σ_G V_loc(G)* ρ(G).

Its mean is set to zero here; the non-Coulomb part of the mean is E_core (terms/core.py).
"""

from __future__ import annotations

import numpy as np

from cellfields._typing import Coefficients, FloatArray
from cellfields.engines.planewave.arithmetic import inner
from cellfields.engines.planewave.basis import PlaneWaveBasis
from cellfields.engines.planewave.geometry import Geometry


def _phases(geometry: Geometry, basis: PlaneWaveBasis, symbol: str) -> FloatArray:
    """Phases G·τ (D, a) of the a atoms of a species."""
    return np.asarray(2 * np.pi * basis.density_m @ geometry.positions[geometry.atoms_of(symbol)].T)


def _structure(geometry: Geometry, basis: PlaneWaveBasis, symbol: str) -> Coefficients:
    """Structure factor S_s (D,) of a species."""
    return np.asarray(geometry.arithmetic.wave(_phases(geometry, basis, symbol)).sum(axis=1))


def _form_factor(geometry: Geometry, basis: PlaneWaveBasis, symbol: str, slope: bool = False) -> FloatArray:
    pseudopotential = geometry.pseudopotentials[symbol]
    q = np.sqrt(basis.density_g2[1:])
    values = pseudopotential.local_slope(q) if slope else pseudopotential.local(q)
    return np.concatenate([[0.0], values])


def potential(geometry: Geometry, basis: PlaneWaveBasis) -> Coefficients:
    """Local pseudopotential V_loc (D,) of all ions, Hartree, zero mean."""
    total = np.zeros(len(basis.density_m), dtype=geometry.arithmetic.dtype)
    for symbol in dict.fromkeys(geometry.species):
        total += _structure(geometry, basis, symbol) * _form_factor(geometry, basis, symbol)
    return np.asarray(total / geometry.volume)


def energy(basis: PlaneWaveBasis, density: Coefficients, local_potential: Coefficients) -> float:
    """Energy E_loc, Hartree per primitive cell, of a density ρ (D,) in V_loc (D,)."""
    return basis.volume * inner(density, local_potential)


def forces(geometry: Geometry, basis: PlaneWaveBasis, density: Coefficients) -> FloatArray:
    """Forces (n, 3), Hartree/Bohr, of a density (D,) on the ions:  F_a = Σ_G v(G) Im[ρ(G) e^{iG·τ}] G."""
    result = np.zeros((len(geometry.species), 3))
    for symbol in dict.fromkeys(geometry.species):
        weight = density * _form_factor(geometry, basis, symbol)
        pulls = geometry.arithmetic.pull(weight[:, None], _phases(geometry, basis, symbol))
        result[geometry.atoms_of(symbol)] = pulls.T @ basis.density_g
    return result


def stress(geometry: Geometry, basis: PlaneWaveBasis, density: Coefficients) -> FloatArray:
    """Strain derivative ∂E_loc/∂η (3, 3) at fixed Vρ(G):  −δ E_loc − Σ Re(ρ* S) (v'/G) G G."""
    weight = np.zeros(len(density))
    for symbol in dict.fromkeys(geometry.species):
        product = density.conj() * _structure(geometry, basis, symbol)
        weight += product.real * _form_factor(geometry, basis, symbol, slope=True)
    tensor = -np.einsum("g,gi,gj->ij", weight, basis.density_g, basis.density_g)
    return np.asarray(tensor - np.eye(3) * energy(basis, density, potential(geometry, basis)))
