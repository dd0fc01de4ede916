"""What the commands say of a stress that is not the derivative of the energy, and of a cutoff that is too low."""

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
    """Compare the stress with dF/dD (arguments as for ``stress_consistency``) and warn; ``wanted`` False: do not."""
    from cellfields.engines.contract import FirstPrinciplesEngine
    from cellfields.mechanics import StressConsistency, stress_consistency

    if not isinstance(engine, FirstPrinciplesEngine):
        return StressConsistency(None, reason="it is the derivative of the model's own energy")
    if not wanted:
        return StressConsistency(None, reason="--no-check")
    found = stress_consistency(engine, deformation, state=state)
    tell(found)
    return found


def tell(found: StressConsistency, spread_gpa: float | None = None) -> None:
    """Warn where it is wrong; note where it is not known, so that nobody takes silence for consent."""
    from cellfields.cli._console import note

    if found.pulay_pressure is None:
        note(found.sentence())
    found.warn(spread_gpa)


def print_consistency(found: StressConsistency, state: CellState) -> None:
    """A line on stdout with the estimate and what the stress would be without it, where it is known."""
    import numpy as np

    from cellfields.units import GPA

    if found.pulay_pressure is None or found.pulay_pressure_gpa is None or state.stress is None:
        return
    mean = float(np.trace(state.stress)) / 3 * GPA
    print(
        f"mean stress {mean:+.4f} GPa; σ − dF/dD {found.pulay_pressure_gpa:+.4f} GPa (Pulay stress, estimated); "
        f"dF/dV therefore about {mean - found.pulay_pressure_gpa:+.4f} GPa"
    )


def consistency_table(engine: Engine, found: StressConsistency) -> dict[str, Any]:
    """JSON ``stress_consistency``: of first principles what was found, of a model what its training found."""
    from cellfields.surrogate import Surrogate

    if not isinstance(engine, Surrogate):
        return found.to_dict()
    metadata = engine.metadata
    known = {name: metadata[name] for name in ("slopes", "slope_offset_gpa") if name in metadata}
    return {"checked": True, "method": "derivative of the model's own energy", "consistent": True} | known
