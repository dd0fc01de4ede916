"""Pseudopotentials given on a radial mesh, whatever the file they come from, and the way from semilocal to separable.

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
    """The projectors of angular momentum l.

    Attributes:
        l: angular momentum.
        coupling: (n, n), Hartree.
        splines: p_i(q)/q^l, n of them.
    """

    l: int
    coupling: FloatArray
    splines: tuple[SquareSpline, ...]

    def radial(self, q: FloatArray) -> FloatArray:
        """p_i(q)/q^l, (n, …), see :class:`Channel`."""
        return np.stack([spline(q) for spline in self.splines])

    def radial_slope(self, q: FloatArray) -> FloatArray:
        """(1/q) d/dq of :meth:`radial`."""
        return np.stack([spline.slope(q) for spline in self.splines])


@dataclass(frozen=True, eq=False)
class TabulatedPseudopotential:
    """A pseudopotential given on a radial grid.

    Attributes:
        symbol: chemical symbol.
        valence: Z.
        channels: non-local part.
        short_range: v_loc(q) + 4πZ/q², a smooth function of q².
        average: its limit at q = 0.
        fingerprint: SHA-256 of the file's text and of what was chosen in it.
        functional: what it was made with.
        core_charge: of the non-linear core correction.
        local_channel: the l whose potential is local, where one is.
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
        """v_loc(q) for q > 0, Hartree·Bohr³."""
        return np.asarray(self.short_range(q) - 4 * np.pi * self.valence / np.asarray(q) ** 2)

    def local_slope(self, q: FloatArray) -> FloatArray:
        """(1/q) d v_loc/dq for q > 0."""
        return np.asarray(self.short_range.slope(q) + 8 * np.pi * self.valence / np.asarray(q) ** 4)

    def local_average(self) -> float:
        """lim v_loc + 4πZ/q²."""
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
        noisy: far tails that are not −Z/r are left out of the limit, which weighs them most (as ABINIT does for UPF).
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
    """A channel from projectors r p_i(r) on the mesh; their far tails, mere rounding, are cut."""
    trimmed = (np.where(np.abs(p) > _ROUNDING * np.abs(p).max(), p, 0.0) for p in projectors)
    splines = tuple(SquareSpline(bessel_transform(l, r, r * p * weights)) for p in trimmed)
    return TabulatedChannel(l, coupling, splines)


def kleinman_bylander(
    potentials: Sequence[FloatArray], waves: Mapping[int, FloatArray], local: int, r: FloatArray, weights: FloatArray
) -> tuple[TabulatedChannel, ...]:
    """Channels from V_l (Hartree) and u_l = r R_l on a mesh, without those that do not differ from the local one."""
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
