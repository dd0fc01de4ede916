"""The header that ABINIT's pseudopotential formats begin with.

title;  zatom zion date;  pspcod pspxc lmax lloc mmax r2well
"""

from __future__ import annotations

from dataclasses import dataclass

from cellfields.dft.pseudopotential._functional import abinit_functional
from cellfields.dft.pseudopotential.source import HIGHEST_L, MOST_POINTS, Source


@dataclass(frozen=True)
class Header:
    """Lines two and three.

    Attributes:
        valence: Z.
        format: ``pspcod``.
        functional: what ``pspxc`` means.
        highest_l: ``lmax``.
        local: ``lloc``.
        points: ``mmax``.
    """

    valence: float
    format: int
    functional: str
    highest_l: int
    local: int
    points: int

    @classmethod
    def read(cls, source: Source) -> Header:
        """
        Raises:
            InputError: another element.
            ValueError, IndexError: not such a header.
        """
        atomic_number, valence = source.numbers(1, 2)
        code, functional, highest_l, local, points = (int(x) for x in source.numbers(2, 5))
        source.require_element(atomic_number)
        if not (0 < valence < 150 and -1 <= highest_l <= HIGHEST_L and 0 <= points <= MOST_POINTS):
            raise ValueError
        return cls(valence, code, abinit_functional(functional), highest_l, local, points)
