"""``cellfields -v``: what a solve is doing, on stderr and nowhere else, in this process and in workers."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from cellfields.cli import main
from cellfields.verbosity import hide_log, show_log, shown_level
from tests.cli.conftest import STUDY

RELAXATION, SCF = "relaxation step ", "SCF step "


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace("cutoff = 2", "cutoff = 4\nforce_tolerance = 1e-3"))
    return path


@pytest.mark.filterwarnings("ignore:cutoff")
@pytest.mark.parametrize("option", [None, "-v", "--verbose", "-vv"])
def test_lines_on_stderr(option: str | None, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [] if option is None else [option]
    with pytest.raises(SystemExit) as stop:
        main([*options, "solve", str(study), "--D", "1.01,1,0.99,90,90,91", "--no-check", "--json", "-"])
    assert not stop.value.code
    captured = capsys.readouterr()
    solved = json.loads(captured.out)  # nothing else on stdout
    lines = captured.err.splitlines()
    of_relaxation = [line for line in lines if line.startswith(RELAXATION)]
    of_scf = [line for line in lines if line.startswith(SCF)]
    assert len(of_relaxation) == (0 if option is None else solved["provenance"]["solves"])
    assert len(of_scf) == (solved["provenance"]["scf_steps"] if option == "-vv" else 0)
    assert shown_level() is None  # the command has taken it back


@pytest.mark.filterwarnings("ignore:cutoff")
def test_lines_of_a_worker_say_whose_they_are(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text().replace("train = 24", "train = 8").replace("test = 5", "test = 2"))
    with pytest.raises(SystemExit) as stop:
        main(["-v", "label", str(study), "--no-check", "--workers", "2"])
    assert not stop.value.code
    captured = capfd.readouterr()
    lines = [line for line in captured.err.splitlines() if RELAXATION in line]
    assert lines and all(re.match(r"worker \d+: relaxation step ", line) for line in lines)
    assert RELAXATION not in captured.out


def test_showing_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        show_log(logging.DEBUG)
        show_log(logging.INFO, prefix="100% ")
        assert shown_level() == logging.INFO
        logging.getLogger("cellfields.engines.planewave").info("a line")
        logging.getLogger("cellfields.engines.planewave").debug("left out")
    finally:
        hide_log()
    logging.getLogger("cellfields.engines.planewave").info("later")
    hide_log()
    assert capsys.readouterr() == ("", "100% a line\n")
