"""Electrostatic energy of the ions in a neutralising background, by Ewald's sum.

    E = ½ Σ'_{abR} Z_a Z_b erfc(√η d)/d + (2π/V) Σ_{G≠0} e^{−G²/4η}/G² |S(G)|² − √(η/π) Σ Z² − π (ΣZ)²/(2ηV)

with S(G) = Σ_a Z_a e^{iG·τ_a}. Both sums are cut where their terms are below rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erfc

from cellfields._typing import FloatArray
from cellfields.engines.planewave.geometry import Geometry

_REACH = 6.2  # erfc(6.2) ≈ 2e-18


@dataclass(frozen=True, eq=False)
class Ewald:
    """The electrostatic energy of the ions and its derivatives, per primitive cell.

    Attributes:
        energy: E, Hartree.
        forces: (n, 3), Hartree/Bohr.
        stress: ∂E/∂η (3, 3), Hartree.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray


def ewald(geometry: Geometry) -> Ewald:
    """Ewald's sum of a cell's ions; its splitting parameter η is chosen so that both sums are short."""
    z, volume, lattice = geometry.charges, geometry.volume, geometry.lattice
    eta = np.pi * (len(z) / volume**2) ** (1 / 3)
    tau = geometry.positions @ lattice
    energy = float(-np.sqrt(eta / np.pi) * (z @ z) - np.pi * z.sum() ** 2 / (2 * eta * volume))
    tensor = np.eye(3) * np.pi * z.sum() ** 2 / (2 * eta * volume)
    force = np.zeros_like(tau)

    # The sum over R reaches as far as erfc does from any pair of atoms in the cell.
    spread = np.linalg.norm(tau[:, None] - tau[None, :], axis=2).max()
    images = _box(lattice, _REACH / np.sqrt(eta) + spread) @ lattice
    d = tau[:, None, None, :] - tau[None, :, None, :] + images
    r = np.linalg.norm(d, axis=-1)
    safe = np.where((r > 1e-8) & (r < _REACH / np.sqrt(eta)), r, np.inf)
    zz = np.einsum("a,b->ab", z, z)[:, :, None]
    pair = zz * erfc(np.sqrt(eta) * np.minimum(safe, 1e3)) / safe
    energy += 0.5 * float(pair.sum())
    # −(1/r) d/dr of the pair energy
    gaussian = 2 * np.sqrt(eta / np.pi) * np.exp(-eta * np.minimum(safe, 1e3) ** 2)
    slope = pair / safe**2 + zz * gaussian / safe**2
    force += np.einsum("abr,abri->ai", slope, d)
    tensor -= 0.5 * np.einsum("abr,abri,abrj->ij", slope, d, d)

    reach = 2 * np.sqrt(eta) * _REACH
    m = _box(geometry.reciprocal, reach)
    m = m[(m != 0).any(axis=1)]
    g = m @ geometry.reciprocal
    g2 = (g**2).sum(axis=1)
    g, g2 = g[g2 < reach**2], g2[g2 < reach**2]
    phase = g @ tau.T
    structure = np.exp(1j * phase) @ z
    weight = 2 * np.pi / volume * np.exp(-g2 / (4 * eta)) / g2
    terms = weight * np.abs(structure) ** 2
    energy += float(terms.sum())
    imaginary = np.imag(np.exp(1j * phase) * structure.conj()[:, None])
    force += 2 * z[:, None] * ((weight[:, None] * imaginary).T @ g)
    tensor += np.einsum("g,gi,gj->ij", terms * (2 / g2 + 1 / (2 * eta)), g, g) - np.eye(3) * terms.sum()
    return Ewald(energy, force, tensor)


def _box(rows: FloatArray, reach: float) -> FloatArray:
    """Integer vectors (n, 3), among them those of every lattice vector shorter than ``reach``."""
    dual = np.linalg.norm(np.linalg.inv(rows), axis=0)
    axes = [np.arange(-int(x) - 1, int(x) + 2) for x in reach * dual]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
