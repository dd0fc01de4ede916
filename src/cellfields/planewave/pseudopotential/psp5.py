"""ABINIT's pseudopotential format 5: semilocal potentials and wavefunctions on a logarithmic grid, made separable.

    V_nl = Σ_l |δV_l u_l⟩ ⟨u_l δV_l| / ⟨u_l|δV_l|u_l⟩ ,   δV_l = V_l − V_loc        (Kleinman and Bylander 1982)

Format (ABINIT's manual, "psp5"): title; zatom zion date; pspcod pspxc lmax lloc mmax r2well; r1 al [pspso]; for each l
two lines (the first: l e99.0 e99.9 nproj rcpsp); rchrg fchrg qchrg; for each l a line "l" and mmax values of V_l(r)
(Hartree); for each l with a projector a line "l" and mmax values of u_l = r R_l.  r_i = r1 exp(al (i − 1)).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellfields._typing import FloatArray
from cellfields.errors import InputError
from cellfields.planewave.pseudopotential.radial import SquareSpline, bessel_transform

_LDA = range(1, 10)  # pspxc of the local density approximation; they differ in its fit only
_MOST_POINTS = 100_000
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class TabulatedChannel:
    """One projector of angular momentum l, normalised in real space.

    Attributes:
        l: angular momentum.
        coupling: (1, 1) Kleinman–Bylander energy, Hartree.
        spline: p(q)/q^l.
    """

    l: int
    coupling: FloatArray
    spline: SquareSpline

    def radial(self, q: FloatArray) -> FloatArray:
        """p(q)/q^l, (1, …), see :class:`Channel`."""
        return self.spline(q)[None]

    def radial_slope(self, q: FloatArray) -> FloatArray:
        """(1/q) d/dq of :meth:`radial`."""
        return self.spline.slope(q)[None]


@dataclass(frozen=True, eq=False)
class TabulatedPseudopotential:
    """A pseudopotential given on a radial grid.

    Attributes:
        symbol: chemical symbol.
        valence: Z.
        channels: non-local part.
        short_range: v_loc(q) + 4πZ/q², a smooth function of q².
        fingerprint: SHA-256 of the file's text and of the chosen local channel.
        local_channel: the l whose potential is local.
    """

    symbol: str
    valence: float
    channels: tuple[TabulatedChannel, ...]
    short_range: SquareSpline
    fingerprint: str
    local_channel: int

    def local(self, q: FloatArray) -> FloatArray:
        """v_loc(q) for q > 0, Hartree·Bohr³."""
        return np.asarray(self.short_range(q) - 4 * np.pi * self.valence / np.asarray(q) ** 2)

    def local_slope(self, q: FloatArray) -> FloatArray:
        """(1/q) d v_loc/dq for q > 0."""
        return np.asarray(self.short_range.slope(q) + 8 * np.pi * self.valence / np.asarray(q) ** 4)

    def local_average(self) -> float:
        """lim v_loc + 4πZ/q²."""
        return float(self.short_range(np.zeros(1))[0])


def read_psp5(
    symbol: str, atomic_number: int, path: Path, local_channel: int | None = None
) -> TabulatedPseudopotential:
    """Read a format-5 file.

    Args:
        symbol: the element it is meant for.
        atomic_number: of that element; the file must agree.
        path: the file.
        local_channel: l of the local potential; None takes the file's own ``lloc``.

    Raises:
        InputError: not a format-5 file, another element, a core correction, spin–orbit, or a missing channel.
    """
    field = f"pseudopotentials.{symbol}"
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{field}: {path} is too large for a pseudopotential file")
        lines = path.read_text(encoding="utf-8", errors="strict").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{field}: {path} cannot be read as a text file ({error.__class__.__name__})") from error
    try:
        return _parse(symbol, atomic_number, lines, local_channel, f"{field}: {path}")
    except InputError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{field}: {path} is not a complete ABINIT format-5 file") from error


def _numbers(line: str, count: int) -> list[float]:
    return [float(word.lower().replace("d", "e")) for word in line.split()[:count]]


def _parse(
    symbol: str, atomic_number: int, lines: list[str], local_channel: int | None, where: str
) -> TabulatedPseudopotential:
    zatom, valence = _numbers(lines[1], 2)
    code, functional, lmax, lloc, points = (int(x) for x in _numbers(lines[2], 5))
    if code != 5:
        raise InputError(f"{where} is of ABINIT format {code}; only format 5 is supported so far")
    if round(zatom) != atomic_number:
        raise InputError(f"{where} is for atomic number {zatom:g}, not for {symbol} ({atomic_number})")
    if not (0 <= lmax <= 3 and 10 <= points <= _MOST_POINTS and valence > 0):
        raise InputError(f"{where} is not a complete ABINIT format-5 file")
    first, step = _numbers(lines[3], 2)
    spin_orbit = lines[3].split()[2:3]
    if spin_orbit and spin_orbit[0].isdigit() and int(spin_orbit[0]) != 1:
        raise InputError(f"{where} holds spin–orbit terms, which are not supported")
    if not (first > 0 and 0 < step < 1):
        raise InputError(f"{where} is not a complete ABINIT format-5 file")
    projectors = [int(_numbers(lines[4 + 2 * l], 4)[3]) for l in range(lmax + 1)]
    if max(projectors) > 1 or min(projectors) < 0:
        raise InputError(f"{where} has more than one projector of one angular momentum, which is not supported")
    if functional not in _LDA:
        raise InputError(f"{where} was made with ABINIT's functional {functional}; only LDA ones (1 … 9) are supported")
    row = 4 + 2 * (lmax + 1)
    if abs(_numbers(lines[row], 3)[1]) > 1e-12:
        raise InputError(f"{where} has a non-linear core correction, which is not supported yet")
    local = lloc if local_channel is None else local_channel
    if not 0 <= local <= lmax:
        raise InputError(f"{where}: local channel l = {local} is not in the file (0 … {lmax})")

    row += 1
    potentials, waves = [], {}
    for l in range(lmax + 1):
        values, row = _block(lines, row, l, points)
        potentials.append(values)
    for l in range(lmax + 1):
        if projectors[l]:
            waves[l], row = _block(lines, row, l, points)

    r = first * np.exp(step * np.arange(points))
    dr = r * step  # trapezoidal rule in the exponent: the integrands vanish at both ends
    tail = r * potentials[local] + valence
    tail[np.abs(tail) < 1e-10] = 0.0
    # The piece below the first point, where V is constant: ∫₀^{r1} r (rV + Z) dr.
    below = first**2 * (valence / 2 + first * potentials[local][0] / 3) - 0.5 * r[0] * tail[0] * dr[0]
    weighted = r * tail * dr
    weighted[0] += below
    channels = []
    for l, u in waves.items():
        if l == local:
            continue
        pushed = (potentials[l] - potentials[local]) * u
        square, mean = float((pushed**2) @ dr), float((pushed * u) @ dr)
        if square > 1e-20 and abs(mean) > 1e-14:
            transform = bessel_transform(l, r, r * pushed * dr / np.sqrt(square))
            channels.append(TabulatedChannel(l, np.array([[square / mean]]), SquareSpline(transform)))
    digest = hashlib.sha256("\n".join(lines).encode() + f"local {local}".encode()).hexdigest()
    return TabulatedPseudopotential(
        symbol, valence, tuple(channels), SquareSpline(bessel_transform(0, r, weighted)), digest, local
    )


def _block(lines: list[str], row: int, l: int, points: int) -> tuple[FloatArray, int]:
    """A line with l, then ``points`` numbers; returns them and the row after."""
    if int(lines[row].split()[0]) != l:
        raise ValueError
    row += 1
    values: list[float] = []
    while len(values) < points:
        values += _numbers(lines[row], points)
        row += 1
    array = np.array(values)
    if len(array) != points or not np.isfinite(array).all():
        raise ValueError
    return array, row
