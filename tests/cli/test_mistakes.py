"""What people type wrong: one sentence that says what is wrong and what to do, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Shell

D = "1.01,1,1,90,90,90"


def _species(symbols: str) -> Callable[[Shell], None]:
    return lambda shell: shell.edit('species = ["Mg", "Mg", "Mg", "Mg"]', f"species = {symbols}")


def _write(name: str, text: str) -> Callable[[Shell], None]:
    return lambda shell: void((shell.folder / name).write_text(text))


def void(_: object) -> None:
    return None


def _nothing(shell: Shell) -> None:
    return None


def _other_version(shell: Shell) -> None:
    header = '{"format": "cellfields-surrogate", "version": 99, "sha256": "0", "content": {}}'
    save_file({"x": np.zeros(1)}, shell.folder / "new.safetensors", metadata={"cellfields": header})


@pytest.mark.parametrize(
    ("prepare", "arguments", "told"),
    [
        (_nothing, ["solve", "study.toml", "--D", D, "--fields", "f.cube"], "let the name end in .npz"),
        (_nothing, ["solve", "study.toml", "--D", D, "--json", "none/f.json"], "none does not exist"),
        (_nothing, ["solve", "study.toml", "--D", D, "--grid", "9,9,9"], "add --fields FILE.npz"),
        (_nothing, ["predict", "mg", "--D", D, "--grid", "9,9,9"], "add --fields FILE.npz"),
        (_nothing, ["solve", "study.toml", "--D", "1.01,1,1"], "must be six numbers λa,λb,λc,θa,θb,θc"),
        (_nothing, ["solve", "missing.toml", "--D", D], "missing.toml does not exist (`cellfields init` writes one)"),
        (_nothing, ["solve", "folder", "--D", D], "folder is a folder, where a study file (TOML) is wanted"),
        (_nothing, ["predict", "folder", "--D", D], "folder is a folder, where a model file (.safetensors) is wanted"),
        (_nothing, ["predict", "study.toml", "--D", D], "is a study file, not a trained model"),
        (_other_version, ["predict", "new.safetensors", "--D", D], "version"),
        (_write("empty.toml", "\n# nothing\n"), ["run", "empty.toml"], "empty.toml is empty (`cellfields init`"),
        (_write("empty.cif", ""), ["init", "new", "--structure", "empty.cif"], "empty.cif is empty"),
        (_species('["Mg", "Mg", "Mg", "Xx"]'), ["run", "study.toml"], "'Xx' is not a chemical symbol"),
        (_species("[]"), ["run", "study.toml"], "species is empty: a crystal has at least one atom"),
        (lambda shell: shell.edit("kmesh", "kmsh"), ["run", "study.toml"], "engine.kmsh (did you mean kmesh?)"),
        (
            lambda shell: shell.edit('smearing = "cold"', 'smearing = "warm"'),
            ["run", "study.toml"],
            """engine.smearing = "warm" must be one of 'cold'""",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_one_sentence_and_nothing_written(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Shell], None], arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(shell.folder)
    (shell.folder / "folder").mkdir()
    prepare(shell)
    before = shell.files()
    result = shell(*arguments)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1), result.err
    assert told in result.err
    assert shell.files() == before
    assert shell.solves() == 0
