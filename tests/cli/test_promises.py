"""A name's extension is a promise, and a file of another kind is called what it is, before anything is computed."""

from __future__ import annotations

import pytest

from cellfields.cli._output import WRITTEN_SUFFIX, check_target
from cellfields.dataset.claim import claimed
from cellfields.errors import InputError
from tests.cli.conftest import Shell

D = ("--D", "1,1,1,90,90,90")


@pytest.mark.parametrize("option", sorted(WRITTEN_SUFFIX))
def test_every_option_refuses_the_suffix_of_another_format(option: str, tmp_path) -> None:
    right = WRITTEN_SUFFIX[option]
    check_target(tmp_path / f"name{right}", option)
    check_target(tmp_path / f"name{right.upper()}", option)
    check_target(tmp_path / "name", option)
    with pytest.raises(InputError, match=f"only {right} files are written"):
        check_target(tmp_path / "name.cube", option)


def test_fields_are_not_written_under_the_name_of_a_cube(shell: Shell) -> None:
    for command, option, name, suffix in [
        (("solve", shell.config, *D), "--fields", "f.cube", ".npz"),
        (("solve", shell.config, *D), "--json", "f.csv", ".json"),
        (("predict", "mg", *D), "--fields", "f.vti", ".npz"),
        (("uniaxial", "mg", "--direction", "1"), "--record", "f.csv", ".jsonl"),
        (("pack", shell.folder), "", "f.zip", ".pack"),
    ]:
        result = shell(*command, *filter(None, (option,)), shell.folder / name)
        assert result.code == 2 and result.out == ""
        assert f"only {suffix} files are written" in result.err and len(result.err.splitlines()) == 1
    assert shell.files() == ["study.toml"] and shell.solves() == 0


def test_a_file_of_another_kind_is_called_what_it_is(shell: Shell) -> None:
    for command in ("predict", "start", "predictor"):
        rest = {
            "predict": D,
            "start": (*D, "--abinit", shell.folder / "there"),
            "predictor": ("--deformations", "x.npy"),
        }
        result = shell(command, shell.config, *rest[command])
        assert result.code == 2
        if command != "predictor":
            assert "is a study file, not a trained model: `cellfields solve" in result.err
    for name, words in (("m.safetensors", "a trained model"), ("d.pack", "a packed dataset"), ("s.cif", "a structure")):
        result = shell("solve", shell.folder / name, *D)
        assert result.code == 2 and words in result.err and "study file" in result.err


def test_a_second_run_on_one_directory_is_told_and_solves_nothing(shell: Shell) -> None:
    assert shell("label", shell.config).code == 0
    shell.edit("train = 24", "train = 26")
    solves = shell.solves()
    with claimed(shell.folder / "run" / "dataset"):
        result = shell("run", shell.config)
    assert result.code == 2 and "is being labelled already" in result.err.splitlines()[-1]
    assert shell.solves() == solves
    assert shell("label", shell.config).code == 0 and shell.solves() > solves
