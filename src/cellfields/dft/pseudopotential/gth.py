"""Goedecker–Teter–Hutter pseudopotentials in the form of Hartwigsen, Goedecker and Hutter (HGH).

    v_loc(q) = e^{−(q r)²/2} { −4πZ/q² + √(8π³) r³ [C₁ + C₂(3 − x) + C₃(15 − 10x + x²) + C₄(105 − 105x + 21x² − x³)] }
    p_i^l(q) ∝ q^l e^{−(q r_l)²/2} × polynomial of degree i − 1 in x ,            x = (q r)²

Source: S. Goedecker, M. Teter, J. Hutter, Phys. Rev. B 54, 1703 (1996); C. Hartwigsen, S. Goedecker, J. Hutter,
Phys. Rev. B 58, 3641 (1998), eq. 3, 6, 8. The projectors' polynomials are their spherical Bessel transforms.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import gamma, pi, sqrt

import numpy as np
from numpy.polynomial import Polynomial

from cellfields._typing import FloatArray


@dataclass(frozen=True, eq=False)
class GTHChannel:
    """The Gaussian projectors of one angular momentum.

    Attributes:
        l: angular momentum.
        radius: r_l, Bohr.
        coupling: h (n, n), Hartree.
    """

    l: int
    radius: float
    coupling: FloatArray

    def radial(self, q: FloatArray) -> FloatArray:
        """Projectors p_i(q)/q^l (n, …) at q (…), 1/Bohr."""
        x = (np.asarray(q) * self.radius) ** 2
        return np.array([p(x) for p in self._polynomials()]) * np.exp(-x / 2)

    def radial_slope(self, q: FloatArray) -> FloatArray:
        """Derivatives (1/q) d/dq = 2 r_l² d/dx of :meth:`radial` (n, …) at q (…), 1/Bohr."""
        x = (np.asarray(q) * self.radius) ** 2
        slopes = np.array([p.deriv()(x) - 0.5 * p(x) for p in self._polynomials()])
        return 2 * self.radius**2 * slopes * np.exp(-x / 2)

    def _polynomials(self) -> list[Polynomial]:
        """Polynomials in x = (q r)² of the transform of r^{l+2(i−1)} e^{−r²/2r_l²}, normalised in real space.

        ∫ r^{l+2n+2} j_l(qr) e^{−r²/2} dr = √(π/2) q^l 2^n n! L_n^{l+1/2}(q²/2) e^{−q²/2}.
        """
        result = []
        for n in range(len(self.coupling)):
            a = self.l + 0.5
            laguerre = Polynomial(
                [
                    (-0.5) ** k * gamma(n + a + 1) / (gamma(n - k + 1) * gamma(a + k + 1) * gamma(k + 1))
                    for k in range(n + 1)
                ]
            )
            norm = sqrt(2 / gamma(self.l + 2 * n + 1.5)) * self.radius ** (self.l + 1.5)
            result.append(4 * pi * norm * sqrt(pi / 2) * 2**n * gamma(n + 1) * laguerre)
        return result


@dataclass(frozen=True, eq=False)
class GTHPseudopotential:
    """An analytic dual-space Gaussian pseudopotential.

    Attributes:
        symbol: chemical symbol.
        valence: charge Z of the ion, the number of electrons that it brings.
        radius: r_loc, Bohr.
        coefficients: C₁ … C₄ of the local part, Hartree; missing ones are zero.
        channels: the non-local part.
        functional: that it was made with.
    """

    symbol: str
    valence: float
    radius: float
    coefficients: tuple[float, ...]
    channels: tuple[GTHChannel, ...]
    functional: str = "lda"

    @property
    def core_charge(self) -> None:
        """None, as these pseudopotentials have no core correction."""
        return None

    def _local_polynomial(self) -> Polynomial:
        basis = ([1], [3, -1], [15, -10, 1], [105, -105, 21, -1])
        total = Polynomial([0.0])
        for c, coefficients in zip(self.coefficients, basis, strict=False):
            total = total + c * Polynomial(coefficients)
        return total * (sqrt(8 * pi**3) * self.radius**3)

    def local(self, q: FloatArray) -> FloatArray:
        """Local potential v_loc(q) at q > 0 (…), Hartree·Bohr³."""
        x = (np.asarray(q) * self.radius) ** 2
        coulomb = -4 * pi * self.valence * self.radius**2 / x
        return np.asarray((coulomb + self._local_polynomial()(x)) * np.exp(-x / 2))

    def local_slope(self, q: FloatArray) -> FloatArray:
        """Derivative (1/q) d v_loc/dq = 2 r² d v_loc/dx at q > 0 (…), Hartree·Bohr⁵."""
        x = (np.asarray(q) * self.radius) ** 2
        p = self._local_polynomial()
        strength = -4 * pi * self.valence * self.radius**2
        slope = -strength / x**2 - 0.5 * strength / x + p.deriv()(x) - 0.5 * p(x)
        return np.asarray(2 * self.radius**2 * slope * np.exp(-x / 2))

    def local_average(self) -> float:
        """Limit of v_loc(q) + 4πZ/q² at q → 0, 2πZ r² + polynomial(0), Hartree·Bohr³."""
        return float(2 * pi * self.valence * self.radius**2 + self._local_polynomial()(0.0))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the parameters."""
        table = [
            self.symbol,
            self.valence,
            self.radius,
            list(self.coefficients),
            [[c.l, c.radius, c.coupling.tolist()] for c in self.channels],
        ]
        return hashlib.sha256(json.dumps(table).encode()).hexdigest()


def hgh_coupling(l: int, diagonal: tuple[float, ...]) -> FloatArray:
    """Full coupling h (n, n) from its diagonal (n ≤ 3), Hartree, by HGH eq. 20–27."""
    h = np.diag(np.array(diagonal, dtype=float))
    ties = {
        0: (-0.5 * sqrt(3 / 5), 0.5 * sqrt(5 / 21), -0.5 * sqrt(100 / 63)),
        1: (-0.5 * sqrt(5 / 7), sqrt(35 / 11) / 6, -14 / (6 * sqrt(11))),
        2: (-0.5 * sqrt(7 / 9), 0.5 * sqrt(63 / 143), -9 / sqrt(143)),
    }
    if len(diagonal) > 1:
        h[0, 1] = h[1, 0] = ties[l][0] * diagonal[1]
    if len(diagonal) > 2:
        h[0, 2] = h[2, 0] = ties[l][1] * diagonal[2]
        h[1, 2] = h[2, 1] = ties[l][2] * diagonal[2]
    return h


def symmetric(upper: Sequence[float]) -> FloatArray:
    """Full coupling h (n, n) from its upper triangle, row by row: h₁₁, h₁₂, …, h₂₂, …

    Raises:
        ValueError: the number of elements is not that of a triangle.
    """
    n = round((sqrt(8 * len(upper) + 1) - 1) / 2)
    h = np.zeros((n, n))
    h[np.triu_indices(n)] = upper
    return np.asarray(h + np.triu(h, 1).T)


def checked(ion: GTHPseudopotential) -> GTHPseudopotential:
    """Return a pseudopotential after a check that its numbers are plausible.

    Raises:
        ValueError: a valence outside 0 … 150, a radius outside 1e-4 … 100 Bohr, or a coefficient of 1e6 or more.
    """
    radii = [ion.radius, *(channel.radius for channel in ion.channels)]
    numbers = [*ion.coefficients, *(x for channel in ion.channels for x in channel.coupling.flat)]
    if not (0 < ion.valence < 150 and all(1e-4 <= r <= 100 for r in radii) and np.abs(numbers or [0.0]).max() < 1e6):
        raise ValueError
    return ion
