"""Quantum ESPRESSO's UPF files of norm-conserving pseudopotentials, version 2 (attributes) and 1 (columns).

PP_R and PP_RAB: r_i and dr/di; PP_LOCAL: V_loc (Ry); PP_BETA: r β(r); PP_DIJ: D_ij (Ry), V_nl = Σ β_i D_ij β_j;
PP_NLCC: ρ_c. Sections are found by their tags and not by an XML parser, as PP_INFO often is not valid XML.
Source: Quantum ESPRESSO, "Unified Pseudopotential Format".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np

from cellfields._typing import FloatArray
from cellfields.dft.pseudopotential._functional import named_functional
from cellfields.dft.pseudopotential.core_charge import CoreCharge
from cellfields.dft.pseudopotential.radial import gregory_weights
from cellfields.dft.pseudopotential.source import (
    HIGHEST_L,
    MOST_POINTS,
    MOST_PROJECTORS,
    Source,
    finite,
)
from cellfields.dft.pseudopotential.tabulated import (
    TabulatedPseudopotential,
    local_part,
    projector_channel,
)
from cellfields.text import parse_number

_RYDBERG = 0.5  # Hartree
_LEAST_CORE = 1e-9  # electrons/Bohr³; where a core density ends
_LONGEST_HEADER = 20_000


@dataclass(frozen=True)
class _Header:
    """The header of either version; ``kind`` is NC, US, PAW, SL or 1/R."""

    element: str
    kind: str
    functional: str
    valence: float
    projectors: int
    core: bool
    spin_orbit: bool


@dataclass(frozen=True, eq=False)
class _Beta:
    l: int
    values: FloatArray


def read_upf(source: Source) -> TabulatedPseudopotential:
    """Read a UPF file.

    Raises:
        InputError: another element; PAW, ultrasoft, spin–orbit, semilocal, or a bare Coulomb potential.
        ValueError, IndexError, ArithmeticError: not a complete file.
    """
    text = source.text
    modern = "<UPF" in text
    header = _attributes_header(text) if modern else _columns_header(text)
    _refuse(source, header)
    r = _values(text, "PP_R")
    points = len(r)
    if points > MOST_POINTS or r[0] < 0 or not (np.diff(r) > 0).all() or not 0 < header.valence < 150:
        raise ValueError
    weights = gregory_weights(points) * _values(text, "PP_RAB", points)
    potential = _RYDBERG * _values(text, "PP_LOCAL", points)
    read = (_modern_nonlocal if modern else _old_nonlocal) if header.projectors else None
    betas, couplings = read(text, header.projectors, points) if read else ([], np.zeros((0, 0)))

    channels = []
    for l in sorted({beta.l for beta in betas}):
        rows = [i for i, beta in enumerate(betas) if beta.l == l]
        if len(rows) > MOST_PROJECTORS or not 0 <= l <= HIGHEST_L:
            raise ValueError
        coupling = _RYDBERG * couplings[np.ix_(rows, rows)]
        channels.append(projector_channel(l, coupling, r, [betas[i].values for i in rows], weights))
    return TabulatedPseudopotential(
        source.symbol,
        header.valence,
        tuple(channels),
        *local_part(r, potential, header.valence, weights, noisy=True),
        hashlib.sha256(text.encode()).hexdigest(),
        named_functional(header.functional),
        _core(r, _values(text, "PP_NLCC", points)) if header.core else None,
    )


def _refuse(source: Source, header: _Header) -> None:
    if header.element.strip().capitalize() != source.symbol:
        raise source.refuse(f"is for {header.element.strip()}, not for {source.symbol}")
    reasons = {
        "PAW": "was made with the PAW method",
        "US": "is ultrasoft",
        "USPP": "is ultrasoft",
        "SL": "holds semilocal potentials without Kleinman–Bylander projectors",
        "1/R": "is an all-electron Coulomb potential",
    }
    if header.kind != "NC":
        reason = reasons.get(header.kind, f'is of the type "{header.kind}"')
        raise source.refuse(f"{reason}; only norm-conserving separable pseudopotentials are supported")
    if not header.projectors and "<PP_SEMILOCAL" in source.text:
        raise source.refuse(f"{reasons['SL']}, which is not supported")
    if header.spin_orbit:
        raise source.refuse("holds spin–orbit projectors, which are not supported; take a scalar-relativistic file")


def _attributes_header(text: str) -> _Header:
    start = text.index("<PP_HEADER")
    attributes = _attributes(text[start:])

    def true(name: str) -> bool:
        return str(attributes.get(name, "F")).strip().strip(".").upper().startswith("T")

    kind = attributes["pseudo_type"].strip().upper() if "pseudo_type" in attributes else "NC"
    for flag, name in (("is_paw", "PAW"), ("is_ultrasoft", "US"), ("is_coulomb", "1/R")):
        if true(flag):
            kind = name
            break
    try:
        return _Header(
            attributes["element"],
            kind,
            attributes["functional"],
            parse_number(attributes["z_valence"]),
            int(attributes["number_of_proj"]),
            true("core_correction"),
            true("has_so"),
        )
    except KeyError as error:
        raise ValueError from error


def _columns_header(text: str) -> _Header:
    lines = _section(text, "PP_HEADER")[1].strip().splitlines()
    functional = lines[4].split("Exchange")[0]
    return _Header(
        lines[1].split()[0],
        lines[2].split()[0].upper(),
        functional,
        parse_number(lines[5].split()[0]),
        int(lines[10].split()[1]),
        lines[3].split()[0].upper().startswith("T"),
        "<PP_ADDINFO" in text,
    )


def _modern_nonlocal(text: str, count: int, points: int) -> tuple[list[_Beta], FloatArray]:
    if not 0 < count <= MOST_PROJECTORS * (HIGHEST_L + 1):
        raise ValueError
    betas = []
    for i in range(1, count + 1):
        head, body = _section(text, f"PP_BETA.{i}")
        attributes = _attributes(head)
        if "angular_momentum" not in attributes:
            raise ValueError
        end = int(attributes.get("cutoff_radius_index", "0")) or points
        betas.append(_Beta(int(attributes["angular_momentum"]), _padded(body.split(), min(end, points), points)))
    return betas, _values(text, "PP_DIJ", count * count).reshape(count, count)


def _old_nonlocal(text: str, count: int, points: int) -> tuple[list[_Beta], FloatArray]:
    """Projectors and couplings D (n, n) of version 1.

    Each PP_BETA holds "index l", the number of values, and the values; PP_DIJ a number of rows, and rows "i j D".
    """
    if not 0 < count <= MOST_PROJECTORS * (HIGHEST_L + 1):
        raise ValueError
    rest = _section(text, "PP_NONLOCAL")[1]
    betas = []
    for _ in range(count):
        _, body = _section(rest, "PP_BETA")
        rest = rest[rest.index("</PP_BETA") + 1 :]
        lines = body.strip().splitlines()
        end = int(lines[1].split()[0])
        betas.append(_Beta(int(lines[0].split()[1]), _padded(" ".join(lines[2:]).split(), end, points)))
    rows = _section(rest, "PP_DIJ")[1].strip().splitlines()
    couplings = np.zeros((count, count))
    for row in rows[1 : 1 + int(rows[0].split()[0])]:
        i, j, value = row.split()[:3]
        if not (1 <= int(i) <= count and 1 <= int(j) <= count):
            raise ValueError
        couplings[int(i) - 1, int(j) - 1] = couplings[int(j) - 1, int(i) - 1] = finite(value, ())
    return betas, couplings


def _padded(words: list[str], end: int, points: int) -> FloatArray:
    """Values (points,): the first ``end`` numbers of the words, then zeros."""
    if not 0 < end <= min(points, len(words)):
        raise ValueError
    result = np.zeros(points)
    result[:end] = finite(words[:end], (end,))
    return result


def _core(r: FloatArray, values: FloatArray) -> CoreCharge | None:
    inside = np.flatnonzero(np.abs(values) > _LEAST_CORE)
    return CoreCharge.from_table(r, values, float(r[inside[-1]])) if len(inside) else None


def _attributes(text: str) -> dict[str, str]:
    """The attributes name = "value" at the beginning of a text."""
    return dict(re.findall(r"\b(\w{1,64})\s*=\s*[\"']([^\"']*)[\"']", text[:_LONGEST_HEADER]))


def _values(text: str, tag: str, count: int | None = None) -> FloatArray:
    """The numbers (count,) of a section; all of them where ``count`` is None."""
    words = _section(text, tag)[1].split()
    return finite(words, (len(words) if count is None else count,))


def _section(text: str, tag: str) -> tuple[str, str]:
    """The attributes' text in the first opening tag of that name, and the text between it and the closing tag.

    Raises:
        ValueError: there is no such section.
    """
    opening = re.search(rf"<{re.escape(tag)}(?=[\s>])", text)
    if opening is None:
        raise ValueError
    body = text.index(">", opening.end())
    return text[opening.end() : body], text[body + 1 : text.index(f"</{tag}", body)]
