"""A campaign of solves and the sealed, resumable store that it fills: ``DatasetStore`` and ``label``.

Nothing here makes an engine: an engine, an executor and a starter come in as arguments.
"""

from __future__ import annotations

from cellfields.dataset._attempt import Starter
from cellfields.dataset._failure import Failure
from cellfields.dataset.campaign import LabelEvent, LabelInterrupted, LabelSummary, label
from cellfields.dataset.neighbours import NeighbourStarter
from cellfields.dataset.store import DatasetInfo, DatasetStore
from cellfields.storage.atomic import StoreError

__all__ = [
    "DatasetInfo",
    "DatasetStore",
    "Failure",
    "LabelEvent",
    "LabelInterrupted",
    "LabelSummary",
    "NeighbourStarter",
    "Starter",
    "StoreError",
    "label",
]
