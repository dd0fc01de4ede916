"""The functional of a pseudopotential file, "lda" or "pbe", from the names that file formats write.

Any other functional keeps the words of its file, so that error messages can quote them. Fits of the local density
approximation differ by some 1e-5 Ha per electron and count as one.
"""

from __future__ import annotations

import re

_LDA_CODES = (1, 2, 3, 7)  # ABINIT's ixc: Teter, Perdew–Zunger, Teter, Perdew–Wang
_LIBXC_LDA = {(0, 20), *((1, c) for c in (7, 9, 10, 12, 13))}  # Teter; Slater's exchange with VWN, PZ and PW
_PBE_CODE = 11
_LIBXC_PBE = (101, 130)
_LDA_WORDS = ({"PZ"}, {"PW"}, {"LDA"}, {"VWN"}, {"SLA", "PZ"}, {"SLA", "PW"}, {"SLA", "VWN"}, {"SLA", "LDA"})
_PBE_WORDS = ({"PBE"}, {"SLA", "PW", "PBX", "PBC"}, {"SLA", "PW", "PBE"}, {"SLA", "PW", "PBX", "PBC", "PBE"})
_NOTHING = {"NOGX", "NOGC", "NONE", ""}


def abinit_functional(code: int) -> str:
    """The functional of ABINIT's ``pspxc``; a negative code holds libxc's numbers of exchange and correlation."""
    if code < 0:
        parts = divmod(-code, 1000)
        if parts in _LIBXC_LDA:
            return "lda"
        return "pbe" if parts == _LIBXC_PBE else f"ABINIT's functional {code}"
    if code in _LDA_CODES:
        return "lda"
    return "pbe" if code == _PBE_CODE else f"ABINIT's functional {code}"


def named_functional(words: str) -> str:
    """The functional of the words in a UPF or CP2K file, such as "SLA PW PBX PBC"."""
    parts = set(re.split(r"[\s+\-]+", words.strip().upper())) - _NOTHING
    if parts in _LDA_WORDS:
        return "lda"
    return "pbe" if parts in _PBE_WORDS else f'the functional "{" ".join(words.split())}"'
