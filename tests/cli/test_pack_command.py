"""pack and unpack from the command line: a file that says its errors, a folder in which the study goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellfields.dataset import DatasetStore

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_a_study_goes_on_in_an_unpacked_dataset(shell: Shell) -> None:
    assert shell("label", shell.config).code == 0
    solves = shell.solves()
    packed = shell.folder / "mg.pack"
    result = shell("pack", shell.folder / "run" / "dataset", packed, "--tolerance", "1e-3")
    assert result.code == 0, result.err
    assert "29 states" in result.out
    assert "density" in result.out and "largest error" in result.out
    original = shell.folder / "run" / "dataset"
    original.rename(shell.folder / "original")
    back = shell("unpack", packed, original)
    assert back.code == 0, back.err
    assert "(29 states)" in back.out
    assert shell("label", shell.config).code == 0
    assert shell.solves() == solves
    assert shell("train", shell.config).code == 0
    state = next(iter(DatasetStore.open(original).states()))
    assert state.provenance["packed"][0]["fields"]["density"]["relative_l2_max"] <= 1.001e-3


def test_json_holds_sizes_and_errors(shell: Shell) -> None:
    assert shell("label", shell.config).code == 0
    packed = shell.folder / "mg.pack"
    table = shell("pack", shell.folder / "run" / "dataset", packed, "--modes", "3", "--json", "-").json()
    assert table["bytes"] == packed.stat().st_size < table["dataset_bytes"]
    assert table["states"] == 29
    info = shell("info", packed, "--json", "-").json()
    assert {name: info[name] for name in ("bytes", "states", "fields")} == {
        name: table[name] for name in ("bytes", "states", "fields")
    }
    assert "relative_l2_max" in shell("info", packed).out
    for field in table["fields"].values():
        assert field["modes"] == 3
        assert 0 < field["relative_l2_mean"] <= field["relative_l2_max"]


def test_mistakes_are_one_line_and_write_nothing(shell: Shell) -> None:
    assert shell("label", shell.config).code == 0
    dataset, target = shell.folder / "run" / "dataset", shell.folder / "mg.pack"
    garbage = shell.folder / "garbage.pack"
    garbage.write_bytes(b"garbage")
    files = shell.files()
    for arguments, words in (
        (("pack", shell.folder / "nothing", target), "not a cellfields dataset"),
        (("pack", dataset, shell.folder / "no" / "mg.pack"), "does not exist"),
        (("pack", dataset, target, "--tolerance", "2"), "tolerance = 2"),
        (("pack", dataset, target, "--cutoff", "-1"), "cutoff = -1"),
        (("pack", dataset, target, "--cutoff", "1", "--tolerance", "0.1"), "exclude each other"),
        (("pack", dataset, target, "--modes", "0"), "modes = 0"),
        (("unpack", target, shell.folder / "back"), "cannot read"),
        (("unpack", garbage, shell.folder / "back"), "not a file that cellfields sealed"),
    ):
        result = shell(*arguments)
        assert result.code == 2, result
        assert result.out == ""
        assert len(result.err.splitlines()) == 1
        assert words in result.err
    assert shell.files() == files
