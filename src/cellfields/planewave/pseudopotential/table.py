"""Built-in pseudopotentials: LDA parameters as published in HGH, Phys. Rev. B 58, 3641 (1998), Table I.

Each entry: valence, r_loc, (C₁, C₂, …), then for each l the radius and the diagonal (h₁₁, h₂₂, …). The spin–orbit
parameters k are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ase.data import atomic_numbers

from cellfields.errors import InputError
from cellfields.planewave.pseudopotential._base import Pseudopotential
from cellfields.planewave.pseudopotential.gth import GTHChannel, GTHPseudopotential, hgh_coupling
from cellfields.planewave.pseudopotential.psp5 import read_psp5

_Entry = tuple[float, float, tuple[float, ...], tuple[tuple[float, tuple[float, ...]], ...]]

HGH_LDA: dict[str, _Entry] = {
    "Mg": (2, 0.651812, (-2.864297,), ((0.556478, (2.970957, 1.329941)), (0.677569, (1.049881,)))),
    "Al": (3, 0.450000, (-8.491351,), ((0.460104, (5.088340, 2.679700)), (0.536744, (2.193438,)))),
    "Si": (4, 0.440000, (-7.336103,), ((0.422738, (5.906928, 3.258196)), (0.484278, (2.727013,)))),
}


def builtin_pseudopotential(symbol: str) -> GTHPseudopotential:
    """The built-in HGH pseudopotential of an element.

    Raises:
        InputError: the element is not in the table.
    """
    if symbol not in HGH_LDA:
        raise InputError(
            f"pseudopotentials: there is no built-in one for {symbol} (built in: {', '.join(sorted(HGH_LDA))}); "
            "name a file"
        )
    valence, radius, coefficients, channels = HGH_LDA[symbol]
    return GTHPseudopotential(
        symbol,
        valence,
        radius,
        coefficients,
        tuple(GTHChannel(l, r, hgh_coupling(l, h)) for l, (r, h) in enumerate(channels)),
    )


def load_pseudopotential(
    symbol: str, files: Mapping[str, Path], local_channels: Mapping[str, int] | None = None
) -> Pseudopotential:
    """The pseudopotential of an element: from the file named for it, else the built-in one.

    Args:
        symbol: chemical symbol.
        files: symbol → file (ABINIT format 5).
        local_channels: symbol → l of the local potential, where it is not to be the file's own.

    Raises:
        InputError: no built-in one, or a file that cannot be used.
    """
    chosen = (local_channels or {}).get(symbol)
    if symbol in files:
        return read_psp5(symbol, atomic_numbers[symbol], Path(files[symbol]), chosen)
    if chosen is not None:
        raise InputError(f"local_channels.{symbol}: the built-in pseudopotential has a local part of its own")
    return builtin_pseudopotential(symbol)
