"""ABINIT's pseudopotential format 1 (Troullier–Martins files, .pspnc): semilocal, on Teter's mesh of 2,001 points.

Format (ABINIT's manual, "psp1"): title; zatom zion date; pspcod pspxc lmax lloc mmax r2well; then as in _semilocal.py.
r_i = 100 (i/2000 + 0.01)⁵ − 1e-8, i = 0 … 2000
"""

from __future__ import annotations

import numpy as np

from cellfields.dft.pseudopotential._semilocal import read_semilocal
from cellfields.dft.pseudopotential.abinit_header import Header
from cellfields.dft.pseudopotential.radial import gregory_weights
from cellfields.dft.pseudopotential.source import Source
from cellfields.dft.pseudopotential.tabulated import TabulatedPseudopotential

_POINTS = 2001


def read_psp1(source: Source, local_channel: int | None = None) -> TabulatedPseudopotential:
    """Read a file of format 1.

    Args:
        source: the file.
        local_channel: l of the local potential; None takes the file's ``lloc``.

    Raises:
        InputError: another element, several projectors of one l, or a missing local channel.
        ValueError, IndexError, ArithmeticError: not a complete file.
    """
    header = Header.read(source)
    if header.points != _POINTS:
        raise ValueError
    x = np.arange(_POINTS) / (_POINTS - 1) + 0.01
    r = 100 * x**5 - 1e-8
    r[0] = 0.0
    weights = gregory_weights(_POINTS) * 500 * x**4 / (_POINTS - 1)
    return read_semilocal(source, 3, r, weights, local_channel, every_wave=header.highest_l > 0)
