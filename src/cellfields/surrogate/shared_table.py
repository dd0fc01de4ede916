"""The table of keys that all recipes once shared: hashes are computed from it, and old model files hold it.

    {"name": "best", "degree": 4, …}   →   {"name": "best", "degree": 4, "epochs": 4000, …}   →   SHA-256

A hash decides whether a model is the one that a study asks for. It is still computed from the whole table, in which
keys that a recipe does not have get the values below, so that existing models are not trained again. Keys that are
newly added to a recipe do not belong here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

_DEFAULTS: dict[str, Any] = {
    "name": "paper",
    "modes": 50,
    "field_widths": [500, 500],
    "small_widths": [50, 100, 50],
    "learning_rate": 1e-3,
    "l2": 1e-4,
    "batch_size": 128,
    "epochs": 4000,
    "degree": 7,
    "blend": 2,
    "lengths": [3.0, 4.5, 6.5],
    "symmetry": None,
    "slopes": True,
    "members": 1,
    "seed": 0,
}


def with_keys_of_all_recipes(table: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's table (JSON data), with the keys that it lacks added at the values of the shared table."""
    return {**_DEFAULTS, **table}


def without_keys_of_other_recipes(table: Mapping[str, Any], keys: Container[str]) -> dict[str, Any]:
    """A table from a model file without those keys of the shared table that are not among the ``keys`` of a recipe."""
    return {key: value for key, value in table.items() if key in keys or key not in _DEFAULTS}
