"""ABINIT's pseudopotential format 5: semilocal potentials and wavefunctions on a logarithmic mesh.

Format (ABINIT's manual, "psp5"): title; zatom zion date; pspcod pspxc lmax lloc mmax r2well; r1 al [pspso]; then as in
_semilocal.py.   r_i = r1 exp(al (i − 1))
"""

from __future__ import annotations

import numpy as np

from cellfields.dft.pseudopotential._semilocal import read_semilocal
from cellfields.dft.pseudopotential.abinit_header import Header
from cellfields.dft.pseudopotential.source import Source
from cellfields.dft.pseudopotential.tabulated import TabulatedPseudopotential


def read_psp5(source: Source, local_channel: int | None = None) -> TabulatedPseudopotential:
    """Read a file of format 5.

    Args:
        source: the file.
        local_channel: l of the local potential; None takes the file's ``lloc``.

    Raises:
        InputError: another element, spin–orbit terms, several projectors of one l, or a missing local channel.
        ValueError, IndexError, ArithmeticError: not a complete file.
    """
    points = Header.read(source).points
    first, step = source.numbers(3, 2)
    spin_orbit = source.lines[3].split()[2:3]
    if spin_orbit and spin_orbit[0].isdigit() and int(spin_orbit[0]) != 1:
        raise source.refuse("holds spin–orbit terms, which are not supported")
    if not (first > 0 and 0 < step < 1 and points >= 10):
        raise ValueError
    r = first * np.exp(step * np.arange(points))
    weights = r * step  # trapezoidal rule in the exponent, as the integrands vanish at the far end
    weights[0] *= 0.5
    return read_semilocal(source, 4, r, weights, local_channel, every_wave=False)
