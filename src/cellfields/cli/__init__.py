"""The command line, with one file for each command: results go to stdout, progress and warnings to stderr.

The commands import the rest of the package inside their functions, so that ``cellfields --help`` stays quick. Physics,
file formats and drawing belong elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cellfields.errors import CellFieldsError, ConvergenceError, InputError, PhysicsWarning

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with one of these codes.

    0: the command succeeded; 1: a calculation or a file operation failed; 2: the user's input is wrong, which one
    sentence on stderr explains, and nothing was written; 130: the user interrupted the command.

    Args:
        arguments: the command and its options; None takes those of the process.
    """
    from cellfields.cli._app import app

    try:
        _print_warnings_as_sentences()
        app(args=None if arguments is None else list(arguments), prog_name="cellfields")
    except InputError as error:
        _exit_with_error(str(error), 2)
    except ConvergenceError as error:
        last = error.history[-1] if error.history else {}
        numbers = ", ".join(f"{name} {value:.6g}" for name, value in last.items())
        _exit_with_error(f"{error}{f' (last step: {numbers})' if numbers else ''}", 1)
    except CellFieldsError as error:
        _exit_with_error(str(error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _exit_with_error(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        _exit_with_error("interrupted", 130)
    except SystemExit as stop:
        if stop.code == 130:  # typer turns Ctrl-C into an exit
            _exit_with_error("interrupted; what is finished is kept, and the same command goes on from there", 130)
        raise


def _print_warnings_as_sentences() -> None:
    """Print warnings of this package as one line on stderr, without Python's file name and source line."""
    import warnings

    original_showwarning = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if issubclass(category, PhysicsWarning):
            print("warning: " + " ".join(str(message).split()), file=sys.stderr, flush=True)
        else:
            original_showwarning(message, category, *rest, **options)

    warnings.showwarning = show


def _exit_with_error(message: str, code: int) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)
