"""How many valence electrons a cell can have: each atom brings its nuclear charge less a core of closed shells.

    N = Σ_s n_s (Z_s − c_s) ,   c_s one of 0, 2, 4, 10, 12, 18, 28, …        n_s atoms of kind s, all with the same core

The cores are those of pseudopotentials in use (VASP's with and without _pv, _sv, _d; GTH, GBRV, ONCV, SG15, FHI): noble
gases, with or without the d and f shells that follow, and with the s but not the p electrons of the shell below the
valence (Mg_pv: 1s² 2s², eight electrons left). Magnesium has 2, 8, 10 or 12. Lanthanides and actinides, whose f
electrons may be frozen in any number, are taken to bring any number from one to all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ase.data import atomic_numbers

# electrons in the core → the lightest element that may have it: 2p¹ is no valence, but Na with 2s² in its core is
_CORES = {
    2: 3, 4: 11, 10: 11, 12: 19, 18: 19, 28: 29, 30: 37, 36: 37, 46: 47, 48: 55, 54: 55,
    60: 71, 62: 71, 68: 71, 78: 79, 80: 87, 86: 87,
}  # fmt: skip
_ANY_NUMBER = (range(57, 71), range(89, 119))


def valences(symbol: str) -> tuple[int, ...]:
    """Electrons that an ion of this element may bring, fewest first, all electrons last."""
    number = atomic_numbers[symbol]
    if any(number in elements for elements in _ANY_NUMBER):
        return tuple(range(1, number + 1))
    return tuple(sorted({number, *(number - core for core, lightest in _CORES.items() if number >= lightest)}))


def electron_counts(species: Sequence[str]) -> tuple[int, ...]:
    """Electrons that a neutral cell of these atoms may have, fewest first."""
    sums = {0}
    for symbol, count in Counter(species).items():
        sums = {total + count * valence for total in sums for valence in valences(symbol)}
    return tuple(sorted(sums))
