"""ABINIT's pseudopotential format 8: Hamann's ONCV files (.psp8, PseudoDojo), with several projectors in a channel.

Format (ABINIT's manual, "psp8"): title; zatom zion date; pspcod pspxc lmax lloc mmax r2well; rchrg fchrg qchrg; nproj
of each l; extension_switch; for each l with projectors a line "l ekb₁ ekb₂ …" and mmax rows "i r p₁ p₂ …", the p being
r p(r), or, where l = lloc (perhaps lmax + 1), a line "l" and rows "i r V_loc"; with fchrg > 0 rows "i r 4πρ_c …".
The mesh is uniform from r = 0; ρ_c ends at rchrg. (D. R. Hamann, Phys. Rev. B 88, 085117 (2013).)
"""

from __future__ import annotations

import hashlib

import numpy as np

from cellfields._typing import FloatArray
from cellfields.dft.pseudopotential.abinit_header import Header
from cellfields.dft.pseudopotential.core_charge import CoreCharge
from cellfields.dft.pseudopotential.radial import gregory_weights
from cellfields.dft.pseudopotential.source import MOST_PROJECTORS, Source
from cellfields.dft.pseudopotential.tabulated import (
    TabulatedChannel,
    TabulatedPseudopotential,
    local_part,
    projector_channel,
)
from cellfields.text import parse_number

_SPIN_ORBIT = (2, 3)
_UNEVEN = 1e-8  # Bohr
_NO_CORE = 1e-15  # ABINIT's bound on fchrg
_TAIL = 1e-10  # of a projector


def read_psp8(source: Source) -> TabulatedPseudopotential:
    """Read a format-8 file.

    Raises:
        InputError: another element, or spin–orbit projectors.
        ValueError, IndexError, ArithmeticError: not a complete file.
    """
    header = Header.read(source)
    points = header.points
    end_of_core, core_magnitude = source.numbers(3, 2)
    counts = [int(x) for x in source.numbers(4, header.highest_l + 1)]
    if int(source.numbers(5, 1)[0]) in _SPIN_ORBIT:
        raise source.refuse("holds spin–orbit projectors, which are not supported; take a scalar-relativistic file")
    if min(counts, default=0) < 0 or max(counts, default=0) > MOST_PROJECTORS or header.local < 0:
        raise ValueError

    weights = gregory_weights(points)
    row = 6
    mesh: FloatArray | None = None
    potential: FloatArray | None = None
    projectors: dict[int, tuple[FloatArray, FloatArray]] = {}
    for l in sorted({*range(header.highest_l + 1), header.local}):
        count = counts[l] if l <= header.highest_l else 0
        if not count and l != header.local:
            continue
        first = [parse_number(word) for word in source.lines[row].split()[: 1 + count]]
        if first[0] != l or len(first) != 1 + count:
            raise ValueError
        table = source.table(row + 1, points, 2 + max(count, 1))
        row += 1 + points
        mesh = _uniform(table[:, 1])
        if count:
            projectors[l] = np.array(first[1:]), table[:, 2:]
        else:
            potential = table[:, 2]
    if mesh is None or potential is None:
        raise ValueError
    core = None
    if core_magnitude > _NO_CORE:
        table = source.table(row, points, 3)
        core = CoreCharge.from_table(_uniform(table[:, 1]), table[:, 2] / (4 * np.pi), end_of_core)

    weights *= mesh[1]
    return TabulatedPseudopotential(
        source.symbol,
        header.valence,
        tuple(_channel(l, energies, mesh, p, weights) for l, (energies, p) in projectors.items()),
        *local_part(mesh, potential, header.valence, weights),
        hashlib.sha256(source.text.encode()).hexdigest(),
        header.functional,
        core,
    )


def _uniform(r: FloatArray) -> FloatArray:
    step = r[1] - r[0]
    if r[0] != 0 or step <= 0 or np.abs(np.diff(r) - step).max() > _UNEVEN:
        raise ValueError
    return r


def _channel(
    l: int, energies: FloatArray, r: FloatArray, projectors: FloatArray, weights: FloatArray
) -> TabulatedChannel:
    trimmed = np.where(np.abs(projectors) > _TAIL, projectors, 0.0)
    return projector_channel(l, np.diag(energies), r, list(trimmed.T), weights)
