"""Separable non-local pseudopotential:  E_nl = Σ_{nk} w f Σ_{a,l,m,ij} ⟨u|β_i⟩ h_ij ⟨β_j|u⟩.

    β_{a,i,lm}(k+G) = V^{−½} p_i(|k+G|) Y_lm(k+G) e^{−iG·τ_a}

The phases i^l and e^{−ik·τ} drop out of E_nl. For a pair of atoms ±τ the two exponentials combine to √2 cos G·τ and
√2 sin G·τ, so that projectors and wavefunctions stay real. Y_lm are real solid harmonics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from cellfields._typing import FloatArray, IntArray
from cellfields.planewave.geometry import Geometry
from cellfields.planewave.terms._solid_harmonics import gradient_sum, solid_harmonics


@dataclass(frozen=True, eq=False)
class FormFactors:
    """p_i(q) Y_lm(q)/√V of one species on one set of q = k + G.

    Attributes:
        values: (P, B).
        coupling: (B, B) h_ij, repeated for each m.
    """

    values: FloatArray
    coupling: FloatArray


def form_factors(geometry: Geometry, symbol: str, q: FloatArray) -> FormFactors:
    """The angular and radial part, without the structure phases; q is (P, 3), 1/Bohr."""
    length = np.sqrt(np.einsum("pi,pi->p", q, q))
    columns = [np.empty((len(q), 0))]
    for channel in geometry.pseudopotentials[symbol].channels:
        radial = channel.radial(length).T / np.sqrt(geometry.volume)
        for harmonic in solid_harmonics(channel.l, q).T:
            columns.append(radial * harmonic[:, None])
    return FormFactors(np.concatenate(columns, axis=1), coupling_matrix(geometry, symbol))


def coupling_matrix(geometry: Geometry, symbol: str) -> FloatArray:
    """h_ij (B, B) of one atom's projectors, in the order of :func:`form_factors`."""
    channels = geometry.pseudopotentials[symbol].channels
    blocks = [channel.coupling for channel in channels for _ in range(2 * channel.l + 1)]
    return np.asarray(block_diag(*blocks)) if blocks else np.zeros((0, 0))


def strain_contraction(geometry: Geometry, symbol: str, q: FloatArray, amplitudes: FloatArray) -> FloatArray:
    """Σ_{p,b} Z_pb ∂F_pb/∂η (3, 3), F the values of :func:`form_factors` and Z (P, B) any amplitudes.

    With q → q − ηq and V → V(1 + tr η):  ∂F/∂η = −(F'/q) Y q q − F ∇Y q − ½ δ F Y.
    """
    length = np.sqrt(np.einsum("pi,pi->p", q, q))
    tensor = np.zeros((3, 3))
    first = 0
    for channel in geometry.pseudopotentials[symbol].channels:
        radial = channel.radial(length).T / np.sqrt(geometry.volume)
        slope = channel.radial_slope(length).T / np.sqrt(geometry.volume)
        harmonics = solid_harmonics(channel.l, q)
        shape = (harmonics.shape[1], radial.shape[1])
        z = amplitudes[:, first : first + shape[0] * shape[1]].reshape(-1, *shape)
        first += shape[0] * shape[1]
        by_harmonic = np.einsum("pmn,pn->pm", z, radial)
        bent = np.einsum("pmn,pn,pm->p", z, slope, harmonics, optimize=["einsum_path", (0, 1), (0, 1)])
        turned = gradient_sum(channel.l, q, by_harmonic)
        tensor -= (q * bent[:, None]).T @ q + turned @ q
        tensor -= 0.5 * np.eye(3) * float(np.einsum("pm,pm->", by_harmonic, harmonics))
    return tensor


@dataclass(frozen=True, eq=False)
class Projectors:
    """All projectors at one k point.

    Attributes:
        values: (P, B) real β.
        coupling: (B, B).
    """

    values: FloatArray
    coupling: FloatArray

    def apply(self, vectors: FloatArray) -> FloatArray:
        """V_nl u for coefficients (P, n)."""
        return np.asarray(self.values @ (self.coupling @ (self.values.T @ vectors)))

    def energy(self, vectors: FloatArray, weights: FloatArray) -> float:
        """E_nl of one k point, occupation weights (n,)."""
        projections = self.values.T @ vectors
        return float(((self.coupling @ projections) * projections).sum(axis=0) @ weights)


def structure_phases(geometry: Geometry, atom: int, m: IntArray) -> list[FloatArray]:
    """Real structure factors of an atom and its inversion image: [√2 cos, √2 sin], or [cos] for a self-image."""
    phase = 2 * np.pi * (m @ geometry.positions[atom])
    if geometry.partners[atom] == atom:
        return [np.cos(phase)]
    return [np.sqrt(2) * np.cos(phase), np.sqrt(2) * np.sin(phase)]


def projectors(geometry: Geometry, m: IntArray, q: FloatArray) -> Projectors:
    """Projectors for integer vectors m (P, 3) with q = k + G (P, 3)."""
    values, couplings = [np.empty((len(q), 0))], []
    forms = {symbol: form_factors(geometry, symbol, q) for symbol in dict.fromkeys(geometry.species)}
    for atom in geometry.independent:
        form = forms[geometry.species[atom]]
        for phase in structure_phases(geometry, atom, m):
            values.append(form.values * phase[:, None])
            couplings.append(form.coupling)
    coupling = block_diag(*couplings) if couplings else np.zeros((0, 0))
    return Projectors(np.ascontiguousarray(np.concatenate(values, axis=1)), coupling)


def forces(geometry: Geometry, m: IntArray, q: FloatArray, vectors: FloatArray, weights: FloatArray) -> FloatArray:
    """(n, 3) contribution of one k point, Hartree/Bohr.

    Moving an atom moves its image oppositely: each of the two feels minus half the derivative along the pair.
    """
    result = np.zeros((len(geometry.species), 3))
    g = m @ geometry.reciprocal
    for atom in geometry.independent:
        partner = geometry.partners[atom]
        if partner == atom:
            continue
        form = form_factors(geometry, geometry.species[atom], q)
        cosine, sine = structure_phases(geometry, atom, m)
        for phase, slope in ((cosine, -sine), (sine, cosine)):
            projection = form.coupling @ ((form.values * phase[:, None]).T @ vectors)
            amplitude = (form.values * (vectors @ (projection * weights).T)).sum(axis=1)
            force = -(slope * amplitude) @ g
            result[atom] += force
            result[partner] -= force
    return result


def stress(geometry: Geometry, m: IntArray, q: FloatArray, vectors: FloatArray, weights: FloatArray) -> FloatArray:
    """∂E_nl/∂η (3, 3) of one k point."""
    result = np.zeros((3, 3))
    for symbol in dict.fromkeys(geometry.species):
        form = form_factors(geometry, symbol, q)
        amplitudes = np.zeros_like(form.values)
        for atom in set(geometry.independent) & set(geometry.atoms_of(symbol)):
            for phase in structure_phases(geometry, int(atom), m):
                phased = vectors * phase[:, None]
                projection = (form.coupling @ (form.values.T @ phased)) * weights
                amplitudes += phased @ projection.T
        result += 2 * strain_contraction(geometry, symbol, q, amplitudes)
    return result
