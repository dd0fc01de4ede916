"""Loading pseudopotentials from the file named for an element, in any supported format, or from the built-in table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cellfields.dft.pseudopotential._base import Pseudopotential
from cellfields.dft.pseudopotential.cp2k import ENTRY, read_cp2k
from cellfields.dft.pseudopotential.hgh import read_hgh, read_hghk
from cellfields.dft.pseudopotential.psp1 import read_psp1
from cellfields.dft.pseudopotential.psp5 import read_psp5
from cellfields.dft.pseudopotential.psp8 import read_psp8
from cellfields.dft.pseudopotential.source import Source
from cellfields.dft.pseudopotential.table import builtin_pseudopotential
from cellfields.dft.pseudopotential.upf import read_upf
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.errors import InputError

_SEMILOCAL: dict[int, Callable[[Source, int | None], Pseudopotential]] = {1: read_psp1, 5: read_psp5}
_SEPARABLE: dict[int, Callable[[Source], Pseudopotential]] = {2: read_hgh, 3: read_hgh, 8: read_psp8, 10: read_hghk}
_ABINIT_PAW, _PAW = (7, 17), ", made with the PAW method"
_REFUSED = {
    "<paw_": "was made with the PAW method",
    "VRHFIN": "is a POTCAR of VASP, made with the PAW method",
    "<psml": "is in the PSML format",
}
_HEADER = re.compile(r"[^\n]*\n[ \t]*[\d.][^\n]*\n[ \t]*(\d{1,3})(?:[ \t,]+[-+]?\d+){4}")
_BEGINNING = 4000  # characters that are searched for the signs of a format
_KINDS = "ABINIT's formats 1, 2, 3, 5, 8 and 10, UPF, and CP2K's GTH text"


def load_pseudopotential(
    symbol: str,
    files: Mapping[str, Path],
    local_channels: Mapping[str, int] | None = None,
    *,
    functional: str = "lda",
    valences: Mapping[str, int] | None = None,
) -> Pseudopotential:
    """The pseudopotential of an element: from the file named for it, else the built-in one.

    Args:
        symbol: chemical symbol.
        files: symbol → file.
        local_channels: symbol → l of the local potential, where it is not the file's choice.
        functional: of the calculation, "lda" or "pbe".
        valences: symbol → electrons that the ion brings, where there is a choice.

    Raises:
        InputError: there is no built-in one, or the file's format, functional, valence or local channel does not fit.
    """
    local_channel, valence = (local_channels or {}).get(symbol), (valences or {}).get(symbol)
    if symbol not in files:
        if local_channel is not None:
            raise InputError(f"local_channels.{symbol}: the built-in pseudopotential has a local part of its own")
        return builtin_pseudopotential(symbol, functional, valence)
    source = Source.of_file(symbol, Path(files[symbol]))
    ion = read_pseudopotential(source, functional, local_channel=local_channel, valence=valence)
    if ion.functional != functional:
        made_for = f'functional = "{ion.functional}"' if ion.functional in ("lda", "pbe") else ion.functional
        raise source.refuse(f'was made for {made_for}, not for functional = "{functional}"')
    if valence is not None and ion.valence != valence:
        raise InputError(f"valences.{symbol} = {valence}: {files[symbol]} is for an ion of charge {ion.valence:g}")
    return ion


def load_pseudopotentials(species: Sequence[str], settings: PlaneWaveSettings) -> dict[str, Pseudopotential]:
    """The pseudopotentials of all elements among ``species``, symbol → pseudopotential.

    They come from the files that the settings name, else from the built-in table.

    Raises:
        InputError: an element has no built-in one, or a file cannot be used.
    """
    return {
        symbol: load_pseudopotential(
            symbol,
            settings.pseudopotentials,
            settings.local_channels,
            functional=settings.functional,
            valences=settings.valences,
        )
        for symbol in dict.fromkeys(species)
    }


def read_pseudopotential(
    source: Source, functional: str = "lda", *, local_channel: int | None = None, valence: int | None = None
) -> Pseudopotential:
    """The pseudopotential in a file of any supported format.

    Args:
        source: the file.
        functional: "lda" or "pbe", which chooses where the file holds several.
        local_channel: l of the local potential, for formats that leave a choice; None takes the file's.
        valence: electrons that the ion brings, which chooses where the file holds several.

    Raises:
        InputError: the file is of no known format, not complete, or of a kind that the engines cannot use.
    """
    code = _abinit_format(source)
    if code in _SEMILOCAL:
        with source.complete(f"ABINIT format-{code}"):
            return _SEMILOCAL[code](source, local_channel)
    if local_channel is not None:
        raise source.refuse("has a local part of its own; only ABINIT's formats 1 and 5 leave local_channels a choice")
    if code in _SEPARABLE:
        with source.complete(f"ABINIT format-{code}"):
            return _SEPARABLE[code](source)
    if code is not None:
        raise source.refuse(f"is of ABINIT format {code}{_PAW if code in _ABINIT_PAW else ''}; supported are {_KINDS}")
    if "<PP_HEADER" in source.text:
        with source.complete("UPF"):
            return read_upf(source)
    if ENTRY.search(source.text):
        with source.complete("CP2K GTH"):
            return read_cp2k(source, functional, valence)
    for sign, what in _REFUSED.items():
        if sign in source.text[:_BEGINNING]:
            raise source.refuse(f"{what}; supported are {_KINDS}")
    raise source.refuse(f"is not a pseudopotential file of a known format; supported are {_KINDS}")


def _abinit_format(source: Source) -> int | None:
    """ABINIT's format ``pspcod``, the first number of the third line, or None where the file has no such header."""
    match = _HEADER.match(source.text)
    return int(match[1]) if match else None
