"""Occupation of states near the Fermi level: f₁(x) = ∫_{−∞}^{x} δ,  dS₁/dx = −x δ(x),  x = (E_F − E)/σ.

Cold smearing in the cubic form of Marzari's thesis, which the paper and ABINIT (``occopt 4``) use, κ = −0.5634:

    δ(x) = e^{−x²}/√π · (3/2 − 3κx/2 − x² + κx³),      S₁(x) = e^{−x²}/(2√π) · (1/2 − x² + κx³)

Other codes' "cold smearing" (Marzari et al. 1999, a shifted Gaussian) is a different function. f₁ and S₁ are per
spin; −TS = −σ Σ w 2S₁ (paper, eq. 6 and 7, where eq. 6 holds with t = +x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, expit, xlogy

from cellfields._typing import FloatArray
from cellfields.errors import InputError

COLD_KAPPA = -0.5634
_REACH = 12.0  # |x| beyond which e^{−x²} is below every rounding error


class Smearing(Protocol):
    """A broadening of the Fermi step: its occupation f₁ and its entropy S₁ as functions of x = (E_F − E)/σ."""

    @property
    def monotonic(self) -> bool:
        """Whether f₁ never falls, so that only one E_F holds a number of electrons."""

    def occupation(self, x: FloatArray) -> FloatArray:
        """Occupation f₁(x), electrons per state and spin, for x of any shape."""

    def entropy(self, x: FloatArray) -> FloatArray:
        """Entropy S₁(x), per state and spin, for x of any shape."""


@dataclass(frozen=True)
class ColdSmearing:
    """Cold smearing in Marzari's cubic form, a polynomial times a Gaussian.

    Attributes:
        kappa: coefficient κ of the polynomial.
    """

    kappa: float = COLD_KAPPA
    monotonic: ClassVar[bool] = False

    def occupation(self, x: FloatArray) -> FloatArray:
        x = np.clip(x, -_REACH, _REACH)
        polynomial = self.kappa / 4 + x / 2 - self.kappa * x**2 / 2
        return np.asarray(0.5 * (1 + erf(x)) + np.exp(-(x**2)) / np.sqrt(np.pi) * polynomial)

    def entropy(self, x: FloatArray) -> FloatArray:
        x = np.clip(x, -_REACH, _REACH)
        return np.asarray(np.exp(-(x**2)) / (2 * np.sqrt(np.pi)) * (0.5 - x**2 + self.kappa * x**3))


@dataclass(frozen=True)
class GaussianSmearing:
    """Gaussian smearing, δ(x) = e^{−x²}/√π."""

    monotonic: ClassVar[bool] = True

    def occupation(self, x: FloatArray) -> FloatArray:
        return np.asarray(0.5 * (1 + erf(x)))

    def entropy(self, x: FloatArray) -> FloatArray:
        return np.asarray(np.exp(-np.minimum(x**2, _REACH**2)) / (2 * np.sqrt(np.pi)))


@dataclass(frozen=True)
class FermiDirac:
    """Fermi–Dirac smearing, f₁ = 1/(1 + e^{−x}), S₁ = −f ln f − (1 − f) ln(1 − f) (paper, footnote 1)."""

    monotonic: ClassVar[bool] = True

    def occupation(self, x: FloatArray) -> FloatArray:
        return np.asarray(expit(x))

    def entropy(self, x: FloatArray) -> FloatArray:
        f, g = expit(x), expit(-np.asarray(x))
        return np.asarray(-xlogy(f, f) - xlogy(g, g))


SMEARINGS: dict[str, Smearing] = {
    "cold": ColdSmearing(),
    "gaussian": GaussianSmearing(),
    "fermi-dirac": FermiDirac(),
}


@dataclass(frozen=True, eq=False)
class Occupations:
    """Occupations of the states at a Fermi level, and the energies that follow from them.

    Attributes:
        fermi_energy: E_F, Hartree.
        weights: (K, n) w_k · 2 f₁, so that their sum is the number of electrons.
        entropies: (K, n) w_k · 2 S₁.
        band_energy: Σ weights · E, Hartree.
        entropic_energy: −TS = −σ Σ entropies, Hartree.
        per_state: (K, n) 2 f₁, without the weight of the k point.
    """

    fermi_energy: float
    weights: FloatArray
    entropies: FloatArray
    band_energy: float
    entropic_energy: float
    per_state: FloatArray


def occupy(energies: FloatArray, k_weights: FloatArray, electrons: float, smearing: str, width: float) -> Occupations:
    """Occupations at the E_F at which the states hold all electrons.

    Args:
        energies: (K, n) eigenvalues, Hartree.
        k_weights: (K,) summing to 1.
        electrons: per primitive cell.
        smearing: a key of :data:`SMEARINGS`, or "none" for an insulator with filled bands.
        width: σ, Hartree.

    Raises:
        InputError: too few bands to hold the electrons, "none" with an odd number of electrons, or a smearing so wide
            that no Fermi level holds them.
    """
    if smearing == "none":
        return _filled_bands(energies, k_weights, electrons)
    form = SMEARINGS[smearing]
    if 2 * energies.shape[1] <= electrons:
        raise InputError(f"bands = {energies.shape[1]} cannot hold {electrons:g} electrons; more than half are needed")

    def excess(fermi: float) -> float:
        return float(2 * (k_weights @ form.occupation((fermi - energies) / width)).sum() - electrons)

    lowest = float(energies.min()) - 40 * width
    highest = float(energies.max()) + 40 * width
    if form.monotonic:
        fermi = _root(excess, lowest, highest)
    else:
        first = occupy(energies, k_weights, electrons, "gaussian", width).fermi_energy
        fermi = _nearest_root(excess, first, lowest, highest, 0.1 * width)
    x = (fermi - energies) / width
    per_state = 2 * form.occupation(x)
    weights = k_weights[:, None] * per_state
    entropies = k_weights[:, None] * 2 * form.entropy(x)
    return Occupations(
        fermi, weights, entropies, float((weights * energies).sum()), float(-width * entropies.sum()), per_state
    )


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(excess, low, high, xtol=1e-15, rtol=1e-14, maxiter=300))


def _nearest_root(excess: Callable[[float], float], first: float, lowest: float, highest: float, step: float) -> float:
    """The root of N(E_F) nearest to ``first``, for cold smearing, whose N(E_F) is not monotonic.

    In a gap it has spurious roots just above the valence band, where the occupations exceed 1; the Gaussian's E_F,
    from which the search begins, lies deep in the gap.

    Raises:
        InputError: there is no root between ``lowest`` and ``highest``.
    """
    first_excess = excess(first)
    if abs(first_excess) < 1e-13:
        return first
    above = below = first
    while above < highest or below > lowest:
        previous_above, above = above, above + step
        previous_below, below = below, below - step
        if excess(above) * first_excess <= 0:
            return _root(excess, previous_above, above)
        if excess(below) * first_excess <= 0:
            return _root(excess, below, previous_below)
    raise InputError("smearing_width: no Fermi level holds the electrons; take a narrower smearing")


def _filled_bands(energies: FloatArray, k_weights: FloatArray, electrons: float) -> Occupations:
    filled = round(electrons / 2)
    if abs(2 * filled - electrons) > 1e-9 or filled > energies.shape[1]:
        raise InputError(
            f'smearing = "none" fills bands with pairs: {electrons:g} electrons a primitive cell do not fit '
            f"{energies.shape[1]} bands; choose a smearing"
        )
    per_state = np.zeros_like(energies)
    per_state[:, :filled] = 2.0
    weights = k_weights[:, None] * per_state
    top = float(energies[:, filled - 1].max())
    fermi = top if filled == energies.shape[1] else 0.5 * (top + float(energies[:, filled].min()))
    return Occupations(fermi, weights, np.zeros_like(weights), float((weights * energies).sum()), 0.0, per_state)
