"""How ABINIT is launched, and further variables of its input besides the settings shared with the embedded engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from pydantic import Field, field_validator

from cellfields.validation import Table

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VALUE = re.compile(r"[ -~\n]*")  # printable ASCII; several lines for arrays


class AbinitOptions(Table):
    """The table ``[abinit]`` of a study file, whose presence makes ABINIT the engine.

    Only ``variables`` changes numbers; the others say where and how ABINIT runs.

    Attributes:
        command: how ABINIT is launched, words as in a shell: "abinit", "mpirun -n 8 abinit".
        scratch: folder in which every run makes a new folder; None means the system's temporary folder.
        timeout: seconds after which a run is ended; None means never.
        keep: keep run folders after the runs; they are large.
        variables: further variables of ABINIT's input, name → number, or text that is passed on as it is. Those that
            follow from the crystal and the settings cannot be given. A tolerance on self-consistency (``toldfe``,
            ``toldff``, ``tolrff``, ``tolvrs``, ``tolwfr``) takes the place of the one that follows from
            ``scf_tolerance``.

    Raises:
        InputError: a key is unknown, or a value is of the wrong type or out of range.
    """

    command: str = Field(default="abinit", description='how ABINIT is launched, such as "mpirun -n 8 abinit"')
    scratch: Path | None = Field(default=None, description="folder for run folders")
    timeout: float | None = Field(default=None, gt=0, description="seconds after which a run is ended")
    keep: bool = Field(default=False, description="keep run folders")
    variables: dict[str, str | int | float] = Field(default_factory=dict, description="further ABINIT variables")

    @field_validator("command")
    @classmethod
    def _is_a_command(cls, command: str) -> str:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ValueError(f"abinit.command = {command!r} is not a command line: {error}") from None
        if not words:
            raise ValueError('abinit.command must name a program, such as "abinit"')
        return command

    @field_validator("variables", mode="before")
    @classmethod
    def _are_variables(cls, variables: object) -> object:
        if not isinstance(variables, dict):
            return variables
        for name, value in variables.items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise ValueError(
                    f"abinit.variables: {name!r} is no name of an ABINIT variable (small letters, digits and _)"
                )
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise ValueError(f"abinit.variables.{name} must be a number, or text as in ABINIT's input file")
            if isinstance(value, str) and not (_VALUE.fullmatch(value) and value.strip()):
                raise ValueError(f"abinit.variables.{name} must be text as in ABINIT's input file (printable ASCII)")
        return variables

    @property
    def words(self) -> list[str]:
        """The launch command, split into words as by a shell."""
        return shlex.split(self.command)
