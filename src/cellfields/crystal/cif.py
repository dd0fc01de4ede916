"""Atoms of a CIF block: its sites under its symmetry operations, compared with the formula that the file states.

    {x_i} = {W s + w  (mod 1) : (W, w) of the file, s a site}          Wᵀ G W = G,    G_ij = a_i · a_j

Operations are those that the file lists. Where it lists none they are spglib's for the Hall symbol, or for the
Hermann–Mauguin symbol with its origin choice or axes (``:1``, ``:2``, ``:H``, ``:R``; ICSD's ``S``, ``Z``, ``H``,
``R``), or for the number in its standard setting. Where several settings fit (two origins), the cell's metric G and
``_chemical_formula_sum`` times ``_cell_formula_units_Z`` choose between them; where they leave a choice, the file is
refused. ASE parses the tags; the order of the atoms is ASE's where ASE finds the same atoms.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from math import gcd
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.data import atomic_numbers
from ase.io.cif import CIFBlock, old_spacegroup_names, parse_cif_ase
from ase.spacegroup.spacegroup import parse_sitesym

from cellfields._typing import FloatArray, IntArray
from cellfields.errors import InputError
from cellfields.text import parse_number

SAME_SITE = 0.05  # Å: images of a site that are closer are one atom; coordinates are often rounded to three digits
_METRIC = 5e-3  # of the largest element of G
_CELL = [f"_cell_{x}" for x in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")]
_FRACTIONAL = [f"_atom_site_fract_{x}" for x in "xyz"]
_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_symmetry_equiv.pos_as_xyz",
)
_NUMBERS = ("_space_group_it_number", "_space_group.it_number", "_symmetry_int_tables_number")
_SYMBOLS = ("_space_group_name_h-m_alt", "_space_group.name_h-m_alt", "_symmetry_space_group_name_h-m")
_HALL = ("_space_group_name_hall", "_space_group.name_hall", "_symmetry_space_group_name_hall")
_ICSD_CHOICES = {"S": "1", "Z": "2", "H": "H", "R": "R"}
_STANDARD_CHOICES = {"", "1", "2", "H", "R", "b", "b1"}
_UNKNOWN = {"", "?", "."}
_HELP = "list the symmetry operations in the file (_space_group_symop_operation_xyz)"

Operations = tuple[IntArray, FloatArray]


def structures(text: str) -> list[Callable[[], Atoms]]:
    """For each block of a CIF text that holds sites, a function that makes the atoms of its whole cell (Å).

    Raises:
        ValueError, RuntimeError: the text is no CIF (from ASE's parser). The functions raise InputError where sites,
            symmetry and formula are missing, disagree, or leave several crystals possible.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blocks = list(parse_cif_ase(_Text(text)))
    return [
        partial(_atoms, block)
        for block in blocks
        if any(tag in block for tag in ("_atom_site_label", "_atom_site_type_symbol", *_FRACTIONAL))
    ]


class _Text:
    """A text with the method ``read`` that ASE's parser calls, its line ends made uniform."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        return self._text.replace("\r\n", "\n").replace("\r", "\n")


def _atoms(block: CIFBlock) -> Atoms:
    if any(tag.startswith(("_atom_site_moment", "_space_group_magn", "_space_group_symop_magn")) for tag in block):
        raise InputError("it holds magnetic moments: spin polarisation is not supported")
    cell = [_number(block.get(tag, "?"), tag) for tag in _CELL]
    symbols, sites = _sites(block)
    lattice = np.asarray(Atoms(cell=cell).cell.array, dtype=float)
    if not np.isfinite(lattice).all() or abs(np.linalg.det(lattice)) < 1e-3:
        raise InputError(f"its cell {', '.join(f'{x:g}' for x in cell)} spans no volume")
    return _in_order_of_ase(block, _expansion(block, lattice, symbols, sites))


# -- sites ------------------------------------------------------------------------------------------------------


def _sites(block: CIFBlock) -> tuple[list[str], FloatArray]:
    """Chemical symbols and fractional coordinates (n, 3) of the sites that the file lists."""
    columns = {tag: _column(block[tag]) for tag in block if tag.startswith("_atom_site_")}
    missing = [tag for tag in _FRACTIONAL if tag not in columns]
    if missing:
        raise InputError(f"its sites have no fractional coordinates ({missing[0]} is missing)")
    count = len(columns[_FRACTIONAL[0]])
    names = columns.get("_atom_site_label") or columns.get("_atom_site_type_symbol") or []
    if len(names) != count:
        raise InputError("its sites name no elements: _atom_site_type_symbol is missing")
    symbols, rows = [], []
    for i, name in enumerate(map(str, names)):
        types = columns.get("_atom_site_type_symbol")
        kind = str(types[i]) if types else name
        symbols.append(_element(kind, name, is_label=types is None))
        rows.append([_number(columns[tag][i], tag, f"site {name}: ") for tag in _FRACTIONAL])
        occupancy = columns.get("_atom_site_occupancy", [1] * count)[i]
        if str(occupancy).strip() not in _UNKNOWN:  # unknown means 1, as where the column is left out
            share = _number(occupancy, "_atom_site_occupancy", f"site {name}: ")
            if abs(share - 1) > 1e-3:
                raise InputError(_partial_occupancy_message(_shares(columns, i, rows, names), name, share))
        if str(columns.get("_atom_site_disorder_group", ["."] * count)[i]).strip() not in _UNKNOWN:
            raise InputError(f"site {name} belongs to a disorder group: order the crystal first")
        if str(columns.get("_atom_site_calc_flag", ["."] * count)[i]).strip().lower() == "dum":
            raise InputError(f"site {name} is a dummy site without an atom: remove it from the file")
    return symbols, np.array(rows)


def _shares(columns: Mapping[str, list[Any]], index: int, rows: list[list[float]], names: list[Any]) -> str:
    """The elements that share the place of a site, with their occupancies, as words for a message."""
    place = [str(columns[tag][index]) for tag in _FRACTIONAL]
    kinds = columns.get("_atom_site_type_symbol", names)
    same = [i for i in range(len(names)) if [str(columns[tag][i]) for tag in _FRACTIONAL] == place]
    return ", ".join(f"{re.sub('[^A-Za-z].*', '', str(kinds[i]))} {columns['_atom_site_occupancy'][i]}" for i in same)


def _partial_occupancy_message(shares: str, name: str, share: float) -> str:
    return (
        f"a site is occupied in part ({shares}): order the crystal first, for instance in a supercell "
        f"(site {name} has occupancy {share:g})"
    )


def _element(kind: str, name: str, *, is_label: bool) -> str:
    """The element of a site: ``Mg``, ``Mg2+``, ``O2-``, ``Fe+3``, ``Si1``; D and T are hydrogen."""
    ending = r"[A-Z0-9'*_()]*" if is_label else r"(\d*|\d*[+-]|[+-]\d+)"
    match = re.fullmatch(rf"([A-Z][a-z]?){ending}", kind.strip())
    symbol = match.group(1) if match else ""
    symbol = "H" if symbol in ("D", "T") else symbol
    if symbol not in atomic_numbers or symbol == "X":
        where = f"its label {kind!r}" if is_label else f"_atom_site_type_symbol {kind!r}"
        raise InputError(
            f"site {name}: {where} does not name one element; a site must hold one (Nb, Nb5+), "
            "mixed sites must be ordered first"
        )
    return symbol


def _column(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _number(value: Any, tag: str, where: str = "") -> float:
    text = re.sub(r"\(\d+\)?$", "", str(value).strip())  # without the uncertainty
    try:
        number = parse_number(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"{where}{tag} = {str(value)[:40]} is no number; write a decimal number")
    return number


# -- symmetry ---------------------------------------------------------------------------------------------------


def _expansion(block: CIFBlock, lattice: FloatArray, symbols: list[str], sites: FloatArray) -> Atoms:
    """All atoms of the cell, by the one set of operations that agrees with everything the file says."""
    stated = _settings(block)
    listed = _listed(block)
    if listed is not None:
        if not _keeps_metric(listed, lattice):
            raise InputError("the symmetry operations that it lists do not map its cell onto itself")
        atoms = _expand(listed, lattice, symbols, sites)
        _compare(block, atoms)
        orders = {len(_operations(hall)[0]) for hall in stated}
        if not _formula_units(block) and orders and len(listed[0]) not in orders:
            others = [_expand(_operations(hall), lattice, symbols, sites) for hall in stated]
            if not any(_same(atoms, other) for other in others):
                raise InputError(
                    f"it lists {len(listed[0])} symmetry operations where its space group has {max(orders)}, and no "
                    "formula that decides: list all operations, or add _chemical_formula_sum and _cell_formula_units_Z"
                )
        return atoms
    if not stated:
        if any(str(block.get(tag, "?")).strip() not in _UNKNOWN for tag in (*_SYMBOLS, *_HALL, *_NUMBERS)):
            raise InputError(f"its space group {_group(block)} is not known in this form: {_HELP}")
        stated = [1]  # P 1: the file states no symmetry, so it lists every atom
    fitting = [hall for hall in stated if _keeps_metric(_operations(hall), lattice)]
    if not fitting:
        raise InputError(f"its space group {_group(block)} does not fit the lengths and angles of its cell: {_HELP}")
    # A monoclinic cell with three right angles: the unique axis is b, unless the symbol says otherwise.
    fitting = [hall for hall in fitting if re.fullmatch(r"-?b\d?", _table()[hall].choice)] or fitting
    candidates: list[Atoms] = []
    refusals: list[InputError] = []
    for hall in fitting:
        try:
            atoms = _expand(_operations(hall), lattice, symbols, sites)
            _compare(block, atoms)
        except InputError as error:
            refusals.append(error)
            continue
        if not any(_same(atoms, other) for other in candidates):
            candidates.append(atoms)
    if not candidates:
        raise InputError(f"{refusals[0]}; {_HELP}, or correct the formula")
    if len(candidates) > 1:
        formulas = " or ".join(dict.fromkeys(a.get_chemical_formula() for a in candidates))
        raise InputError(
            f"its space group {_group(block)} has several settings (origins or axes), the file lists no operations, "
            f"and they make different crystals ({formulas}): {_HELP}"
        )
    return candidates[0]


def _group(block: CIFBlock) -> str:
    """The space group as the file states it, quoted for a message; '?' where it states none."""
    stated = (str(block[tag]) for tag in (*_SYMBOLS, *_HALL, *_NUMBERS) if tag in block)
    return repr(next((word for word in stated if word.strip() not in _UNKNOWN), "?")[:40])


def _value(block: CIFBlock, tags: tuple[str, ...]) -> str:
    values = (str(block[tag]).strip().strip("'\"").strip() for tag in tags if tag in block)
    return next((value for value in values if value not in _UNKNOWN), "")


def _listed(block: CIFBlock) -> Operations | None:
    for tag in _OPERATIONS:
        lines = [str(line).strip().strip("'\"") for line in _column(block.get(tag, []))]
        lines = [re.sub(r"^\d+\s+(?=\S)", "", line) for line in lines if line not in _UNKNOWN]
        if not lines:
            continue
        for line in lines:
            if not re.fullmatch(r"[xyzXYZ0-9+\-/., ]+", line) or line.count(",") != 2:
                raise InputError(f"its symmetry operation {line[:40]!r} cannot be read (as in 'x+1/2, -y, z')")
        rotations, shifts = parse_sitesym(lines)
        if not all(abs(round(float(np.linalg.det(w)))) == 1 for w in rotations):
            raise InputError("one of its symmetry operations is no rotation or reflection")
        return np.asarray(rotations), np.asarray(shifts)
    return None


def _settings(block: CIFBlock) -> list[int]:
    """Hall numbers (spglib's, 1 … 530) that the file's statements allow; empty where it makes none that is known."""
    hall = " ".join(_value(block, _HALL).replace("_", " ").split()).lower()
    for number, entry in _table().items():
        if hall and entry.hall_symbol.lower() == hall:
            return [number]
    stated = _value(block, _NUMBERS)
    allowed = [n for n, entry in _table().items() if not stated.isdigit() or entry.number == int(stated)]
    symbol, choice = _symbol_and_choice(_value(block, _SYMBOLS))
    named = [n for n in allowed if symbol and symbol in _names(n)]
    if symbol and not named and any(symbol in _names(n) for n in _table()):
        raise InputError(f"its space group symbol {_group(block)} does not belong to its number {stated}")
    if not named:
        if not stated.isdigit():
            return []
        named = [n for n in allowed if symbol or _table()[n].choice in _STANDARD_CHOICES]
    chosen = [n for n in named if choice and _table()[n].choice.upper() == choice]
    if choice and not chosen:
        raise InputError(f"its space group {_group(block)} has no setting {choice!r}: {_HELP}")
    return chosen or named


def _symbol_and_choice(text: str) -> tuple[str, str]:
    text = " ".join(text.replace("_", "").split())
    choice = ""
    if ":" in text:
        text, choice = (part.strip() for part in text.split(":", 1))
    elif match := re.fullmatch(r"(.+?)\s+([SZHR])S?", text):
        text, choice = match.group(1), _ICSD_CHOICES[match.group(2)]
    name = text.replace(" ", "")
    return old_spacegroup_names.get(name, name).lower(), choice.upper()


@cache
def _table() -> dict[int, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of spglib's old way to report errors
        return {number: spglib.get_spacegroup_type(number) for number in range(1, 531)}


@cache
def _names(hall: int) -> frozenset[str]:
    """Hermann–Mauguin symbols of one setting, without blanks and underscores.

    The short ones of monoclinic groups leave out the two axes without symmetry: P 1 21/n 1 is also P 21/n. What spglib
    puts before a ``=`` is the short symbol of the group's standard setting, which the others do not have.
    """
    entry = _table()[hall]
    alternatives = entry.international.split("=")
    names = [*(alternatives[1:] or alternatives), entry.international_full]
    if 3 <= entry.number <= 15:
        names.append("".join(word for word in entry.international_full.split() if word != "1"))
    elif entry.number >= 200:
        names += [name.replace("-3", "3") for name in alternatives]  # F m 3 m, before 1983
    return frozenset(re.sub(r"[\s_]", "", name).lower() for name in names)


@cache
def _operations(hall: int) -> Operations:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        operations = spglib.get_symmetry_from_database(hall)
    assert operations is not None  # the numbers are those of its table
    return np.asarray(operations["rotations"], dtype=np.int64), np.asarray(operations["translations"], dtype=float)


def _keeps_metric(operations: Operations, lattice: FloatArray) -> bool:
    metric = lattice @ lattice.T
    moved = np.einsum("nki,kl,nlj->nij", operations[0], metric, operations[0])
    return bool(np.abs(moved - metric).max() <= _METRIC * np.abs(metric).max())


def _expand(operations: Operations, lattice: FloatArray, symbols: list[str], sites: FloatArray) -> Atoms:
    """The atoms of every image of every site; images of two sites of the list that coincide are one atom."""
    species: list[str] = []
    places = np.zeros((0, 3))
    for symbol, site in zip(symbols, sites, strict=True):
        for image in (operations[0] @ site + operations[1]) % 1.0:
            difference = places - image
            distance = np.linalg.norm((difference - np.rint(difference)) @ lattice, axis=1)
            if (near := np.flatnonzero(distance < SAME_SITE)).size:
                if species[near[0]] != symbol:
                    raise InputError(f"an atom of {symbol} and one of {species[near[0]]} share a place")
                continue
            species.append(symbol)
            places = np.vstack([places, image])
    return Atoms(species, cell=lattice, scaled_positions=places, pbc=True)


# -- what the file says about the result ------------------------------------------------------------------------


def _formula_units(block: CIFBlock) -> tuple[Counter[str], int] | None:
    """The stated formula as whole numbers, and Z (0 where it is not stated); None without a formula of this kind."""
    text = _value(block, ("_chemical_formula_sum",))
    parts = re.findall(r"([A-Z][a-z]?)\s*(\d+(?:\.\d+)?)?", text)
    counts: Counter[str] = Counter()
    for symbol, number in parts:
        if float(number or 1) % 1:
            return None
        counts["H" if symbol in ("D", "T") else symbol] += int(float(number or 1))
    if not counts or any(symbol not in atomic_numbers for symbol in counts):
        return None
    units = _value(block, ("_cell_formula_units_z",))
    return counts, int(float(units)) if re.fullmatch(r"\d+(\.0*)?", units) else 0


def _compare(block: CIFBlock, atoms: Atoms) -> None:
    """Refuse atoms that are not Z formula units. The formula may also be the whole cell's, as some programs write it.

    Raises:
        InputError: the atoms of the cell do not agree with the formula and Z.
    """
    stated = _formula_units(block)
    if stated is None:
        return
    formula, units = stated
    counts = Counter(atoms.get_chemical_symbols())
    common = gcd(*formula.values())
    whole_cell = counts == formula and units in (0, common)
    if units and not whole_cell and counts != Counter({s: units * n for s, n in formula.items()}):
        raise InputError(
            f"the file says {_written(formula)} with Z = {units} formula units in the cell, but its sites and symmetry "
            f"make {_written(counts)}"
        )
    atoms_common = gcd(*counts.values())
    if {s: n // common for s, n in formula.items()} != {s: n // atoms_common for s, n in counts.items()}:
        raise InputError(
            f"the file's formula is {_written(formula)}, but its sites and symmetry make {_written(counts)}"
        )


def _written(counts: Counter[str]) -> str:
    """Element counts as a formula, in alphabetic order."""
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in sorted(counts.items()))


def _same(one: Atoms, other: Atoms) -> bool:
    """Whether two structures hold the same atoms in the same cell, in any order."""
    return _permutation(one, other) is not None


def _permutation(one: Atoms, other: Atoms) -> list[int] | None:
    """Index in ``one`` of each atom of ``other``, or None where cells or atoms differ."""
    if len(one) != len(other) or not np.allclose(one.cell.array, other.cell.array, atol=1e-6):
        return None
    difference = other.get_scaled_positions()[:, None] - one.get_scaled_positions()[None, :]
    distance = np.linalg.norm((difference - np.rint(difference)) @ one.cell.array, axis=2)
    order = distance.argmin(axis=1)
    far = distance[np.arange(len(order)), order].max(initial=0.0) > SAME_SITE
    if far or len(set(order.tolist())) != len(order) or (one.numbers[order] != other.numbers).any():
        return None
    return [int(i) for i in order]


def _in_order_of_ase(block: CIFBlock, atoms: Atoms) -> Atoms:
    """Atoms in the order of ASE's reader, where it finds the same ones, so that older datasets stay valid."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ase_atoms: Atoms = block.get_atoms(fractional_occupancies=False)
    except Exception:  # ASE cannot read the block: the order of the expansion stands
        return atoms
    if not _same(atoms, ase_atoms):
        return atoms
    return Atoms(
        ase_atoms.numbers, cell=ase_atoms.cell, scaled_positions=ase_atoms.get_scaled_positions(wrap=False), pbc=True
    )
