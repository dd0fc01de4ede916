"""What is kept of a sample that could not be solved: its deformation, the reason, and the history of the iteration."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cellfields.dataset._json import plain
from cellfields.deformation import Deformation
from cellfields.errors import CellFieldsError, CorruptFileError, InputError


@dataclass(frozen=True)
class Failure:
    """A sample without a state, and why.

    Attributes:
        deformation: D.
        error: name of the exception's type ("SCFNotConverged", …; "WorkerDied" when its process was killed).
        message: one sentence.
        history: one mapping a step of the iteration that did not converge (Hartree atomic units), or empty.
        unexpected: not a failure that an engine reports on purpose: a defect of the program, to be looked into.
        traceback: where it happened, for unexpected failures.
    """

    deformation: Deformation
    error: str
    message: str
    history: tuple[Mapping[str, Any], ...] = ()
    unexpected: bool = False
    traceback: str = ""

    @classmethod
    def from_error(cls, deformation: Deformation, error: BaseException) -> Failure:
        """Record of an exception; it is plain data and pickles, whatever the exception does."""
        unexpected = not isinstance(error, CellFieldsError)
        return cls(
            deformation=deformation,
            error=type(error).__name__,
            message=str(error) or type(error).__name__,
            history=_history(error),
            unexpected=unexpected,
            traceback="".join(traceback.format_exception(error)) if unexpected else "",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        table = asdict(self)
        table["deformation"] = self.deformation.as_array().tolist()
        table["history"] = [dict(step) for step in self.history]
        return table

    @classmethod
    def from_dict(cls, table: dict[str, Any], name: str) -> Failure:
        """Inverse of :meth:`to_dict`.

        Raises:
            CorruptFileError: ``table`` is no such record; ``name`` says which file.
        """
        try:
            history = tuple(dict(step) for step in table["history"])
            return cls(**{**table, "deformation": Deformation.from_array(table["deformation"]), "history": history})
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise CorruptFileError(f"{name} is not the record of a failed sample") from error


def _history(error: BaseException) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(plain(dict(step), "history") for step in getattr(error, "history", ()))
    except (TypeError, ValueError):  # an attribute of the same name that means something else
        return ()
