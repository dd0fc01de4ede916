"""The record of a sample that could not be solved: its deformation, what was tried, and why it failed."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from cellfields.crystal.deformation import Deformation
from cellfields.errors import CellFieldsError, CorruptFileError, InputError
from cellfields.storage.json_tables import plain


@dataclass(frozen=True)
class FailedAttempt:
    """One way in which a sample was tried, and what came of it.

    Attributes:
        remedy: its name, or None for the solve as it was asked for.
        error: name of the exception's type.
        message: one sentence.
    """

    remedy: str | None
    error: str
    message: str

    @classmethod
    def from_error(cls, remedy: str | None, error: BaseException) -> FailedAttempt:
        """Record of an exception."""
        return cls(remedy, type(error).__name__, _message(error))


@dataclass(frozen=True)
class Failure:
    """A sample without a state, and why.

    Attributes:
        deformation: D.
        error: name of the last attempt's exception ("SCFNotConverged", …; "WorkerDied" when its process was killed).
        message: one sentence.
        attempts: all that was tried, in order, where it was the engine that failed.
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
    attempts: tuple[FailedAttempt, ...] = ()

    @classmethod
    def from_error(
        cls, deformation: Deformation, error: BaseException, attempts: tuple[FailedAttempt, ...] = ()
    ) -> Failure:
        """Record of an exception; it is plain data and pickles, whatever the exception does."""
        unexpected = not isinstance(error, CellFieldsError)
        return cls(
            deformation=deformation,
            error=type(error).__name__,
            message=_message(error),
            history=_history(error),
            unexpected=unexpected,
            traceback="".join(traceback.format_exception(error)) if unexpected else "",
            attempts=attempts,
        )

    @property
    def reason(self) -> str:
        """The message and the remedies that did not help, in one line; of a defect also the name of its exception."""
        tried = [attempt.remedy for attempt in self.attempts if attempt.remedy is not None]
        cause = f"a defect of the program ({self.error}: {self.message})" if self.unexpected else self.message
        return cause + (f" (tried too: {', '.join(tried)})" if tried else "")

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
            deformation = Deformation.from_array(table["deformation"])
            return _failures().validate_python({**table, "deformation": deformation})
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise CorruptFileError(f"{name} is not the record of a failed sample") from error


@cache
def _failures() -> TypeAdapter[Failure]:
    return TypeAdapter(Failure)


def sentence_of(error: BaseException) -> str:
    """The message of an exception; one that is not of this package is preceded by the name of its type."""
    if isinstance(error, CellFieldsError):
        return _message(error)
    return f"{type(error).__name__}: {error}"


def _message(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _history(error: BaseException) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(plain(dict(step), "history") for step in getattr(error, "history", ()))
    except (TypeError, ValueError):  # an attribute of the same name that means something else
        return ()
