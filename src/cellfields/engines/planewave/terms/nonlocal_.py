"""Separable non-local pseudopotential:  E_nl = Σ_{nk} w f Σ_{a,l,m,ij} ⟨u|β_i⟩ h_ij ⟨β_j|u⟩.

    β_{a,i,lm}(k+G) = V^{−½} p_i(|k+G|) Y_lm(k+G) e^{−iG·τ_a}

The phases i^l and e^{−ik·τ} drop out of E_nl; Y_lm are real solid harmonics. The phases of an ion, or of a pair of ions
±τ, come from :class:`~cellfields.engines.planewave.geometry.Site`; with an inversion centre projectors and orbitals are
real.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from cellfields._typing import Coefficients, FloatArray, IntArray
from cellfields.engines.planewave.arithmetic import overlap
from cellfields.engines.planewave.geometry import Geometry
from cellfields.engines.planewave.terms._solid_harmonics import gradient_sum, solid_harmonics


@dataclass(frozen=True, eq=False)
class FormFactors:
    """Projectors p_i(q) Y_lm(q)/√V of one species on one set of q = k + G, without structure phases.

    Attributes:
        values: (P, B), one column for each projector.
        coupling: (B, B) h_ij, Hartree, repeated for each m.
    """

    values: FloatArray
    coupling: FloatArray


def form_factors(geometry: Geometry, symbol: str, q: FloatArray) -> FormFactors:
    """Form factors of a species' projectors at q (P, 3), 1/Bohr."""
    length = np.sqrt(np.einsum("pi,pi->p", q, q))
    columns = [np.empty((len(q), 0))]
    for channel in geometry.pseudopotentials[symbol].channels:
        radial = channel.radial(length).T / np.sqrt(geometry.volume)
        for harmonic in solid_harmonics(channel.l, q).T:
            columns.append(radial * harmonic[:, None])
    return FormFactors(np.concatenate(columns, axis=1), coupling_matrix(geometry, symbol))


def coupling_matrix(geometry: Geometry, symbol: str) -> FloatArray:
    """Coupling h_ij (B, B), Hartree, of one atom's projectors, in the order of :func:`form_factors`."""
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
    """The projectors of all ions at one k point.

    Attributes:
        values: (P, B) β, one column for each projector.
        coupling: (B, B) h, Hartree.
    """

    values: Coefficients
    coupling: FloatArray

    def apply(self, vectors: Coefficients) -> Coefficients:
        """V_nl u (P, n) of coefficient vectors u (P, n)."""
        return np.asarray(self.values @ (self.coupling @ overlap(self.values, vectors)))

    def energy(self, vectors: Coefficients, weights: FloatArray) -> float:
        """Energy E_nl of one k point, Hartree, from coefficients (P, n) and occupation weights (n,)."""
        projections = overlap(self.values, vectors)
        return float(((self.coupling @ projections) * projections.conj()).real.sum(axis=0) @ weights)


def projectors(geometry: Geometry, m: IntArray, q: FloatArray) -> Projectors:
    """The projectors of a cell's ions at integer vectors m (P, 3) with q = k + G (P, 3), 1/Bohr."""
    values, couplings = [np.empty((len(q), 0))], []
    forms = {symbol: form_factors(geometry, symbol, q) for symbol in dict.fromkeys(geometry.species)}
    for site in geometry.sites:
        form = forms[site.symbol]
        for phase in site.phases(m):
            values.append(form.values * phase[:, None])
            couplings.append(form.coupling)
    coupling = block_diag(*couplings) if couplings else np.zeros((0, 0))
    return Projectors(np.ascontiguousarray(np.concatenate(values, axis=1)), coupling)


def forces(geometry: Geometry, m: IntArray, q: FloatArray, vectors: Coefficients, weights: FloatArray) -> FloatArray:
    """Forces (n, 3) from one k point, Hartree/Bohr:  ∂E/∂τ = 2 Re Σ w ⟨u|∂β/∂τ⟩ h ⟨β|u⟩."""
    result = np.zeros((len(geometry.species), 3))
    g = m @ geometry.reciprocal
    forms = {symbol: form_factors(geometry, symbol, q) for symbol in dict.fromkeys(geometry.species)}
    for site in geometry.sites:
        form = forms[site.symbol]
        for phase, slope in zip(site.phases(m), site.slopes(m), strict=False):
            projection = form.coupling @ overlap(form.values * phase[:, None], vectors)
            amplitude = (form.values * (vectors.conj() @ (projection * weights).T)).sum(axis=1)
            site.add_force(result, 2 * (slope * amplitude).real @ g)
    return result


def stress(geometry: Geometry, m: IntArray, q: FloatArray, vectors: Coefficients, weights: FloatArray) -> FloatArray:
    """Strain derivative ∂E_nl/∂η (3, 3), Hartree, from one k point.

    Args:
        geometry: the primitive cell.
        m: integer vectors (P, 3).
        q: k + G (P, 3), 1/Bohr.
        vectors: coefficients (P, n).
        weights: occupation weights (n,).
    """
    result = np.zeros((3, 3))
    for symbol in dict.fromkeys(geometry.species):
        form = form_factors(geometry, symbol, q)
        amplitudes = np.zeros_like(form.values)
        for site in geometry.sites:
            if site.symbol == symbol:
                for phase in site.phases(m):
                    phased = vectors * phase.conj()[:, None]
                    projection = (form.coupling @ (form.values.T @ phased)) * weights
                    amplitudes += (phased.conj() @ projection.T).real
        result += 2 * strain_contraction(geometry, symbol, q, amplitudes)
    return result
