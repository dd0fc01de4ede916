"""What the commands say of a stress that is not the derivative of the energy, and of a cutoff that is too low."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cellfields.crystal.deformation import Deformation
    from cellfields.dataset import DatasetStore
    from cellfields.engines.contract import Engine
    from cellfields.mechanics import StressConsistency
    from cellfields.pipeline.configuration import Configuration
    from cellfields.state import CellState

CheckOption = Annotated[
    bool,
    typer.Option(
        "--check/--no-check",
        help="First principles: compare the stress with dF/dD by one more solve at a lower cutoff.",
    ),
]


def warn_of_cutoff(configuration: Configuration, engine: Engine) -> None:
    """Warn of a cutoff far below what a pseudopotential of the study needs; an engine without any is passed over."""
    from cellfields.dft.pseudopotential import Pseudopotential, load_pseudopotential
    from cellfields.dft.pseudopotential.suggested_cutoff import warn_of_low_cutoff
    from cellfields.engines.contract import PlaneWaveCode
    from cellfields.errors import InputError

    settings, ions = configuration.engine, {}
    if not isinstance(engine, PlaneWaveCode):
        return
    for symbol, pseudopotential in engine.pseudopotentials.items():
        if isinstance(pseudopotential, Pseudopotential):
            ions[symbol] = pseudopotential
            continue
        try:  # ABINIT's engine keeps files
            ions[symbol] = load_pseudopotential(
                symbol,
                settings.pseudopotentials,
                settings.local_channels,
                functional=settings.functional,
                valences=settings.valences,
            )
        except InputError:  # one that only ABINIT reads
            continue
    if ions:
        warn_of_low_cutoff(settings.cutoff, ions)


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


def check_dataset(store: DatasetStore, engine: Engine, *, wanted: bool = True) -> StressConsistency:
    """The comparison that is kept beside a dataset, made now where there is none and it is ``wanted``; warns.

    Raises:
        StoreError: the dataset cannot be written.
    """
    from cellfields.errors import CellFieldsError, InputError
    from cellfields.mechanics import StressConsistency, stress_consistency
    from cellfields.mechanics.stress_consistency import dataset_stress_consistency, keep_stress_consistency

    found = dataset_stress_consistency(store)
    if found is None and not wanted:
        found = StressConsistency(None, reason="--no-check")
    elif found is None:
        try:
            found = stress_consistency(engine)
        except InputError:
            raise
        except CellFieldsError as error:  # a campaign can go on where its reference cell does not converge
            found = StressConsistency(None, reason=f"the reference cell was not solved ({error})")
        if found.pulay_pressure is not None:
            keep_stress_consistency(store, found)
    tell(found)
    return found
