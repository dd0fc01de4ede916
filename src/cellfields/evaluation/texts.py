"""Numbers, ratios, lists and chemical formulas as texts for people.

0.012345 → 0.0123        0.0643 → 6.4 %        ("O", "Mg", "O", "Mg") → MgO, 2 formula units (4 atoms)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import gcd

import numpy as np

# Order in which non-metals are written, after the metals (IUPAC, Nomenclature of Inorganic Chemistry, Red Book 2005,
# Table VI, the convention for binary compounds); metals keep the order in which the crystal names them.
_NON_METALS = (
    *("Rn", "Xe", "Kr", "Ar", "Ne", "He", "B", "Si", "C", "Sb", "As", "P", "N"),
    *("H", "Te", "Se", "S", "At", "I", "Br", "Cl", "O", "F"),
)


def number(value: float) -> str:
    """A number with three significant digits, with an exponent below 0.001 and from 10,000 on."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        digits = max(0, 2 - int(np.floor(np.log10(abs(value))))) if value else 0
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def percent(ratio: float) -> str:
    """A ratio as two digits and a per cent sign: 0.0643 → 6.4 %."""
    return f"{100 * ratio:.0f} %" if ratio >= 0.0995 else f"{100 * ratio:.2g} %"


def listed(names: Sequence[str]) -> str:
    """Names as one phrase, "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def formula(species: Sequence[str]) -> tuple[str, int]:
    """Reduced formula of a cell's species, and the number of formula units in the cell: ("MgO", 4) for 4 Mg and 4 O."""
    counts = {symbol: list(species).count(symbol) for symbol in species}
    units = reduce(gcd, counts.values())
    order = sorted(counts, key=lambda s: _NON_METALS.index(s) if s in _NON_METALS else -1)
    return "".join(f"{s}{counts[s] // units if counts[s] > units else ''}" for s in order), units


def cell_contents(species: Sequence[str]) -> str:
    """The content of one cell in words: "4 atoms" of an element, "4 formula units (8 atoms)" of a compound."""
    _, units = formula(species)
    atoms = f"{len(species)} atom{'s' if len(species) > 1 else ''}"
    if len(set(species)) == 1:
        return atoms
    return f"{units} formula unit{'s' if units > 1 else ''} ({atoms})"
