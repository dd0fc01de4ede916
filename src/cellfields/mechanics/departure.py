"""A search that asks a model and leaves the strains that the model was trained on: what is said of it."""

from __future__ import annotations

from collections.abc import Iterable

from cellfields.crystal.deformation import SYMBOLS, Deformation
from cellfields.engines.contract import Engine, LearnedEngine
from cellfields.errors import InputError
from cellfields.state import CellState


def check_outside(outside: str) -> None:
    """Refuse another word than "raise" or "flag".

    Raises:
        InputError: naming the two.
    """
    if outside not in ("raise", "flag"):
        raise InputError(f"outside = {outside!r} must be 'raise' or 'flag'")


def is_outside(state: CellState) -> bool:
    """Whether a state is a model's extrapolation; False for first principles."""
    return state.provenance.get("in_domain") is False


def components_of(state: CellState) -> dict[str, float]:
    """D of a state with the keys λa … θc, and ``inside``: 0 for a model's extrapolation, else 1."""
    values = dict(zip(SYMBOLS, state.deformation.as_array().tolist(), strict=True))
    return values | {"inside": float(not is_outside(state))}


def departure(search: str, engine: Engine, visited: Iterable[CellState], end: Deformation, reason: str) -> str:
    """One sentence: which components of D have left the training strains, and the last state that was inside.

    Args:
        search: what was searched for.
        engine: the model; its ``domain`` tells the trained ranges.
        visited: states on the way, in order.
        end: D where the search ended.
        reason: how it ended.
    """
    told = []
    if isinstance(engine, LearnedEngine):
        domain = engine.domain
        told = [
            f"{name} = {x:.6g} (trained on {low:g} … {high:g})"
            for name, x, low, high in zip(SYMBOLS, end.as_array(), domain.lower, domain.upper, strict=True)
            if not low <= x <= high
        ]
    where = ", ".join(told) or "all six components together are farther out than any training strain"
    inside = [state for state in visited if not is_outside(state)]
    last = f"; the last state inside was D = ({written(inside[-1].deformation)})" if inside else ""
    return (
        f"the search for {search} left the strains that the model was trained on: {where}; {reason}{last}. An "
        "extrapolation is no result: train on strains around it"
    )


def written(deformation: Deformation) -> str:
    """D with the digits that bring it back, for ``--D``."""
    return ",".join(f"{x:.12g}" for x in deformation.as_array())
