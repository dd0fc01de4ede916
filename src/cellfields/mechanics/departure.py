"""Reports of searches on a model that leave the strains that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterable

from cellfields.crystal.deformation import SYMBOLS, Deformation
from cellfields.engines.contract import Engine, LearnedEngine
from cellfields.errors import InputError
from cellfields.state import CellState


def check_outside(outside: str) -> None:
    """Check that ``outside`` is "raise" or "flag".

    Raises:
        InputError: it is neither; the message names the two.
    """
    if outside not in ("raise", "flag"):
        raise InputError(f"outside = {outside!r} must be 'raise' or 'flag'")


def is_outside(state: CellState) -> bool:
    """Whether a state is a model's extrapolation; always False for first principles."""
    return state.provenance.get("in_domain") is False


def components_of(state: CellState) -> dict[str, float]:
    """D of a state with the keys λa … θc, and ``inside``: 0 for a model's extrapolation, else 1."""
    values = dict(zip(SYMBOLS, state.deformation.as_array().tolist(), strict=True))
    return values | {"inside": float(not is_outside(state))}


def departure(search: str, engine: Engine, visited: Iterable[CellState], end: Deformation, reason: str) -> str:
    """One sentence: which components of D have left the training strains, and the last state that was inside.

    Args:
        search: what was searched for, as a noun phrase.
        engine: the model; its ``domain`` holds the trained ranges.
        visited: the states that the search solved, in order.
        end: D where the search ended.
        reason: how the search ended.
    """
    ranges_left = []
    if isinstance(engine, LearnedEngine):
        domain = engine.domain
        ranges_left = [
            f"{name} = {x:.6g} (trained on {low:g} … {high:g})"
            for name, x, low, high in zip(SYMBOLS, end.as_array(), domain.lower, domain.upper, strict=True)
            if not low <= x <= high
        ]
    where = ", ".join(ranges_left) or "all six components together are farther out than any training strain"
    inside = [state for state in visited if not is_outside(state)]
    last = f"; the last state inside was D = ({written(inside[-1].deformation)})" if inside else ""
    return (
        f"the search for {search} left the strains that the model was trained on: {where}; {reason}{last}. An "
        "extrapolation is no result: train on strains around it"
    )


def written(deformation: Deformation) -> str:
    """D as six comma-separated numbers with 12 digits, which the option ``--D`` reads."""
    return ",".join(f"{x:.12g}" for x in deformation.as_array())
