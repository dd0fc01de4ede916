"""How the steps of a study say what they are doing, to a terminal, a log file, a notebook, or to nobody."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Whoever waits for a study."""

    def update(self, task: str, done: int, total: int, remark: str = "") -> None:
        """``done`` of ``total`` steps of a task are behind us."""

    def note(self, sentence: str) -> None:
        """Something worth knowing that is no reason to worry."""

    def warn(self, sentence: str) -> None:
        """Something that the results should not be read without."""


class Silent:
    """A reporter for scripts that only want results."""

    def update(self, task: str, done: int, total: int, remark: str = "") -> None:
        """Nothing is said."""

    def note(self, sentence: str) -> None:
        """Nothing is said."""

    def warn(self, sentence: str) -> None:
        """Nothing is said."""
