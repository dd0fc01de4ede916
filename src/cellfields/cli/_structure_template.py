"""The study file that ``cellfields init --structure`` writes: the user's crystal with suggested settings.

    kmesh_i = ⌈ |b_i| / Δk ⌉      b_i: reciprocal vectors with the factor 2π, Δk: the spacing of the k points

Δk is 0.20 Å⁻¹ for metals and 0.35 Å⁻¹ for other crystals. Whether a crystal is a metal is guessed from its elements, as
the file says; ``cellfields converge`` checks the settings.
"""

from __future__ import annotations

import json

import numpy as np

from cellfields._typing import FloatArray
from cellfields.crystal import Crystal
from cellfields.dft.unmodelled import missing_physics
from cellfields.errors import CellFieldsError
from cellfields.units import ANGSTROM

METAL_SPACING, OTHER_SPACING = 0.20, 0.35  # 1/Å
SAFE_CUTOFF = 60.0  # Hartree; for crystals with an element that has no built-in pseudopotential
_NONMETALS = frozenset(
    "H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Te I Xe At Rn".split()  # noqa: SIM905 (a row of the table)
)


def structure_template(crystal: Crystal, structure: str, file_name: str, index: int | None) -> str:
    """Text of a study file (TOML) of one crystal, with comments.

    Args:
        crystal: the crystal in the structure file.
        structure: path of the structure file, absolute or relative to the study file.
        file_name: name of the study file, for the commands in its comments.
        index: index of the structure in the file, or None where it holds one.
    """
    metal = looks_metallic(crystal)
    spacing = METAL_SPACING if metal else OTHER_SPACING
    cutoff, reason = first_cutoff(crystal)
    which = f"structure_index = {index}\n" if index is not None else ""
    left_out = "".join(f"# Left out: {sentence}.\n" for sentence in missing_physics(crystal))
    kind = "a metal" if metal else "no metal"
    gap = '"none" for insulators' if metal else '"none" if the gap stays at every strain'
    edges = ", ".join(f"{x * ANGSTROM:.4f}" for x in np.linalg.norm(crystal.lattice_ref, axis=1))
    engine = [
        _row("[engine]", "how each strained cell is solved"),
        _row(f"cutoff = {cutoff:g}", f"Hartree; {reason}"),
        _row(f"# cutoff_smoothing = {0.1 * cutoff:.2g}", "F smooth in strain, stress = dF/dD; full plane waves only"),
        _row(
            f"kmesh = {list(mesh(crystal.lattice_ref, spacing))}",
            f"points at most {spacing:g} per Å apart, as for {kind} (a guess from the elements)",
        ),
        _row('smearing = "fermi-dirac"', f'or "cold", "gaussian"; {gap}'),
    ]
    return f"""\
# {formula(crystal)}, edges {edges} Å: strain in, electronic fields out.
#
# cellfields converge {file_name}: first, whether the cutoff and the k points are enough
# cellfields label {file_name} --dry-run: then, what the campaign will take
# cellfields run {file_name}
#
# Hartree atomic units: lengths in Bohr, energies in Hartree; angles in degrees. Paths are relative to this file.
# A key that is not known is refused, so a typing error cannot go unnoticed.
{left_out}
[crystal]
structure = {json.dumps(structure, ensure_ascii=False)}
{which}
{chr(10).join(engine)}
smearing_width = 0.01                           # Hartree
# functional = "pbe"                            # without it: "lda"
# [engine.pseudopotentials]                     # without it: the built-in table, H to Rn

[sampling]                                      # λ ~ 1 ± stretch_sigma, θ ~ θ⁰ ± angle_sigma, cut at `cut` sigma
train = 48                                      # strains to learn from (drawn with seed)
test = 16                                       # strains to be judged by (drawn with seed + 1)
seed = 1
stretch_sigma = 0.02
angle_sigma = 1.2                               # degrees
cut = 2.0

[surrogate]
name = "best"                                   # polynomials that learn from symmetry images and stress too
degree = 4                                      # of the polynomials; 7 for hundreds of strains
blend = 1                                       # how many degrees are averaged; 2 for hundreds of strains

[output]
directory = "run"                               # dataset/, model.safetensors, evaluation.json, report.html
workers = 2                                     # solves at a time
"""


def _row(text: str, comment: str) -> str:
    return f"{text:<48}# {comment}"


def mesh(lattice: FloatArray, spacing: float) -> tuple[int, int, int]:
    """Points along each axis of the smallest Γ-centred k mesh with a given spacing.

    Args:
        lattice: (3, 3) rows are lattice vectors, Bohr.
        spacing: largest distance of neighbouring points along an axis, 1/Å, with the factor 2π.
    """
    lengths = np.linalg.norm(2 * np.pi * np.linalg.inv(lattice), axis=0) / ANGSTROM
    n1, n2, n3 = (max(1, int(np.ceil(length / spacing - 1e-9))) for length in lengths)
    return n1, n2, n3


def looks_metallic(crystal: Crystal) -> bool:
    """Whether all elements of the crystal are metals; a crystal with a nonmetal is assumed to be no metal."""
    return not _NONMETALS & set(crystal.species)


def first_cutoff(crystal: Crystal) -> tuple[float, str]:
    """A first cutoff, Hartree, that the built-in pseudopotentials need, and a phrase that says where it comes from."""
    from cellfields.dft.pseudopotential import load_pseudopotential
    from cellfields.dft.pseudopotential.suggested_cutoff import suggested_cutoff

    try:
        needs = {s: suggested_cutoff(load_pseudopotential(s, {})) for s in dict.fromkeys(crystal.species)}
    except CellFieldsError:  # an element without a built-in pseudopotential
        return SAFE_CUTOFF, "enough for most elements, less for many: converge says"
    hardest = max(needs, key=lambda symbol: needs[symbol])
    return needs[hardest], f"what the built-in pseudopotential of {hardest} needs (converge checks it)"


def formula(crystal: Crystal) -> str:
    """Elements and counts of the cell, in the crystal's order."""
    counts = {symbol: crystal.species.count(symbol) for symbol in dict.fromkeys(crystal.species)}
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in counts.items())
