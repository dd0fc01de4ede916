"""The part that ABINIT's semilocal formats 1 and 5 share, which is all but the radial mesh.

For each l two lines (the first: l e99.0 e99.9 nproj rcpsp); rchrg fchrg qchrg; for each l a line "l" and mmax values of
V_l(r) (Hartree); for each l that has one a line "l" and mmax values of u_l = r R_l.
"""

from __future__ import annotations

import hashlib

from cellfields._typing import FloatArray
from cellfields.dft.pseudopotential.abinit_header import Header
from cellfields.dft.pseudopotential.core_charge import CoreCharge
from cellfields.dft.pseudopotential.source import Source, finite
from cellfields.dft.pseudopotential.tabulated import TabulatedPseudopotential, kleinman_bylander, local_part

_NO_CORE = 1e-15  # ABINIT's bound on fchrg


def read_semilocal(
    source: Source, row: int, r: FloatArray, weights: FloatArray, local_channel: int | None, *, every_wave: bool
) -> TabulatedPseudopotential:
    """Read a file from the line of its first channel on.

    Args:
        source: the file.
        row: index of that line.
        r: radial mesh (n,), Bohr.
        weights: (n,) of ∫ f dr ≈ Σ weights f.
        local_channel: l of the local potential; None takes the file's ``lloc``.
        every_wave: whether the file holds a wavefunction for each l, also for those without a projector.

    Raises:
        InputError: several projectors of one l, or a missing local channel.
        ValueError, IndexError, ArithmeticError: the file is not complete.
    """
    header = Header.read(source)
    channels = range(header.highest_l + 1)
    projectors = [int(source.numbers(row + 2 * l, 4)[3]) for l in channels]
    if max(projectors, default=0) > 1:
        raise source.refuse("has more than one projector of one angular momentum, which is not supported")
    row += 2 * len(channels)
    scale, magnitude, _ = source.numbers(row, 3)
    local = header.local if local_channel is None else local_channel
    if local not in channels:
        raise source.refuse(f"cannot be used: local channel l = {local} is not in the file (0 … {header.highest_l})")

    row += 1
    potentials, waves = [], {}
    for l in channels:
        values, row = _block(source, row, l, len(r))
        potentials.append(values)
    for l in channels:
        if projectors[l] or every_wave:
            values, row = _block(source, row, l, len(r))
            if projectors[l] or l == header.local:
                waves[l] = values
    return TabulatedPseudopotential(
        source.symbol,
        header.valence,
        kleinman_bylander(potentials, waves, local, r, weights),
        *local_part(r, potentials[local], header.valence, weights),
        hashlib.sha256("\n".join(source.lines).encode() + f"local {local}".encode()).hexdigest(),
        header.functional,
        CoreCharge.teter(magnitude, scale) if magnitude > _NO_CORE else None,
        local,
    )


def _block(source: Source, row: int, l: int, points: int) -> tuple[FloatArray, int]:
    """The numbers (points,) that follow a line with l, and the index of the line after them.

    Raises:
        ValueError, IndexError: the line holds another l, or numbers are missing.
    """
    if int(source.lines[row].split()[0]) != l:
        raise ValueError
    row += 1
    words: list[str] = []
    while len(words) < points:
        words += source.lines[row].split()
        row += 1
    return finite(words, (points,)), row
