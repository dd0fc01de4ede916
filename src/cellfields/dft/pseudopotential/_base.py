"""The protocol of a pseudopotential: v_loc(q), for each l the projectors p_i(q) with their coupling h_ij, and ρ_c(r).

    V_ps = v_loc(r) + Σ_l Σ_m Σ_ij |p_i^l Y_lm⟩ h_ij^l ⟨p_j^l Y_lm| ,       f(q) = 4π ∫ r² j_l(qr) f(r) dr

Radial functions are given divided by q^l (smooth in q²), because the angular part is the *solid* harmonic q^l Y_lm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from cellfields._typing import FloatArray
from cellfields.dft.pseudopotential.core_charge import CoreCharge


class Channel(Protocol):
    """The projectors of one angular momentum."""

    @property
    def l(self) -> int:
        """Angular momentum l."""

    @property
    def coupling(self) -> FloatArray:
        """Coupling h (n, n) of the projectors, Hartree."""

    def radial(self, q: FloatArray) -> FloatArray:
        """Projectors p_i(q)/q^l (n, …) at q (…), 1/Bohr; ∫ p_i(q)² q² dq = 8π³ where p_i(r) is normalised."""

    def radial_slope(self, q: FloatArray) -> FloatArray:
        """Derivatives (1/q) d/dq of :meth:`radial` (n, …) at q (…), finite at q = 0, for strain derivatives."""


@runtime_checkable
class Pseudopotential(Protocol):
    """An ion with its core electrons, as the valence electrons see it."""

    @property
    def symbol(self) -> str:
        """Chemical symbol."""

    @property
    def valence(self) -> float:
        """Charge Z of the ion, the number of electrons that it brings."""

    @property
    def functional(self) -> str:
        """The functional that it was made with: "lda", "pbe", or the words of its file for another one."""

    @property
    def channels(self) -> Sequence[Channel]:
        """The non-local part, one channel for each angular momentum that has projectors."""

    @property
    def core_charge(self) -> CoreCharge | None:
        """Model core density of the non-linear core correction, or None without one."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the defining numbers."""

    def local(self, q: FloatArray) -> FloatArray:
        """Local potential v_loc(q) at q > 0 (…), Hartree·Bohr³, which tends to −4πZ/q² at q → 0."""

    def local_slope(self, q: FloatArray) -> FloatArray:
        """Derivative (1/q) d v_loc/dq at q > 0 (…), Hartree·Bohr⁵."""

    def local_average(self) -> float:
        """Non-Coulomb part lim_{q→0} v_loc(q) + 4πZ/q² of the mean potential, Hartree·Bohr³, for E_core."""
