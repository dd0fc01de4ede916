"""Completion in the shell: the script that a shell loads, and what it is offered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from cellfields.cli import main; main()"]


def run(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_of_a_shell(shell: str) -> None:
    script = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert f"_CELLFIELDS_COMPLETE=complete_{shell}" in script
    assert ("complete -o default -F" if shell == "bash" else "#compdef cellfields") in script
    assert run(_CELLFIELDS_COMPLETE=f"source_{shell}").strip() == script.strip()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_loads_its_script_and_offers_the_commands(tmp_path: Path) -> None:
    program = tmp_path / "cellfields"
    program.write_text(f"#!{sys.executable}\nfrom cellfields.cli import main\nmain()\n")
    program.chmod(0o755)
    session = (
        f'PATH="{tmp_path}:$PATH"; eval "$(_CELLFIELDS_COMPLETE=source_bash cellfields)"; complete -p cellfields; '
        'COMP_WORDS=(cellfields pre); COMP_CWORD=1; _cellfields_completion cellfields; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", session], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["complete -o default -F _cellfields_completion cellfields", "predict predictor"]


def test_zsh_is_offered_commands_with_their_help_and_options() -> None:
    offered = run(_CELLFIELDS_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="cellfields pre")
    assert '"predict":"Predict one deformation' in offered and '"predictor":' in offered and '"run"' not in offered
    assert run(_CELLFIELDS_COMPLETE="complete_bash", COMP_WORDS="cellfields predict --gr", COMP_CWORD="2") == "--grid\n"
