"""What can go wrong, one type for each way of going wrong.

The command line turns :class:`InputError` into one sentence and exit code 2; everything else that derives from
:class:`CellFieldsError` is a result about the physics or the files, and exits with code 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class CellFieldsError(Exception):
    """Base class of every error this package raises on purpose."""


class InputError(CellFieldsError, ValueError):
    """Something the user gave is outside what is possible; the message names the field and the allowed range."""


class SettingsMismatchError(InputError):
    """A dataset or model was made with other settings than the ones asked for now."""


class CorruptFileError(InputError):
    """A file is truncated, altered or not of the expected kind; nothing was loaded from it."""


class ConvergenceError(CellFieldsError):
    """An iteration stopped before it met its tolerance.

    Attributes:
        history: one mapping a step, with the numbers that the iteration judged itself by (Hartree atomic units).
    """

    def __init__(self, message: str, history: Sequence[Mapping[str, float]] = ()) -> None:
        super().__init__(message)
        self.history: tuple[dict[str, float], ...] = tuple(dict(step) for step in history)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries in a campaign: keep the history on the way.
        return type(self), (str(self), self.history)


class SCFNotConverged(ConvergenceError):
    """The self-consistency iteration did not reach its tolerance within the allowed steps."""


class EigensolverNotConverged(ConvergenceError):
    """The eigensolver left residuals above its tolerance."""


class RelaxationNotConverged(ConvergenceError):
    """The relaxation of the internal coordinates left forces above the tolerance."""
