"""ABINIT format-1 files: the made-up ion of test_psp5.py on Teter's mesh, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.dft.pseudopotential import load_pseudopotential
from cellfields.errors import InputError
from tests.dft.test_psp5 import GTH, SHIFTS, WAVES, Q, _rows, local_potential, read
from tests.dft.test_psp5 import file_lines as psp5_lines
from tests.engines.planewave.problems import four_point

X = np.arange(2001) / 2000 + 0.01
MESH = 100 * X**5 - 1e-8


def file_lines() -> list[str]:
    lines = ["made-up magnesium", "12.0 2.0 20240101 zatom zion date", "1 1 2 2 2001 0.0 pspcod pspxc lmax lloc mmax"]
    for l in range(3):
        lines += [f"{l} 0.0 0.0 {int(l != 2)} 2.0 l e99.0 e99.9 nproj rcpsp", "0.0 0.0 0.0 0.0 rms ekb1 ekb2 epsatm"]
    lines.append("0.9 0.5 0.2 rchrg fchrg qchrg")
    for l in range(3):
        lines += [f"{l} = l", *_rows(local_potential(np.maximum(MESH, 1e-9)) + SHIFTS[l](MESH))]
    for l in range(3):
        lines += [f"{l} = l", *_rows(WAVES[l](MESH))]
    return lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "12mg.pspnc"
    made.write_text("\n".join(file_lines()) + "\n", encoding="utf-8")
    return made


def test_local_part_has_its_closed_transform(path: Path) -> None:
    ion = read(path)
    assert (ion.symbol, ion.valence, ion.functional, ion.local_channel) == ("Mg", 2.0, "lda", 2)
    assert np.allclose(ion.local(Q), GTH.local(Q), atol=2e-7)
    assert abs(ion.local_average() - GTH.local_average()) < 1e-8
    numeric = [four_point(lambda t, q=q: float(ion.local(np.array([q + t]))[0]), 1e-4 * q) / q for q in Q]
    assert np.allclose(ion.local_slope(Q), numeric, rtol=1e-6, atol=1e-5)


def test_same_ion_as_in_format_5(path: Path, tmp_path: Path) -> None:
    """Two meshes, two rules of integration: projectors and couplings agree to the quadrature."""
    other = tmp_path / "mg.psp5"
    other.write_text("\n".join(psp5_lines()) + "\n", encoding="utf-8")
    ours, theirs = read(path), read(other)
    assert [channel.l for channel in ours.channels] == [channel.l for channel in theirs.channels] == [0, 1]
    for one, two in zip(ours.channels, theirs.channels, strict=True):
        assert np.allclose(one.coupling, two.coupling, rtol=1e-7)
        assert np.allclose(one.radial(Q), two.radial(Q), rtol=1e-6, atol=1e-6)
        assert np.allclose(one.radial_slope(Q), two.radial_slope(Q), rtol=1e-4, atol=1e-5)


def test_core_charge_and_local_channel(path: Path) -> None:
    ion = read(path)
    assert ion.core_charge is not None and ion.core_charge.radius == pytest.approx(2.7)
    moved = load_pseudopotential("Mg", {"Mg": path}, {"Mg": 0})
    assert [channel.l for channel in moved.channels] == [1, 2]  # the file has a wavefunction of its local l, too
    assert moved.fingerprint != ion.fingerprint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "not a complete ABINIT format-1 file"),
        (lambda lines: [*lines[:2], lines[2].replace("2001", "2000"), *lines[3:]], "not a complete"),
        (lambda lines: [*lines[:3], lines[3].replace("0.0 1 2.0", "0.0 2 2.0"), *lines[4:]], "more than one projector"),
        (lambda lines: [*lines[:2], lines[2].replace("1 1 2", "1 13 2", 1), *lines[3:]], "functional 13, not for func"),
    ],
    ids=["cut", "mesh", "projectors", "functional"],
)
def test_unusable_files_are_refused(tmp_path: Path, change, words: str) -> None:
    path = tmp_path / "bad.pspnc"
    path.write_text("\n".join(change(file_lines())), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        load_pseudopotential("Mg", {"Mg": path})
