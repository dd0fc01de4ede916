"""The table [abinit] of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cellfields.engines.abinit import AbinitOptions
from cellfields.errors import InputError
from cellfields.pipeline.configuration import Configuration, parse_configuration
from tests.pipeline.test_configuration import table


def parse(abinit: Any) -> AbinitOptions | None:
    configuration = parse_configuration(table() | {"abinit": abinit}, Path("/studies"))
    assert isinstance(configuration, Configuration)
    return configuration.abinit


def test_table_chooses_abinit() -> None:
    assert parse({}) == AbinitOptions()
    study = parse_configuration(table(), Path("/studies"))
    assert isinstance(study, Configuration) and study.abinit is None


def test_all_keys() -> None:
    options = parse(
        {
            "command": "mpirun -n 8 'my abinit'",
            "scratch": "../scratch",
            "timeout": 3600,
            "keep": True,
            "variables": {"nline": 6, "diemac": 12.5, "wfoptalg": "114"},
        }
    )
    assert options is not None
    assert options.words == ["mpirun", "-n", "8", "my abinit"]
    assert options.scratch == Path("/studies/../scratch")
    assert options.variables == {"nline": 6, "diemac": 12.5, "wfoptalg": "114"}
    assert isinstance(options.variables["nline"], int)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"comand": "abinit"},
            r"unknown key abinit\.comand \(did you mean command\?\); allowed here: command, scratch",
        ),
        ({"timeout": 0}, r"abinit\.timeout = 0 must be greater than 0"),
        ({"keep": "yes"}, r"abinit\.keep = \"yes\" must be true or false"),
        ({"command": "'abinit"}, r"abinit\.command = \"'abinit\" is not a command line: No closing quotation"),
        ({"command": " "}, r"abinit\.command must name a program"),
        ({"variables": {"NLine": 3}}, r"abinit\.variables: 'NLine' is no name of an ABINIT variable"),
        ({"variables": {"nline": True}}, r"abinit\.variables\.nline must be a number, or text as in ABINIT's"),
        ({"variables": {"nline": [1, 2]}}, r"abinit\.variables\.nline must be a number, or text as in ABINIT's"),
        ({"variables": {"nline": "größer"}}, r"abinit\.variables\.nline must be text as in ABINIT's input file"),
        ({"variables": 3}, r"abinit\.variables = 3 must be a table"),
        (3, r"abinit = 3 must be a table"),
    ],
)
def test_mistakes_are_one_sentence(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        parse(given)
