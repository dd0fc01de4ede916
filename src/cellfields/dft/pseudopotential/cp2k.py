"""CP2K's text format of GTH pseudopotentials, of which a file may hold many (GTH_POTENTIALS).

    Si GTH-PBE-q4 GTH-PBE               element, name, other names
    2 2                                 electrons of s, p, d, …: their sum is the valence
    r_loc n C₁ … C_n
    number of channels
    r_l n h₁₁ … h₁n, and the rest of the upper triangle row by row                      (lines may break anywhere)

Source: the head of CP2K's data/GTH_POTENTIALS. The name says which functional it was made for: PADE is the LDA.
"""

from __future__ import annotations

import re

from cellfields.dft.pseudopotential._functional import named_functional
from cellfields.dft.pseudopotential.gth import GTHChannel, GTHPseudopotential, checked, symmetric
from cellfields.dft.pseudopotential.source import HIGHEST_L, Source
from cellfields.text import parse_number

ENTRY = re.compile(r"^[ \t]*([A-Z][a-z]?)[ \t]+((?:GTH|ALL)\S*)", re.MULTILINE)
_MOST_COEFFICIENTS = 4
_MOST_PROJECTORS = 3


def read_cp2k(source: Source, functional: str, valence: int | None = None) -> GTHPseudopotential:
    """Read the entry of a file's element that was made for a functional.

    Args:
        source: the file.
        functional: "lda" or "pbe".
        valence: electrons that the ion brings, where the file holds several entries.

    Raises:
        InputError: there is no such entry, or there are several; or it has a core correction or is all-electron.
        ValueError, IndexError, OverflowError: the entry is not complete.
    """
    text = re.sub(r"#.*", "", source.text)
    entries = list(ENTRY.finditer(text))
    of_element = []
    for i, entry in enumerate(entries):
        if entry[1] == source.symbol:
            end = entries[i + 1].start() if i + 1 < len(entries) else len(text)
            of_element.append((entry[2], text[entry.start() : end].splitlines()[1:]))
    if not of_element:
        raise source.refuse(f"holds no pseudopotential of {source.symbol}")
    fitting = [
        (name, lines)
        for name, lines in of_element
        if _functional(name) == functional and (valence is None or _valence(lines) == valence)
    ]
    if len(fitting) == 1:
        name, lines = fitting[0]
        return _parse(source, name, lines)
    names = ", ".join(name for name, _ in of_element)
    if not fitting:
        charge = "" if valence is None else f" and valence {valence}"
        raise source.refuse(f'holds none of {source.symbol} for functional = "{functional}"{charge}, only {names}')
    raise source.refuse(
        f'holds several of {source.symbol} for functional = "{functional}" ({", ".join(name for name, _ in fitting)}); '
        f"choose one with valences.{source.symbol}"
    )


def _functional(name: str) -> str:
    """The functional in the name of an entry: of GTH-PBE-q4, the part in the middle."""
    words = [word for word in name.upper().split("-")[1:] if not re.fullmatch(r"Q\d+", word)]
    return "lda" if words in (["PADE"], ["LDA"]) else named_functional(" ".join(words))


def _valence(lines: list[str]) -> int:
    return sum(int(word) for word in lines[0].split())


def _parse(source: Source, name: str, lines: list[str]) -> GTHPseudopotential:
    if name.startswith("ALL"):
        raise source.refuse(f"holds {name}, an all-electron potential, which is not supported")
    valence = _valence(lines)
    words = iter(" ".join(lines[1:]).split())

    def numbers(count: int) -> list[float]:
        return [parse_number(next(words)) for _ in range(count)]

    def size(most: int) -> int:
        count = int(next(words))
        if not 0 <= count <= most:
            raise ValueError
        return count

    try:
        (radius,) = numbers(1)
        coefficients = numbers(size(_MOST_COEFFICIENTS))
        word = next(words)
        if word == "NLCC":
            raise source.refuse(f"holds {name} with CP2K's core correction, which is not supported")
        channels = []
        for l in range(int(word)):
            if l > HIGHEST_L:
                raise ValueError
            (r,) = numbers(1)
            n = size(_MOST_PROJECTORS)
            upper = numbers(n * (n + 1) // 2)
            if any(upper):
                channels.append(GTHChannel(l, r, symmetric(upper)))
    except StopIteration:
        raise ValueError from None
    return checked(
        GTHPseudopotential(source.symbol, valence, radius, tuple(coefficients), tuple(channels), _functional(name))
    )
