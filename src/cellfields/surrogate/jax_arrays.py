"""Double precision in JAX where it is needed.

Energies are differences of large numbers and are differentiated twice: single precision would show as noise in stress
and stiffness. JAX's switch to float64 is global by default; here it is set for a block of code in the calling thread,
so that importing cellfields changes nothing in the user's own JAX programs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module

import jax


def double_precision() -> AbstractContextManager[None]:
    """Context manager in which JAX computes in float64, whatever ``jax_enable_x64`` is outside of it."""
    home = jax if hasattr(jax, "enable_x64") else import_module("jax.experimental")  # older versions
    context: AbstractContextManager[None] = home.enable_x64(True)
    return context
