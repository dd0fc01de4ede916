"""Whether a study's labels may be trusted before hours go into them: cutoffs, and stress against energy.

Pulay stress = σ − dF/dD          at the reference cell, by one more solve at a nearby cutoff, kept with the dataset
"""

from __future__ import annotations

from cellfields.dataset import DatasetStore
from cellfields.dft.pseudopotential import Pseudopotential, load_pseudopotential
from cellfields.dft.pseudopotential.suggested_cutoff import warn_of_low_cutoff
from cellfields.engines.contract import Engine, FirstPrinciplesEngine, PlaneWaveCode
from cellfields.errors import CellFieldsError, InputError
from cellfields.mechanics.stress_consistency import (
    StressConsistency,
    dataset_stress_consistency,
    keep_stress_consistency,
    stress_consistency,
)


def warn_of_cutoff(engine: Engine) -> None:
    """Warn of a cutoff far below what one of the engine's pseudopotentials needs.

    Engines without plane-wave settings, and files that only ABINIT can read, are passed over.
    """
    if not isinstance(engine, PlaneWaveCode):
        return
    settings, ions = engine.settings, {}
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
        except InputError:
            continue
    if ions:
        warn_of_low_cutoff(settings.cutoff, ions)


def check_dataset(
    store: DatasetStore, engine: FirstPrinciplesEngine | None, *, wanted: bool = True
) -> StressConsistency:
    """The comparison of stress and energy that is kept beside a dataset, made now where there is none.

    Args:
        store: the dataset.
        engine: of the dataset's states; None where these are imported.
        wanted: False leaves a comparison that was not made yet unmade.

    Raises:
        InputError: the engine cannot solve this crystal.
        StoreError: the dataset cannot be written.
    """
    kept = dataset_stress_consistency(store)
    if kept is not None:
        return kept
    if not wanted:
        return StressConsistency(None, reason="--no-check")
    if engine is None:
        return StressConsistency(None, reason="the states are imported")
    try:
        made = stress_consistency(engine)
    except InputError:
        raise
    except CellFieldsError as error:  # a campaign can go on where its reference cell does not converge
        return StressConsistency(None, reason=f"the reference cell was not solved ({error})")
    if made.pulay_pressure is not None:
        keep_stress_consistency(store, made)
    return made
