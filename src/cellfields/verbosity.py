"""The package's log on stderr: what a person asks for who waits for a long solve, in this process and in its workers.

The loggers below ``cellfields`` are silent unless a program shows them. This is the way of the command line and of the
worker processes that it starts; other programs use Python's ``logging`` as they like.
"""

from __future__ import annotations

import logging
import sys

_LOGGER = logging.getLogger("cellfields")


class _StderrHandler(logging.Handler):
    """Writes to what ``sys.stderr`` is at the moment, so that lines go above a progress bar that has taken it over."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


def show_log(level: int, prefix: str = "") -> None:
    """Write the package's log to stderr from now on, one line a record.

    Args:
        level: of the ``logging`` module; what is less important is left out.
        prefix: begins every line.
    """
    hide_log()
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter(prefix.replace("%", "%%") + "%(message)s"))
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(level)


def hide_log() -> None:
    """Take back :func:`show_log`; nothing happens where the log was not shown."""
    for handler in _handlers():
        _LOGGER.removeHandler(handler)
        _LOGGER.setLevel(logging.NOTSET)


def shown_level() -> int | None:
    """The level that :func:`show_log` shows in this process, or None."""
    return _LOGGER.level if _handlers() else None


def _handlers() -> list[_StderrHandler]:
    return [handler for handler in _LOGGER.handlers if isinstance(handler, _StderrHandler)]
