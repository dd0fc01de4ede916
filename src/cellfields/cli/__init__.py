"""The command line: one small file a command; results on stdout, progress and warnings on stderr.

May import everything below it, but only inside the commands, so that ``cellfields --help`` stays quick.
Physics, file formats and drawing do not belong here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cellfields.errors import CellFieldsError, ConvergenceError, InputError, PhysicsWarning

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0: done; 2: the user's input (one sentence on stderr, nothing written); 1: a calculation or a file system failed;
    130: interrupted.
    """
    from cellfields.cli._app import app

    try:
        _print_warnings_as_sentences()
        app(args=None if arguments is None else list(arguments), prog_name="cellfields")
    except InputError as error:
        _leave(str(error), 2)
    except ConvergenceError as error:
        last = error.history[-1] if error.history else {}
        numbers = ", ".join(f"{name} {value:.6g}" for name, value in last.items())
        _leave(f"{error}{f' (last step: {numbers})' if numbers else ''}", 1)
    except CellFieldsError as error:
        _leave(str(error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        _leave("interrupted", 130)
    except SystemExit as stop:
        if stop.code == 130:  # typer has turned Ctrl-C into an exit
            _leave("interrupted; what is finished is kept, and the same command goes on from there", 130)
        raise


def _print_warnings_as_sentences() -> None:
    """A warning of this package is one line on stderr, without Python's file name and source line."""
    import warnings

    pythons_own = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **options: Any) -> None:
        if issubclass(category, PhysicsWarning):
            print("warning: " + " ".join(str(message).split()), file=sys.stderr, flush=True)
        else:
            pythons_own(message, category, *rest, **options)

    warnings.showwarning = show


def _leave(message: str, code: int) -> None:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)
