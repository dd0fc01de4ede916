"""Checks whether the stress is the derivative of the energy, which a cutoff that is too low prevents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cellfields.crystal.deformation import Deformation
    from cellfields.engines.contract import Engine
    from cellfields.mechanics import StressConsistency
    from cellfields.state import CellState

CheckOption = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="First principles: compare the stress with dF/dD by one more solve at a lower cutoff.",
    ),
]


def check_stress(
    engine: Engine, wanted: bool, deformation: Deformation | None = None, *, state: CellState | None = None
) -> StressConsistency:
    """Compare an engine's stress with dF/dD, and warn where they differ.

    Args:
        engine: a first-principles engine is checked by one or two more solves; a model's stress is consistent anyhow.
        wanted: whether the check is to be made.
        deformation: strain at which the stress is compared; None takes that of ``state``, or the reference cell.
        state: the engine's state of this strain, if it is solved already.
    """
    from cellfields.engines.contract import FirstPrinciplesEngine
    from cellfields.mechanics import StressConsistency, stress_consistency

    if not isinstance(engine, FirstPrinciplesEngine):
        return StressConsistency(None, reason="it is the derivative of the model's own energy")
    if not wanted:
        return StressConsistency(None, reason="--no-check")
    consistency = stress_consistency(engine, deformation, state=state)
    report_consistency(consistency)
    return consistency


def report_consistency(consistency: StressConsistency, spread_gpa: float | None = None) -> None:
    """Warn where the stress is wrong, and say so where its error could not be estimated.

    Args:
        consistency: the result of the check.
        spread_gpa: spread of the stress over a study's strains, GPa, which sets the tolerance; None takes the default.
    """
    from cellfields.cli._console import note

    if consistency.pulay_pressure is None:
        note(consistency.sentence())
    consistency.warn(spread_gpa)


def print_consistency(consistency: StressConsistency, state: CellState) -> None:
    """Print the estimated Pulay stress, and the mean stress without it, where the estimate is known."""
    import numpy as np

    from cellfields.units import GPA

    if consistency.pulay_pressure is None or consistency.pulay_pressure_gpa is None or state.stress is None:
        return
    mean = float(np.trace(state.stress)) / 3 * GPA
    print(
        f"mean stress {mean:+.4f} GPa; σ − dF/dD {consistency.pulay_pressure_gpa:+.4f} GPa (Pulay stress, estimated); "
        f"dF/dV therefore about {mean - consistency.pulay_pressure_gpa:+.4f} GPa"
    )


def consistency_table(engine: Engine, consistency: StressConsistency) -> dict[str, Any]:
    """JSON data of the key ``stress_consistency``.

    For a first-principles engine it is the result of the check, for a model what its training measured.
    """
    from cellfields.surrogate import Surrogate

    if not isinstance(engine, Surrogate):
        return consistency.to_dict()
    metadata = engine.metadata
    measured = {name: metadata[name] for name in ("slopes", "slope_offset_gpa") if name in metadata}
    return {"checked": True, "method": "derivative of the model's own energy", "consistent": True} | measured
