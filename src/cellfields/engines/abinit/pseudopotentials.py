"""Pseudopotential files for ABINIT: the user's, or parameters written out in ABINIT's format 10.

Files in ABINIT's formats are passed on unchanged, also those that the embedded engine cannot read, except that the
header of format 5 names the local channel, where another choice is written. The built-in table, and files of analytic
pseudopotentials in CP2K's format, are written in format 10 from the numbers that the embedded engine uses.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ase.data import atomic_numbers

from cellfields.dft.pseudopotential import GTHPseudopotential, load_pseudopotential
from cellfields.dft.pseudopotential.abinit_header import Header
from cellfields.dft.pseudopotential.source import Source
from cellfields.dft.settings import PlaneWaveSettings

_NORM_CONSERVING = (1, 2, 3, 4, 5, 6, 8, 9, 10)
_LOCAL_CHANNEL_IS_A_CHOICE = 5  # in format 1, which names the projectors too, one would be missing
_PSPXC = {"lda": 1, "pbe": 11}


@dataclass(frozen=True)
class PseudopotentialFile:
    """A pseudopotential file that ABINIT reads.

    Attributes:
        symbol: chemical symbol.
        name: of the file in a run folder.
        content: its bytes.
        valence: charge of the ion, the number of electrons that it brings.
    """

    symbol: str
    name: str
    content: bytes
    valence: float

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


def pseudopotential_file(symbol: str, settings: PlaneWaveSettings) -> PseudopotentialFile:
    """The pseudopotential file that ABINIT reads for an element.

    Raises:
        InputError: no built-in pseudopotential; a file that is missing, of another element or functional, PAW, or of an
            unknown format; or a local channel that cannot be chosen.
    """
    path = settings.pseudopotentials.get(symbol)
    source = None if path is None else Source.of_file(symbol, path)
    if source is not None and _has_header(source):
        return _in_abinits_format(source, settings)
    ion = load_pseudopotential(
        symbol,
        settings.pseudopotentials,
        settings.local_channels,
        functional=settings.functional,
        valences=settings.valences,
    )
    if isinstance(ion, GTHPseudopotential) or source is None:
        assert isinstance(ion, GTHPseudopotential)  # as all of the built-in table are
        return PseudopotentialFile(symbol, f"{symbol}.gth", format_10(ion).encode(), ion.valence)
    if ion.core_charge is not None:  # ABINIT 9.6.2 gets its forces and stress wrong by orders of magnitude
        raise source.refuse("is a UPF file with a core correction, which ABINIT misreads; take the psp8 file instead")
    return PseudopotentialFile(symbol, f"{symbol}.upf", source.text.encode(), ion.valence)


def _in_abinits_format(source: Source, settings: PlaneWaveSettings) -> PseudopotentialFile:
    symbol = source.symbol
    with source.complete("ABINIT pseudopotential"):
        header = Header.read(source)
    if header.format not in _NORM_CONSERVING:
        raise source.refuse(f"is of ABINIT format {header.format}; only norm-conserving pseudopotentials are supported")
    if header.functional != settings.functional:
        raise source.refuse(f'was made for {header.functional}, not for functional = "{settings.functional}"')
    if settings.valences.get(symbol, header.valence) != header.valence:
        raise source.refuse(f"is for an ion of charge {header.valence:g}, not {settings.valences[symbol]} (valences)")
    local_channel = settings.local_channels.get(symbol)
    text = source.text if local_channel is None else _with_local_channel(source, header, local_channel)
    return PseudopotentialFile(symbol, f"{symbol}.psp", text.encode(), header.valence)


def _has_header(source: Source) -> bool:
    """Whether the third line begins as those of ABINIT's formats do: pspcod pspxc lmax lloc mmax."""
    return len(source.lines) > 2 and re.match(r"\s*\d+([\s,]+-?\d+){4}", source.lines[2]) is not None


def format_10(ion: GTHPseudopotential) -> str:
    """A pseudopotential in ABINIT's format 10 ("HGHK"): local coefficients and full coupling matrices h.

    r_loc n C₁ … C_n; number of channels; for each l: r_l n h₁₁ … h₁n, then the rest of the upper triangle row by row,
    and for l > 0 the upper triangle of the spin–orbit coupling k, which is zero here.
    """
    channels = {channel.l: channel for channel in ion.channels}
    highest = max(channels, default=-1)
    lines = [
        f"{ion.symbol}: Goedecker-Teter-Hutter pseudopotential, written by cellfields",
        f"{atomic_numbers[ion.symbol]} {ion.valence:g} 0   zatom,zion,pspdat",
        f"10 {_PSPXC[ion.functional]} {max(highest, 0)} 0 2001 0   pspcod,pspxc,lmax,lloc,mmax,r2well",
        f"{ion.radius!r} {len(ion.coefficients)} {_row(ion.coefficients)}   rloc nloc c1 .. cn",
        f"{highest + 1}   number of channels",
    ]
    for l in range(highest + 1):
        channel = channels.get(l)
        h = [] if channel is None else channel.coupling.tolist()
        radius = 1.0 if channel is None else channel.radius
        rows = [_row(h[i][i:]) for i in range(len(h))] or [""]
        lines.append(f"{radius!r} {len(h)} {rows[0]}   r n h")
        lines += rows[1:]
        if l > 0:
            lines += [_row([0.0] * (len(h) - i)) + "   k" for i in range(len(h))]
    return "\n".join(lines) + "\n"


def _row(values: Sequence[float]) -> str:
    return " ".join(repr(float(x)) for x in values)


def _with_local_channel(source: Source, header: Header, local: int) -> str:
    """The text of a file with another local channel in its header.

    Raises:
        InputError: the format leaves no choice, or the file lacks the channel.
    """
    if header.format != _LOCAL_CHANNEL_IS_A_CHOICE:
        raise source.refuse("has a local part of its own for ABINIT; only its format 5 leaves local_channels a choice")
    if not 0 <= local <= header.highest_l:
        raise source.refuse(f"holds no channel l = {local} (0 … {header.highest_l}) for local_channels.{source.symbol}")
    lines = source.text.split("\n")
    lines[2] = re.sub(r"^(\s*\S+\s+\S+\s+\S+\s+)\S+", rf"\g<1>{local}", lines[2])
    return "\n".join(lines)
