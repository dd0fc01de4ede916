"""What a person sees: progress and warnings on stderr, tables on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from rich.console import Console

_QUIET_SECONDS = 10.0  # between two plain lines where there is no terminal to draw a bar on


def note(message: str) -> None:
    """One line on stderr."""
    print(message, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """One line on stderr that says it is a warning."""
    note(f"warning: {message}")


def results() -> Console:
    """The console for results: stdout; wide enough for tables where it is not a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; the first column is left-aligned, the others right-aligned."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
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
    results().print(table)


class Tasks(Protocol):
    """Named tasks that make progress."""

    def update(self, name: str, done: int, total: int, remark: str = "") -> None:
        """Say that ``done`` of ``total`` steps of a task are behind us."""


@contextmanager
def progress() -> Iterator[Tasks]:
    """Bars with the time left on a terminal's stderr; an occasional plain line where stderr is no terminal."""
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
        parts.TextColumn("left"),
        parts.TimeRemainingColumn(),
        parts.TextColumn("{task.fields[remark]}"),
        console=Console(stderr=True),
        speed_estimate_period=120,
    ) as bars:
        ids: dict[str, parts.TaskID] = {}

        class _Bars:
            def update(self, name: str, done: int, total: int, remark: str = "") -> None:
                if name not in ids:
                    ids[name] = bars.add_task(name, total=total, remark=remark)
                bars.update(ids[name], completed=done, total=total, remark=remark)

        yield _Bars()


class _Lines:
    """Progress for a log file: the first step, the last one, and one in between now and then."""

    def __init__(self) -> None:
        self._started: dict[str, tuple[float, int]] = {}
        self._spoken = -float("inf")

    def update(self, name: str, done: int, total: int, remark: str = "") -> None:
        now = time.monotonic()
        first = name not in self._started
        started, already = self._started.setdefault(name, (now, done))
        if not first and done < total and now - self._spoken < _QUIET_SECONDS:
            return
        self._spoken = now
        left = ""
        if already < done < total:
            left = f", about {clock((now - started) * (total - done) / (done - already))} left"
        note(f"{name}: {done}/{total}{left}{', ' + remark if remark else ''}")


def clock(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
