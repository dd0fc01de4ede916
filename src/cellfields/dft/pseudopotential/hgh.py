"""ABINIT's files of analytic pseudopotentials: formats 2 (GTH), 3 (HGH) and 10 (HGH with all couplings written out).

After the header (title; zatom zion date; pspcod pspxc lmax lloc …), words after the numbers of a line being comments:
    2, 3   r_loc C₁ C₂ C₃ C₄; for each l ≤ lmax  r_l h₁₁ h₂₂ h₃₃  and, in format 3 for l > 0, a line k₁₁ k₂₂ k₃₃
    10     r_loc n C₁ … C_n; number of channels; for each  r_l n h₁₁ … h₁n, then the rest of the upper triangle row by
           row, and for l > 0 the upper triangle of k
The spin–orbit terms k are left out, as there is no spin. Source: ABINIT's manual, "Psp_infos".
"""

from __future__ import annotations

import numpy as np

from cellfields.dft.pseudopotential.abinit_header import Header
from cellfields.dft.pseudopotential.gth import GTHChannel, GTHPseudopotential, checked, hgh_coupling, symmetric
from cellfields.dft.pseudopotential.source import HIGHEST_L, Source

_GTH, _HGH = 2, 3
_MOST_COEFFICIENTS = 4
_MOST_PROJECTORS = 3


def read_hgh(source: Source) -> GTHPseudopotential:
    """Read a file of format 2 or 3.

    Raises:
        InputError: another element.
        ValueError, IndexError: not a complete file.
    """
    header = Header.read(source)
    radius, *coefficients = source.numbers(3, 1 + _MOST_COEFFICIENTS)
    row, channels = 4, []
    for l in range(header.highest_l + 1):
        # GTH has two projectors of l = 0 and one of l = 1, uncoupled; HGH three of each l, coupled by their diagonal.
        count = max(2 - l, 0) if header.format == _GTH else _MOST_PROJECTORS
        r, *diagonal = source.numbers(row, 1 + count)
        row += 2 if header.format == _HGH and l > 0 else 1
        elements = _without_trailing_zeros(diagonal)
        if elements:
            coupling = np.diag(elements) if header.format == _GTH else hgh_coupling(l, elements)
            channels.append(GTHChannel(l, r, coupling))
    local = _without_trailing_zeros(coefficients)
    return checked(
        GTHPseudopotential(source.symbol, _whole(header.valence), radius, local, tuple(channels), header.functional)
    )


def read_hghk(source: Source) -> GTHPseudopotential:
    """Read a file of format 10.

    Raises:
        InputError: another element.
        ValueError, IndexError: not a complete file.
    """
    header = Header.read(source)
    count = int(source.numbers(3, 2)[1])
    if not 0 <= count <= _MOST_COEFFICIENTS:
        raise ValueError
    radius, _, *coefficients = source.numbers(3, 2 + count)
    highest = int(source.numbers(4, 1)[0])
    if not 0 <= highest <= HIGHEST_L + 1:
        raise ValueError
    row, channels = 5, []
    for l in range(highest):
        r, n = source.numbers(row, 2)
        count = int(n)
        if not 0 <= count <= _MOST_PROJECTORS:
            raise ValueError
        upper = source.numbers(row, 2 + count)[2:]
        for i in range(1, count):
            upper += source.numbers(row + i, count - i)
        row += max(count, 1) + (count if l > 0 else 0)
        if any(upper):
            channels.append(GTHChannel(l, r, symmetric(upper)))
    return checked(
        GTHPseudopotential(
            source.symbol, _whole(header.valence), radius, tuple(coefficients), tuple(channels), header.functional
        )
    )


def _without_trailing_zeros(values: list[float]) -> tuple[float, ...]:
    return tuple(np.trim_zeros(values, "b"))


def _whole(valence: float) -> float:
    """The valence, as an integer where it is one, so that fingerprints agree with those of the built-in table."""
    return int(valence) if valence == int(valence) else valence
