"""What can go wrong, one type for each way of going wrong.

The command line turns :class:`InputError` into one sentence and exit code 2; everything else that derives from
:class:`CellFieldsError` is a result about the physics or the files, and exits with code 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class CellFieldsError(Exception):
    """Base class of every error this package raises on purpose."""


class InputError(CellFieldsError, ValueError):
    """Something the user gave is outside what is possible; the message names the field and the allowed range."""


class SettingsMismatchError(InputError):
    """A dataset or model was made with other settings than the ones asked for now."""


class CorruptFileError(InputError):
    """A file is truncated, altered or not of the expected kind; nothing was loaded from it."""


class PhysicsWarning(UserWarning):
    """A result is computed as asked, but the settings leave out or resolve badly something that matters physically.

    Examples are a magnetic element solved without spin, or a stress that is not the derivative of the energy because
    the cutoff is too low. The message is one sentence that says what and how much; the command line prints it on
    stderr.
    """


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


class OutsideDomainError(InputError):
    """A prediction would have been an extrapolation, and the user wants none."""


class LeftDomainError(ConvergenceError):
    """A search that asks a model ended outside the strains that the model was trained on.

    ``history`` holds D of each step, with the keys λa … θc (stretches and degrees), and ``inside`` (1 or 0).
    """


class AbinitError(CellFieldsError):
    """ABINIT ended without the result it was run for. That it did not converge is a :class:`ConvergenceError`.

    Attributes:
        log: the lines of ABINIT's log that say why, oldest first, or empty.
        retry: whether another attempt may fare better.
        ends_campaign: whether every other solve of a campaign would end in the same way.
    """

    retry: ClassVar[bool] = False
    ends_campaign: ClassVar[bool] = False

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.log)


class AbinitNotFound(AbinitError, InputError):
    """The launch command names no program on this machine."""

    ends_campaign: ClassVar[bool] = True


class AbinitPseudopotentialError(AbinitError, InputError):
    """ABINIT cannot read a pseudopotential file."""

    ends_campaign: ClassVar[bool] = True


class AbinitKilled(AbinitError):
    """A signal ended ABINIT: out of memory, a batch system's limit, a crash."""

    retry: ClassVar[bool] = True


class AbinitTimeout(AbinitError):
    """ABINIT ran longer than it was allowed to, and was ended."""


class AbinitDiskFull(AbinitError):
    """There was no room for ABINIT's files."""

    ends_campaign: ClassVar[bool] = True


class AbinitOutputMissing(AbinitError):
    """ABINIT ended without complaint, but a file that it should have written is not there."""
