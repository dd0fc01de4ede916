"""Pseudopotentials on a radial mesh, for all file formats, and the separable form of semilocal ones.

V_nl = Σ_l |δV_l u_l⟩ ⟨u_l δV_l| / ⟨u_l|δV_l|u_l⟩ ,   δV_l = V_l − V_loc        (Kleinman and Bylander 1982)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.dft.pseudopotential.core_charge import CoreCharge
from cellfields.dft.pseudopotential.radial import SquareSpline, bessel_transform

_TAIL = 1e-10  # Hartree·Bohr; |rV + Z| below it is the rounding of a Coulomb tail
_ROUNDING = 1e-15  # of a projector, relative to its largest value
_FAR, _NOISE = 20.0, 2e-8  # Bohr and Hartree; |V + Z/r| above it so far out is noise


@dataclass(frozen=True, eq=False)
class TabulatedChannel:
    """The tabulated projectors of one angular momentum.

    Attributes:
        l: angular momentum.
        coupling: h (n, n), Hartree.
        splines: p_i(q)/q^l, one for each of n projectors.
    """

    l: int
    coupling: FloatArray
    splines: tuple[SquareSpline, ...]

    def radial(self, q: FloatArray) -> FloatArray:
        """Projectors p_i(q)/q^l (n, …) at q (…), 1/Bohr."""
        return np.stack([spline(q) for spline in self.splines])

    def radial_slope(self, q: FloatArray) -> FloatArray:
        """Derivatives (1/q) d/dq of :meth:`radial` (n, …) at q (…), 1/Bohr."""
        return np.stack([spline.slope(q) for spline in self.splines])


@dataclass(frozen=True, eq=False)
class TabulatedPseudopotential:
    """A pseudopotential given on a radial grid.

    Attributes:
        symbol: chemical symbol.
        valence: charge Z of the ion.
        channels: the non-local part.
        short_range: v_loc(q) + 4πZ/q², a smooth function of q², Hartree·Bohr³.
        average: its limit at q = 0, Hartree·Bohr³.
        fingerprint: SHA-256 of the file's text and of the chosen local channel.
        functional: that it was made with.
        core_charge: of the non-linear core correction, or None.
        local_channel: the l whose potential is the local one, or None where it is no channel's.
    """

    symbol: str
    valence: float
    channels: tuple[TabulatedChannel, ...]
    short_range: SquareSpline
    average: float
    fingerprint: str
    functional: str
    core_charge: CoreCharge | None = None
    local_channel: int | None = None

    def local(self, q: FloatArray) -> FloatArray:
        """Local potential v_loc(q) at q > 0 (…), Hartree·Bohr³."""
        return np.asarray(self.short_range(q) - 4 * np.pi * self.valence / np.asarray(q) ** 2)

    def local_slope(self, q: FloatArray) -> FloatArray:
        """Derivative (1/q) d v_loc/dq at q > 0 (…), Hartree·Bohr⁵."""
        return np.asarray(self.short_range.slope(q) + 8 * np.pi * self.valence / np.asarray(q) ** 4)

    def local_average(self) -> float:
        """Limit of v_loc(q) + 4πZ/q² at q → 0, Hartree·Bohr³."""
        return self.average


def local_part(
    r: FloatArray, potential: FloatArray, valence: float, weights: FloatArray, *, noisy: bool = False
) -> tuple[SquareSpline, float]:
    """v_loc(q) + 4πZ/q² and its limit at q = 0, from V(r) on a mesh; below its first point V is constant.

    Args:
        r: mesh (n,), Bohr.
        potential: V (n,), Hartree.
        valence: Z.
        weights: (n,) of ∫ f dr ≈ Σ weights f.
        noisy: leave far tails that are not −Z/r out of the limit, which depends most on them (as ABINIT does for UPF).
    """
    tail = r * potential + valence
    tail[np.abs(tail) < _TAIL] = 0.0
    weighted = r * tail * weights
    weighted[0] += r[0] ** 2 * (valence / 2 + r[0] * potential[0] / 3)  # ∫₀^{r1} r (rV + Z) dr
    trusted = (r <= _FAR) | (np.abs(tail) <= _NOISE * r) if noisy else np.ones(len(r), dtype=bool)
    return SquareSpline(bessel_transform(0, r, weighted)), float(4 * np.pi * weighted[trusted].sum())


def projector_channel(
    l: int, coupling: FloatArray, r: FloatArray, projectors: Sequence[FloatArray], weights: FloatArray
) -> TabulatedChannel:
    """A channel from projectors on a radial mesh; far tails within rounding are set to zero.

    Args:
        l: angular momentum.
        coupling: h (n, n), Hartree.
        r: mesh (m,), Bohr.
        projectors: n arrays r p_i(r) (m,).
        weights: (m,) of ∫ f dr ≈ Σ weights f.
    """
    trimmed = (np.where(np.abs(p) > _ROUNDING * np.abs(p).max(), p, 0.0) for p in projectors)
    splines = tuple(SquareSpline(bessel_transform(l, r, r * p * weights)) for p in trimmed)
    return TabulatedChannel(l, coupling, splines)


def kleinman_bylander(
    potentials: Sequence[FloatArray], waves: Mapping[int, FloatArray], local: int, r: FloatArray, weights: FloatArray
) -> tuple[TabulatedChannel, ...]:
    """Channels of a semilocal pseudopotential, one for each l whose potential differs from the local one.

    Args:
        potentials: V_l (n,), Hartree, for each l.
        waves: l → u_l = r R_l (n,).
        local: l of the local potential.
        r: mesh (n,), Bohr.
        weights: (n,) of ∫ f dr ≈ Σ weights f.
    """
    channels = []
    for l, u in waves.items():
        if l == local:
            continue
        pushed = (potentials[l] - potentials[local]) * u
        square, mean = float((pushed**2) @ weights), float((pushed * u) @ weights)
        if square > 1e-20 and abs(mean) > 1e-14:
            coupling = np.array([[square / mean]])
            channels.append(projector_channel(l, coupling, r, [pushed / np.sqrt(square)], weights))
    return tuple(channels)
