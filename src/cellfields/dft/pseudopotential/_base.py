"""What a pseudopotential offers: v_loc(q), for each l the projectors p_i(q) with their coupling h_ij, perhaps ρ_c(r).

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
        """Angular momentum."""

    @property
    def coupling(self) -> FloatArray:
        """h (n, n), Hartree."""

    def radial(self, q: FloatArray) -> FloatArray:
        """p_i(q)/q^l, (n, …) for q of shape (…), with ∫ p_i(q)² q² dq = 8π³ where p_i(r) is normalised."""

    def radial_slope(self, q: FloatArray) -> FloatArray:
        """(1/q) d/dq of :meth:`radial`, (n, …): what a strain derivative needs, finite at q = 0."""


@runtime_checkable
class Pseudopotential(Protocol):
    """One ion without its core electrons."""

    @property
    def symbol(self) -> str:
        """Chemical symbol."""

    @property
    def valence(self) -> float:
        """Charge Z of the ion = electrons it brings."""

    @property
    def functional(self) -> str:
        """What it was made with: "lda", "pbe", or the words of its file."""

    @property
    def channels(self) -> Sequence[Channel]:
        """Non-local part, one entry an angular momentum."""

    @property
    def core_charge(self) -> CoreCharge | None:
        """Model core density of the non-linear core correction, if there is one."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the defining numbers."""

    def local(self, q: FloatArray) -> FloatArray:
        """v_loc(q) for q > 0, Hartree·Bohr³; tends to −4πZ/q²."""

    def local_slope(self, q: FloatArray) -> FloatArray:
        """(1/q) d v_loc/dq for q > 0."""

    def local_average(self) -> float:
        """lim_{q→0} v_loc(q) + 4πZ/q² : the non-Coulomb part of the mean potential, Hartree·Bohr³ (E_core)."""
