"""What ABINIT is given for an element: the embedded engine's numbers, or the user's file, or a refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.dft.pseudopotential import (
    GTHPseudopotential,
    builtin_elements,
    builtin_pseudopotential,
    load_pseudopotential,
)
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit.pseudopotentials import PseudopotentialFile, format_10, pseudopotential_file
from cellfields.errors import InputError
from tests.dft.test_psp5 import file_lines


def made(symbol: str = "Mg", path: Path | None = None, **settings: object) -> PseudopotentialFile:
    files = {} if path is None else {symbol: path}
    return pseudopotential_file(
        symbol, PlaneWaveSettings(cutoff=6, kmesh=(1, 1, 1), pseudopotentials=files, **{"smearing": "cold", **settings})
    )


def written(folder: Path, text: str, name: str = "ion.psp") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("functional", ["lda", "pbe"])
def test_format_10_holds_every_digit_of_every_built_in_ion(tmp_path: Path, functional: str) -> None:
    """Read back by this package's own reader of the format."""
    ions = [
        builtin_pseudopotential(symbol, functional, valence)
        for symbol, valences in builtin_elements(functional).items()
        for valence in valences
    ]
    assert len(ions) >= 3
    for ion in ions:
        path = written(tmp_path, format_10(ion))
        again = load_pseudopotential(ion.symbol, {ion.symbol: path}, functional=functional)
        assert isinstance(again, GTHPseudopotential)
        assert (again.valence, again.radius, again.coefficients) == (ion.valence, ion.radius, ion.coefficients)
        kept = [channel for channel in ion.channels if channel.coupling.any()]
        for ours, theirs in zip(kept, again.channels, strict=True):
            assert (ours.l, ours.radius) == (theirs.l, theirs.radius)
            assert np.array_equal(ours.coupling, theirs.coupling)


def test_built_in_ion() -> None:
    file = made()
    assert (file.name, file.valence) == ("Mg.gth", 2)
    assert file.content == format_10(builtin_pseudopotential("Mg")).encode()
    lines = file.content.decode().splitlines()
    assert lines[2].split()[:2] == ["10", "1"] and lines[3].split()[:3] == ["0.651812", "1", "-2.864297"]
    assert made(functional="pbe").content.decode().splitlines()[2].split()[:2] == ["10", "11"]
    assert made(functional="pbe").fingerprint != file.fingerprint
    with pytest.raises(InputError, match=r"local_channels\.Mg: the built-in pseudopotential has a local part"):
        made(local_channels={"Mg": 0})
    with pytest.raises(InputError, match="there is no built-in one for Og"):
        made("Og")


def test_files_in_abinits_format_are_passed_on(tmp_path: Path) -> None:
    text = "\n".join(file_lines()) + "\n"
    file = made(path=written(tmp_path, text))
    assert (file.name, file.content, file.valence) == ("Mg.psp", text.encode(), 2.0)
    other = made(path=written(tmp_path, text + " ", "other"))
    assert other.fingerprint != file.fingerprint


def test_formats_that_only_abinit_knows(tmp_path: Path) -> None:
    """Format 6 (Fritz-Haber-Institut); the header is all that is read here."""
    text = "title\n 14.0 4.0 980101 zatom zion date\n 6 7 2 2 495 0 pspcod pspxc lmax lloc mmax r2well\nwhatever\n"
    file = made("Si", written(tmp_path, text))
    assert (file.valence, file.content) == (4.0, text.encode())


def test_local_channel_is_written_into_the_header(tmp_path: Path) -> None:
    lines = file_lines()
    path = written(tmp_path, "\n".join(lines))
    changed = made(path=path, local_channels={"Mg": 0}).content.decode().split("\n")
    assert changed[2].split()[:5] == ["5", "7", "2", "0", lines[2].split()[4]]
    assert changed[:2] + changed[3:] == lines[:2] + lines[3:]
    assert made(path=path, local_channels={"Mg": 2}).content == path.read_bytes()
    with pytest.raises(InputError, match=r"holds no channel l = 3 \(0 … 2\)"):
        made(path=path, local_channels={"Mg": 3})
    lines[2] = lines[2].replace("5 7", "6 7", 1)
    with pytest.raises(InputError, match="only its format 5 leaves local_channels a choice"):
        made(path=written(tmp_path, "\n".join(lines)), local_channels={"Mg": 0})


def test_cp2k_files_are_written_in_abinits_format(tmp_path: Path) -> None:
    text = """# a comment
Mg GTH-PADE-q2 GTH-LDA-q2
    2
    0.57696017    1    -2.69040744
    2
    0.59392350    2     3.50321099    -0.71677167
                                       0.92534825
    0.70715728    1     0.83115848
"""
    file = made(path=written(tmp_path, text))
    assert file.name == "Mg.gth" and file.valence == 2
    assert b"\n0.57696017 1 -2.69040744 " in file.content and b"0.5939235 2 3.50321099 -0.71677167" in file.content


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("t\n12.0 2.0 1\n7 7 0 0 350 0\n", {}, "is of ABINIT format 7; only norm-conserving"),
        ("t\n13.0 3.0 1\n5 7 0 0 350 0\n", {}, r"is for atomic number 13, not for Mg \(12\)"),
        ("t\n12.0 2.0 1\n8 11 0 0 350 0\n", {}, 'was made for pbe, not for functional = "lda"'),
        ("t\n12.0 2.0 1\n8 7 0 0 350 0\n", {"functional": "pbe"}, 'was made for lda, not for functional = "pbe"'),
        ("t\n12.0 2.0 1\n8 7 0 0 350 0\n", {"valences": {"Mg": 10}}, "is for an ion of charge 2, not 10"),
        ("t\n12.0 nonsense\n8 7 0 0 350 0\n", {}, "is not a complete ABINIT pseudopotential file"),
        ("no pseudopotential\n", {}, "is not a pseudopotential file of a known format"),
    ],
)
def test_refused_files(tmp_path: Path, text: str, settings: dict[str, object], message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=rf"pseudopotentials\.Mg: .*ion\.psp {message}"):
        made(path=path, **settings)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pseudopotentials\.Mg: .*nowhere cannot be read \(No such file"):
        made(path=tmp_path / "nowhere")
