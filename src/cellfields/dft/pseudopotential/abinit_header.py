"""The header with which ABINIT's pseudopotential formats begin.

title;  zatom zion date;  pspcod pspxc lmax lloc mmax r2well
"""

from __future__ import annotations

from dataclasses import dataclass

from cellfields.dft.pseudopotential._functional import abinit_functional
from cellfields.dft.pseudopotential.source import HIGHEST_L, MOST_POINTS, Source


@dataclass(frozen=True)
class Header:
    """The numbers in lines two and three of a file.

    Attributes:
        valence: charge Z of the ion, ``zion``.
        format: ``pspcod``.
        functional: that of ``pspxc``: "lda", "pbe", or words for another one.
        highest_l: ``lmax``.
        local: l of the local potential, ``lloc``.
        points: number of points of the radial mesh, ``mmax``.
    """

    valence: float
    format: int
    functional: str
    highest_l: int
    local: int
    points: int

    @classmethod
    def read(cls, source: Source) -> Header:
        """The header of a file.

        Raises:
            InputError: the file is for another element.
            ValueError, IndexError: there is no such header.
        """
        atomic_number, valence = source.numbers(1, 2)
        code, functional, highest_l, local, points = (int(x) for x in source.numbers(2, 5))
        source.require_element(atomic_number)
        if not (0 < valence < 150 and -1 <= highest_l <= HIGHEST_L and 0 <= points <= MOST_POINTS):
            raise ValueError
        return cls(valence, code, abinit_functional(functional), highest_l, local, points)
