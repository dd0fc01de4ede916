"""The surrogate: states → reduction (PCA) → networks → training → an engine that takes well under a ms.

States are computed by ``engines`` and stored by ``dataset``; predictions are judged in ``evaluation``. This is the
lowest room that imports JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from cellfields.errors import OutsideDomainError
from cellfields.surrogate.recipe import Networks, PaperNetworks, Polynomials, Recipe, TrendNetworks
from cellfields.surrogate.training_domain import OutsideDomainWarning

__all__ = [
    "Networks",
    "OutsideDomainError",
    "OutsideDomainWarning",
    "PaperNetworks",
    "Polynomials",
    "Recipe",
    "Surrogate",
    "TrendNetworks",
]

if TYPE_CHECKING:
    from cellfields.surrogate.surrogate import Surrogate


def __getattr__(name: str) -> object:
    # A configuration needs the recipe only: JAX (seconds of import) is loaded with the first use of Surrogate.
    if name == "Surrogate":
        return import_module("cellfields.surrogate.surrogate").Surrogate
    raise AttributeError(f"module 'cellfields.surrogate' has no attribute {name!r}")
