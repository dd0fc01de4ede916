"""Built-in pseudopotentials of Goedecker, Teter, Hutter and Hartwigsen: tables of numbers in parameters.json.

LDA: C. Hartwigsen, S. Goedecker, J. Hutter, Phys. Rev. B 58, 3641 (1998), Table I. PBE: M. Krack, Theor. Chem. Acc.
114, 145 (2005). The spin–orbit parameters are left out. Of an element with several valences the first in the table is
the default: with its semicore shell where bonding needs it at an affordable cutoff, without it elsewhere.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from cellfields.dft.pseudopotential.gth import GTHChannel, GTHPseudopotential, hgh_coupling, symmetric
from cellfields.errors import InputError


@cache
def _table(functional: str) -> dict[str, list[dict[str, Any]]]:
    text = files(__package__).joinpath("parameters.json").read_text(encoding="utf-8")
    elements: dict[str, list[dict[str, Any]]] = json.loads(text)[functional]["elements"]
    return elements


def builtin_elements(functional: str = "lda") -> dict[str, tuple[int, ...]]:
    """Valences that the built-in table holds of each element, symbol → numbers of electrons, the default first."""
    return {symbol: tuple(entry["valence"] for entry in entries) for symbol, entries in _table(functional).items()}


def builtin_pseudopotential(symbol: str, functional: str = "lda", valence: int | None = None) -> GTHPseudopotential:
    """The built-in pseudopotential of an element.

    Args:
        symbol: chemical symbol.
        functional: "lda" or "pbe".
        valence: electrons that the ion brings, where the table has several; None takes its default.

    Raises:
        InputError: the element, or that valence of it, is not in the table.
    """
    valences = builtin_elements(functional)
    if symbol not in valences:
        raise InputError(
            f'pseudopotentials: there is no built-in one for {symbol} and functional = "{functional}" (built in: '
            f"{', '.join(valences)}); name a file"
        )
    if valence is not None and valence not in valences[symbol]:
        raise InputError(
            f"valences.{symbol} = {valence}: the built-in pseudopotentials have {', '.join(map(str, valences[symbol]))}"
        )
    entry = _table(functional)[symbol][0 if valence is None else valences[symbol].index(valence)]
    return GTHPseudopotential(
        symbol,
        entry["valence"],
        entry["radius"],
        tuple(entry["local"]),
        tuple(_channel(**channel) for channel in entry["channels"]),
        functional,
    )


def _channel(
    l: int, radius: float, diagonal: list[float] | None = None, upper: list[float] | None = None
) -> GTHChannel:
    coupling = hgh_coupling(l, tuple(diagonal)) if diagonal is not None else symmetric(upper or [])
    return GTHChannel(l, radius, coupling)
