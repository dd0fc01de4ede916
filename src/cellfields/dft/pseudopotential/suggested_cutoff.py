"""The cutoff that a pseudopotential needs, from an isolated atom in spherical waves of limited energy.

    φ_nl(r) = j_l(q_n r) in a sphere,   ½ q_n² < E_cut ;      Δ(E_cut) = Σ f_nl [ε_nl(E_cut) − ε_nl(∞)]

The Hamiltonian is that of the neutral spherical atom without spin, self-consistent with exchange alone: local part,
projectors, Hartree potential. The parts of orbitals that need high plane waves lie inside the core radius and are
nearly the same in the atom and in any crystal, so that Δ is about the error of F per atom of a crystal at that cutoff.

The suggestion is the lowest E_cut with Δ below 1e-3 Hartree; there the Pulay pressure of a dense crystal is of the
order of 1 GPa. ``benchmarks/suggested_cutoffs.py`` compares it with crystals.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, expit, roots_legendre, spherical_jn

from cellfields._typing import FloatArray
from cellfields.dft.pseudopotential._base import Pseudopotential
from cellfields.errors import PhysicsWarning

ERROR = 1e-3
"""Error of F that a suggested cutoff leaves, Hartree per atom."""

FAR_BELOW = 0.75
"""Fraction of the suggested cutoff below which a calculation's cutoff gives a warning."""

_RADIUS = 8.0  # Bohr, of the sphere
_SMOOTH = 0.5  # Bohr: −Z erf(r/√2s)/r is taken out of the local part before it is transformed
_REACH = (
    50.0,
    100.0,
    200.0,
    400.0,
    800.0,
    1600.0,
)  # Hartree, that spherical waves go up to: the next where a suggestion needs it
_TRUSTED = 0.4  # part of the reach that a suggestion may lie in
_STEP = 0.5  # Hartree, steps of the cutoff
_POINTS = 600  # Gauss–Legendre points in the sphere
_MOMENTA = 1500  # points of the integral over q
_STEPS, _MIXING, _WIDTH = 25, 0.4, 0.02  # of self-consistency; Hartree, of the occupations


def suggested_cutoff(pseudopotential: Pseudopotential) -> float:
    """The lowest cutoff in Hartree that leaves an isolated atom's energy within 1e-3 Hartree of its limit.

    Args:
        pseudopotential: of one ion, from a file or the built-in table.

    Returns:
        Hartree, a multiple of 0.5, at most 640, also for pseudopotentials that need more.
    """
    return _suggested(_Hashed(pseudopotential))


def atomic_error(pseudopotential: Pseudopotential, cutoffs: FloatArray) -> FloatArray:
    """Errors Δ (n,) of the isolated atom's energy, Hartree, at cutoffs (n,) of at most 640 Hartree."""
    cutoffs = np.asarray(cutoffs, dtype=float)
    reach = next((reach for reach in _REACH if _TRUSTED * reach >= cutoffs.max()), _REACH[-1])
    return np.array([_atom(_Hashed(pseudopotential), reach).error(cutoff) for cutoff in cutoffs])


def warn_of_low_cutoff(cutoff: float, pseudopotentials: Mapping[str, Pseudopotential]) -> None:
    """Issue a PhysicsWarning where a cutoff is far below the one that the hardest pseudopotential needs.

    Args:
        cutoff: of the calculation, Hartree.
        pseudopotentials: symbol → pseudopotential.
    """
    needs = {symbol: suggested_cutoff(ion) for symbol, ion in pseudopotentials.items()}
    hardest = max(needs, key=lambda symbol: needs[symbol])
    if cutoff < FAR_BELOW * needs[hardest]:
        warnings.warn(
            f"cutoff = {cutoff:g} Ha is far below the {needs[hardest]:g} Ha that the pseudopotential of {hardest} "
            "needs for F within 1 mHa an atom; the stress suffers first and will not be the derivative of the energy "
            "(raise the cutoff, or name a softer pseudopotential file)",
            PhysicsWarning,
            stacklevel=2,
        )


class _Hashed:
    """A pseudopotential as the key of a cache, equal to others of the same fingerprint."""

    def __init__(self, ion: Pseudopotential) -> None:
        self.ion = ion

    def __hash__(self) -> int:
        return hash(self.ion.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.ion.fingerprint == self.ion.fingerprint


@lru_cache(maxsize=256)
def _suggested(key: _Hashed) -> float:
    for reach in _REACH:
        atom = _atom(key, reach)
        cutoffs = np.arange(2.0, _TRUSTED * reach + _STEP / 2, _STEP)
        if atom.error(cutoffs[-1]) <= ERROR or reach == _REACH[-1]:
            break
    low, high = 0, len(cutoffs) - 1
    while low < high:
        middle = (low + high) // 2
        if atom.error(cutoffs[middle]) > ERROR:
            low = middle + 1
        else:
            high = middle
    return float(cutoffs[high])


@lru_cache(maxsize=8)
def _atom(key: _Hashed, reach: float) -> _Atom:
    return _Atom(key.ion, reach)


class _Atom:
    """A self-consistent atom in all spherical waves up to ``reach`` (Hartree)."""

    def __init__(self, ion: Pseudopotential, reach: float) -> None:
        nodes, weights = roots_legendre(_POINTS)
        r, dr = 0.5 * _RADIUS * (nodes + 1), 0.5 * _RADIUS * weights
        highest = max([channel.l for channel in ion.channels] + [1 if ion.valence > 2 else 0])
        self.momenta = [_zeros(l, np.sqrt(2 * reach)) for l in range(highest + 1)]
        waves, fixed = [], []
        local = _local(ion, r, float(np.sqrt(2 * reach)))
        for l, q in enumerate(self.momenta):
            wave = spherical_jn(l, q[:, None] * r)
            norm = 1 / np.sqrt((wave**2) @ (r**2 * dr))
            matrix = np.diag(q**2 / 2)
            for channel in (c for c in ion.channels if c.l == l):
                projected = norm * q**l * channel.radial(q) / (4 * np.pi)
                matrix = matrix + projected.T @ channel.coupling @ projected
            waves.append(norm[:, None] * wave)
            fixed.append(matrix)
        density = ion.valence * np.exp(-(r**2) / 2) / (2 * np.pi) ** 1.5
        for _ in range(_STEPS):
            potential = local + _screening(density, r, dr)
            self.hamiltonians = [
                matrix + (wave * (potential * r**2 * dr)) @ wave.T for matrix, wave in zip(fixed, waves, strict=True)
            ]
            solved = [np.linalg.eigh(h) for h in self.hamiltonians]
            self.energies = [values for values, _ in solved]
            self.occupations = _filled(self.energies, ion.valence)
            new = np.zeros_like(r)
            for filling, (_, vectors), wave in zip(self.occupations, solved, waves, strict=True):
                used = filling > 1e-8
                new += filling[used] @ (vectors[:, used].T @ wave) ** 2 / (4 * np.pi)
            density = density + _MIXING * (new - density)

    def error(self, cutoff: float) -> float:
        """Error Σ f [ε(cutoff) − ε(reach)] of the atom's energy at a cutoff, Hartree; inf without enough waves."""
        total = 0.0
        for q, h, energies, filling in zip(
            self.momenta, self.hamiltonians, self.energies, self.occupations, strict=True
        ):
            count, used = int((q**2 / 2 < cutoff).sum()), int((filling > 1e-8).sum())
            if used == 0:
                continue
            if count < used:
                return float("inf")
            lower = np.linalg.eigvalsh(h[:count, :count])[:used]
            total += float(filling[:used] @ (lower - energies[:used]))
        return total


def _zeros(l: int, highest: float) -> FloatArray:
    """The q (n,) up to ``highest`` (1/Bohr) with j_l(q R) = 0, each bracketed by two zeros of j_{l−1}."""
    zeros = np.pi * np.arange(1, int(highest * _RADIUS / np.pi) + l + 2)
    for order in range(1, l + 1):
        zeros = np.array([brentq(partial(spherical_jn, order), a, b) for a, b in pairwise(zeros)])
    q = zeros / _RADIUS
    return np.asarray(q[q <= highest])


def _local(ion: Pseudopotential, r: FloatArray, highest: float) -> FloatArray:
    """Local potential v_loc(r) (n,), Hartree: −Z erf(r/√2s)/r plus the transform of the rest."""
    q, dq = np.linspace(0, highest, _MOMENTA + 1)[1:], highest / _MOMENTA
    rest = ion.local(q) + 4 * np.pi * ion.valence / q**2 * np.exp(-((q * _SMOOTH) ** 2) / 2)
    transform = np.sinc(np.outer(r, q) / np.pi) @ (q**2 * rest) * (dq / (2 * np.pi**2))
    return np.asarray(transform - ion.valence * erf(r / (np.sqrt(2) * _SMOOTH)) / r)


def _screening(density: FloatArray, r: FloatArray, dr: FloatArray) -> FloatArray:
    """Hartree potential plus that of exchange, −(3ρ/π)^⅓, of a density (n,) on the mesh, Hartree."""
    inner = 4 * np.pi * density * r**2 * dr
    outer = 4 * np.pi * density * r * dr
    inside = np.cumsum(inner) - 0.5 * inner
    outside = outer.sum() - np.cumsum(outer) + 0.5 * outer
    return np.asarray(inside / r + outside - np.cbrt(3 / np.pi * np.maximum(density, 0.0)))


def _filled(energies: list[FloatArray], electrons: float) -> list[FloatArray]:
    """Electrons in each state of each l, by Fermi's distribution."""
    shells = [2.0 * (2 * l + 1) for l in range(len(energies))]

    def filling(level: float) -> list[FloatArray]:
        return [size * expit((level - values) / _WIDTH) for size, values in zip(shells, energies, strict=True)]

    lowest, highest = min(e[0] for e in energies) - 1, max(e[-1] for e in energies)
    level = brentq(lambda x: sum(f.sum() for f in filling(x)) - electrons, lowest, highest)
    return filling(float(level))
