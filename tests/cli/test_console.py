"""Durations and sizes in words, also where they are just short of the next unit."""

from __future__ import annotations

import pytest

from cellfields.cli._console import clock, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (2.5e-4, "0.25 ms"),
        (0.1234, "123 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert clock(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.7, "1 kB"),
        (1500, "1.5 kB"),
        (99_960, "100 kB"),
        (999_400, "999 kB"),
        (999_600, "1 MB"),
        (4.4e6, "4.4 MB"),
        (2.5e15, "2500 TB"),
    ],
)
def test_sizes(count: float, words: str) -> None:
    assert size(count) == words
