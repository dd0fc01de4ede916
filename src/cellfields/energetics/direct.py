"""Direct:  F = Φ^𝓕(D), the number that the state itself holds (paper, section 4.4; Figure 7 a).

A surrogate has learned it apart from the fields, so that it need not be consistent with them. Nothing is computed.
"""

from __future__ import annotations

from cellfields.energetics.trial import RouteEnergy, TrialDensity
from cellfields.errors import InputError


def direct_energy(trial: TrialDensity) -> RouteEnergy:
    """F as the state has it.

    Raises:
        InputError: it has none.
    """
    if not trial.state.knows("free_energy"):
        raise InputError("direct: the state does not know its free energy")
    return RouteEnergy({"free_energy": float(trial.state.free_energy)})
