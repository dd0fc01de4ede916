"""A model's card: its training data and settings, its errors on unseen strains, and its training domain.

The card is Markdown, made from the model's own metadata and an evaluation on strains that it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cellfields.crystal.deformation import SYMBOLS
from cellfields.dft.unmodelled import missing_physics
from cellfields.engines.identity import EngineIdentity
from cellfields.evaluation.accuracy import QUANTITIES, EngineErrors, Evaluation
from cellfields.evaluation.texts import cell_contents, formula, number
from cellfields.state.quantities import FIELDS
from cellfields.surrogate import Surrogate
from cellfields.units import ANGSTROM, EV

_STATISTICS = {"mean": "mean", "median": "median", "p99": "99 %", "max": "largest"}


def model_card(
    surrogate: Surrogate,
    evaluation: Evaluation,
    errors: EngineErrors,
    *,
    title: str,
    data: str,
    remarks: Sequence[str] = (),
) -> str:
    """The card as Markdown.

    Args:
        surrogate: the model.
        evaluation: true values on the test strains; its engines are plain baselines, the best of which is shown beside
            each error of the model.
        errors: errors of the model on these test strains.
        title: headline of the card.
        data: a sentence about the origin of the training and test strains.
        remarks: sentences that come first, for example that the model is preliminary.
    """
    parts = [
        f"# {title}",
        *remarks,
        _summary(surrogate),
        *(f"**Left out:** {sentence}." for sentence in missing_physics(surrogate.crystal)),
        "## Data",
        data,
        _table(("", ""), _settings(surrogate)),
        f"## Errors on {len(evaluation.deformations)} unseen strains",
        _inside(surrogate, evaluation),
        _table(_columns(evaluation), _errors(evaluation, errors)),
        "## Domain",
        "A strain is inside where each component lies in this box and no farther out, in all six together (Mahalanobis "
        "distance), than the outermost training strain. Outside, predictions are flagged: extrapolations.",
        _table(("", "from", "to"), _box(surrogate)),
    ]
    if surrogate.unknown:
        parts.insert(2, f"It does not predict {', '.join(surrogate.unknown)}: its training states do not hold them.")
    return "\n\n".join(parts) + "\n"


def _summary(surrogate: Surrogate) -> str:
    crystal, metadata = surrogate.crystal, surrogate.metadata
    fields = (FIELDS[name].symbol if name in FIELDS else name for name in surrogate.encoding.reductions)
    return (
        f"Deformation of a cell of {formula(crystal.species)[0]} ({cell_contents(crystal.species)}) in; "
        f"{', '.join(('relaxed atoms', *fields, 'energies and stress'))} out. Recipe "
        f'"{surrogate.recipe.name}", {metadata["n_train"]} training states'
        f"{_modes(surrogate)}, cellfields {metadata['cellfields_version']}."
    )


def _modes(surrogate: Surrogate) -> str:
    sizes = sorted({reduction.size for reduction in surrogate.encoding.reductions.values()})
    return "" if not sizes else f", {' to '.join(map(str, sizes[:: max(1, len(sizes) - 1)]))} modes a field"


def _settings(surrogate: Surrogate) -> list[tuple[str, ...]]:
    identity = surrogate.labelled_by or EngineIdentity()
    settings = identity.settings if identity.has_settings else identity.table
    rows: list[tuple[str, ...]] = [("engine", identity.kind)]
    names = ("cutoff", "kmesh", "smearing", "smearing_width", "functional", "basis_tolerance", "force_tolerance")
    rows += [(name, _plain(settings[name])) for name in names if name in settings]
    lengths = [float((row**2).sum() ** 0.5) * ANGSTROM for row in surrogate.crystal.lattice_ref]
    rows.append(("reference cell, Å", ", ".join(f"{x:.4f}" for x in lengths)))
    if surrogate.metadata.get("slopes"):
        rows.append(("the free energy's slopes (stress)", str(surrogate.metadata["slopes"])))
    return [*rows, ("energies", f"Hartree per cell of {surrogate.crystal.n_atoms} atoms (1 Ha = {EV:.4f} eV)")]


def _plain(value: Any) -> str:
    return " × ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}"


def _inside(surrogate: Surrogate, evaluation: Evaluation) -> str:
    outside = int((~surrogate.domain.contains(evaluation.deformations)).sum())
    return f"{outside} of them lie outside the domain below; they are counted." if outside else "All lie in the domain."


def _columns(evaluation: Evaluation) -> tuple[str, ...]:
    baseline = ("best plain baseline",) if evaluation.engines else ()
    return ("error in", "spread", *_STATISTICS.values(), *baseline)


def _errors(evaluation: Evaluation, errors: EngineErrors) -> list[tuple[str, ...]]:
    rows = []
    for name, spread in evaluation.spread.items():
        if name in errors.errors:
            shown, statistics = QUANTITIES[name], errors.summary(name)
            values = (spread.standard_deviation, *(statistics[key] for key in _STATISTICS))
            cells = [number(shown.scale * value) for value in values]
            if evaluation.engines:
                best = evaluation.best_baseline(name)
                mean = None if best is None else shown.scale * evaluation.engines[best].summary(name)["mean"]
                cells.append("—" if mean is None else f"{number(mean)} ({best})")
            rows.append((f"{shown.label}, {shown.unit}", *cells))
    return rows


def _box(surrogate: Surrogate) -> list[tuple[str, ...]]:
    domain = surrogate.domain
    names = (*SYMBOLS[:3], *(f"{symbol} (°)" for symbol in SYMBOLS[3:]))
    return [(name, f"{low:g}", f"{high:g}") for name, low, high in zip(names, domain.lower, domain.upper, strict=True)]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
