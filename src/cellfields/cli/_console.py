"""Output for people: progress, notes and warnings on stderr, tables on stdout, and numbers with their units."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from cellfields.dataset import Failure
    from cellfields.pipeline.progress import Reporter
    from cellfields.surrogate import Surrogate

_QUIET_SECONDS = 10.0  # between two lines of progress where stderr is no terminal


def note(message: str) -> None:
    """Print a message as one line on stderr."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Print a message as one line on stderr that begins with "warning:"."""
    note(f"warning: {message}")


def note_unknown(surrogate: Surrogate) -> None:
    """Print on stderr which quantities a model cannot predict, if there are any."""
    if surrogate.unknown:
        note(f"not known to this model, because its training states do not hold it: {', '.join(surrogate.unknown)}")
    note_held(surrogate.held)


def note_held(components: Sequence[str]) -> None:
    """Print on stderr which components of D had only one value in training, if there are any."""
    if components:
        note(
            f"the same in all training strains: {', '.join(components)}; the stress that belongs to it is not known, "
            "and is given as 0"
        )


def results() -> Console:
    """A console that writes to stdout; where that is no terminal its lines have 100 characters."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a title and a table on stdout; the first column is left-aligned, the others right-aligned."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        show_header=any(columns),
        pad_edge=False,
        padding=(0, 0, 0, 1),
    )
    for index, column in enumerate(columns):
        words = max(map(len, column.split()), default=0)
        justify: Literal["left", "right"] = "right" if index else "left"
        table.add_column(column, justify=justify, no_wrap=index == 0, min_width=words, overflow="fold")
    for row in rows:
        table.add_row(*row)
    results().print(title, style="bold", markup=False, highlight=False)  # rich's own titles wrap at the table's width
    results().print(table)


def print_failures(failures: Sequence[Failure], *, most: int | None = None) -> None:
    """Print one line on stdout for each strain that could not be solved, and for at most ``most`` of them."""
    for failure in failures[:most]:
        numbers = ", ".join(f"{x:g}" for x in failure.deformation.as_array())
        print(f"not solved: D = ({numbers}): {' '.join(failure.reason.split())}")
    if most is not None and len(failures) > most:
        print(f"… and {len(failures) - most} more: `cellfields info` on the dataset lists all")


class Tasks(Protocol):
    """Shows the progress of named tasks."""

    def update(self, name: str, done: int, total: int, remark: str = "") -> None:
        """Show that ``done`` of ``total`` steps of a task are finished."""


@contextmanager
def progress() -> Iterator[Tasks]:
    """Show progress on stderr: bars with the time left on a terminal, otherwise a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich import progress as parts
    from rich.console import Console

    with parts.Progress(
        parts.TextColumn("{task.description}"),
        parts.BarColumn(),
        parts.MofNCompleteColumn(),
        parts.TimeElapsedColumn(),
        parts.TextColumn("{task.fields[remark]}"),
        console=Console(stderr=True),
    ) as bars:
        ids: dict[str, parts.TaskID] = {}
        left = _TimeLeft()

        class _Bars:
            def update(self, name: str, done: int, total: int, remark: str = "") -> None:
                if name not in ids:
                    ids[name] = bars.add_task(name, total=total, remark="")
                words = ", ".join(filter(None, (left.after(name, done, total), remark)))
                bars.update(ids[name], completed=done, total=total, remark=words)

        yield _Bars()


@contextmanager
def reporting() -> Iterator[Reporter]:
    """Give a reporter that shows the progress, notes and warnings of a study's steps on stderr."""
    with progress() as tasks:

        class _Reporter:
            def update(self, task: str, done: int, total: int, remark: str = "") -> None:
                tasks.update(task, done, total, remark)

            def note(self, sentence: str) -> None:
                note(sentence)

            def warn(self, sentence: str) -> None:
                warn(sentence)

        yield _Reporter()


class _Lines:
    """Shows progress in a log file: a line for the first and last step of a task, and at most one every ten seconds."""

    def __init__(self) -> None:
        self._left = _TimeLeft()
        self._names: set[str] = set()
        self._last_printed = -float("inf")

    def update(self, name: str, done: int, total: int, remark: str = "") -> None:
        now = time.monotonic()
        left = self._left.after(name, done, total)
        if name in self._names and done < total and now - self._last_printed < _QUIET_SECONDS:
            return
        self._names.add(name)
        self._last_printed = now
        note(", ".join(filter(None, (f"{name}: {done}/{total}", left, remark))))


class _TimeLeft:
    """Estimates the time that a task still takes from the mean time of its steps since the first one."""

    def __init__(self) -> None:
        self._started: dict[str, tuple[float, int]] = {}

    def after(self, name: str, done: int, total: int) -> str:
        """The time left in words; empty before the first step is finished and after the last one."""
        now = time.monotonic()
        started, already = self._started.setdefault(name, (now, done))
        if not already < done < total:
            return ""
        return f"about {clock((now - started) * (total - done) / (done - already))} left"


def rate(count: int, seconds: float) -> str:
    """A count in some seconds as a rate in words, such as "12 an hour"."""
    an_hour = 3600 * count / max(seconds, 1e-9)
    return f"{an_hour:,.0f} an hour" if an_hour >= 10 else f"{an_hour:.1f} an hour"


def clock(seconds: float) -> str:
    """A duration as a text with a suitable unit: 0.25 ms, 999 ms, 59 s, 1 min 00 s, 2 h 05 min."""
    if round(1e3 * seconds) < 1000:
        return f"{three_digits(1e3 * seconds)} ms"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """A number of bytes as a text with a suitable unit (powers of 1000): 512 bytes, 1.5 kB, 999 kB, 1 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if round(count) < 1000:
            return f"{three_digits(count)} {unit}"
        count /= 1000
    return f"{three_digits(count)} TB"


def three_digits(value: float) -> str:
    """About three significant digits, without an exponent: 0.25, 1.5, 24, 999, 12345."""
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"
