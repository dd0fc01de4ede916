"""One loader: it knows a file by its content, refuses by name what it cannot use, and survives any bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cellfields.dft.pseudopotential import load_pseudopotential
from cellfields.dft.pseudopotential.loading import read_pseudopotential
from cellfields.dft.pseudopotential.source import Source, finite
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError
from tests.dft.test_hgh_files import CP2K, FORMAT_2, FORMAT_3, FORMAT_10
from tests.dft.test_psp1 import file_lines as psp1_lines
from tests.dft.test_psp5 import file_lines as psp5_lines
from tests.dft.test_psp8_upf import psp8_lines, upf1_text, upf2_text
from tests.engines.planewave.problems import aluminium

ABINIT_FILES = Path("/usr/share/abinit/psp")
ABSENT = pytest.mark.skipif(not ABINIT_FILES.is_dir(), reason="abinit-data is not installed")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a pseudopotential file of a known format"),
        (b"hello\n", "not a pseudopotential file of a known format"),
        (b"\x89PNG\r\n\x1a\n\0\0", "cannot be read as a text file"),
        (b"\xff\xfe\n\0", "cannot be read as a text file"),
        (b"Al\n13 3 0\n7 11 2 0 500 0\n", "of ABINIT format 7, made with the PAW method; supported are"),
        (b"Al\n13 3 0\n6 7 2 0 500 0\n", "of ABINIT format 6; supported are ABINIT's formats 1, 2, 3, 5, 8 and 10"),
        (b'<?xml version="1.0"?>\n<paw_dataset version="0.7">\n', "made with the PAW method; supported are"),
        (b'<?xml version="1.0"?>\n<psml version="1.1">\n', "is in the PSML format; supported are"),
        (b"  PAW_PBE Al 04Jan2001\n 3.0\n parameters\n   VRHFIN =Al: s2p1\n", "POTCAR of VASP, made with the PAW"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_pseudopotential("Al", {"Al": path})


@pytest.mark.parametrize("name", ["gth", "psp8", "upf"])
def test_a_latin_letter_and_a_byte_order_mark(tmp_path: Path, name: str) -> None:
    """One accented letter in a title does not make a file unreadable."""
    text = {"gth": FORMAT_10, "psp8": "\n".join(psp8_lines()), "upf": upf2_text()}[name]
    symbol = "Sb" if name == "gth" else "Mg"
    accented = f"<!-- f\xfcr -->\n{text}" if name == "upf" else text.replace("\n", " f\xfcr\n", 1)
    before = read_pseudopotential(Source.of_bytes(symbol, text.encode(), "file"))
    for content in (accented.encode("latin-1"), b"\xef\xbb\xbf" + accented.encode("utf-8")):
        (tmp_path / name).write_bytes(content)
        ion = load_pseudopotential(symbol, {symbol: tmp_path / name}, functional=before.functional)
        assert ion.valence == before.valence
        np.testing.assert_array_equal(ion.local(np.linspace(0.1, 5, 20)), before.local(np.linspace(0.1, 5, 20)))


def test_exponents_without_their_letter() -> None:
    found = finite([["0.33004-101", "1.5D-03"], ["-1.5d+2", "2"]], (2, 2))
    np.testing.assert_array_equal(found, [[0.33004e-101, 1.5e-3], [-150, 2]])
    source = Source("Mg", "file", "0.33004-101 1.5D-03\n")
    assert source.numbers(0, 2) == [0.33004e-101, 1.5e-3]
    np.testing.assert_array_equal(source.table(0, 1, 2), [[0.33004e-101, 1.5e-3]])


def test_missing_files_folders_and_giants_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_pseudopotential("Al", {"Al": path})
    giant = tmp_path / "giant"
    with giant.open("wb") as file:
        file.truncate(40 * 1024 * 1024)  # a sparse file
    with pytest.raises(InputError, match="too large for a pseudopotential file"):
        load_pseudopotential("Al", {"Al": giant})


def test_the_engine_asks_for_its_functional() -> None:
    def engine(**more: object) -> PlaneWaveEngine:
        return PlaneWaveEngine(
            aluminium(), PlaneWaveSettings(cutoff=5, kmesh=(2, 2, 2), **{"smearing": "cold", **more})
        )  # type: ignore[arg-type]

    assert engine().pseudopotentials["Al"].functional == "lda"
    assert engine(functional="pbe").pseudopotentials["Al"].functional == "pbe"
    with pytest.raises(InputError, match='made for lda, not for functional = "pbe"'):
        settings = PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(2, 2, 2), functional="pbe")
        PlaneWaveEngine(aluminium(), settings, pseudopotentials=engine().pseudopotentials)
    with pytest.raises(InputError, match=r"valences\.Al = 11"):
        engine(valences={"Al": 11})
    with pytest.raises(InputError, match="Si is named"):
        engine(valences={"Si": 4})


@ABSENT
@pytest.mark.parametrize(
    ("name", "symbol", "functional", "valence", "shape"),
    [
        ("13al.pspnc", "Al", "lda", 3, [(0, 1), (1, 1)]),
        ("14si.pspnc", "Si", "lda", 4, [(0, 1), (1, 1)]),
        ("13_Al_psml.psp8", "Al", "pbe", 3, [(0, 2), (1, 2), (2, 2)]),
        ("Pseudodojo_nc_sr_04_pw_standard_psp8/Au.psp8", "Au", "lda", 19, [(0, 2), (1, 2), (2, 2), (3, 1)]),
        ("14-Si.nlcc.UPF", "Si", "lda", 4, [(0, 1), (1, 1), (3, 1)]),
        ("78pt.18.khgh", "Pt", "pbe", 18, [(0, 3), (1, 3), (2, 2)]),
        ("13al.pspgth", "Al", "lda", 3, [(0, 2), (1, 1)]),
        ("14si.Hamann_mod", "Si", "lda", 4, [(1, 1), (2, 1)]),
    ],
)
def test_files_that_come_with_abinit(name: str, symbol: str, functional: str, valence: float, shape: list) -> None:
    ion = load_pseudopotential(symbol, {symbol: ABINIT_FILES / name}, functional=functional)
    assert ion.valence == valence
    assert [(c.l, len(c.coupling)) for c in ion.channels] == shape
    q = np.linspace(0.1, 5, 9)
    for values in (ion.local(q), ion.local_slope(q), *(c.radial(q) for c in ion.channels)):
        assert np.isfinite(values).all()


@ABSENT
@pytest.mark.parametrize(
    ("name", "symbol", "words"),
    [
        ("Si_r.psp8", "Si", "spin–orbit"),
        ("78_Pt_r.oncvpsp.psp8", "Pt", "spin–orbit"),
        ("73ta.tm_so", "Ta", "spin–orbit"),
        ("Si.xml", "Si", "PAW"),
        ("si_ps.736.lda", "Si", "PAW"),
        ("14_Si_oncv.psml", "Si", "PSML"),
        ("14si.fhi", "Si", "format 6"),
        ("14si.Doug_mod", "Si", "format 4"),
        ("08o.6.blyp.hgh", "O", "ABINIT's functional 18"),
        ("Si.corewf.xml", "Si", "PAW"),
        ("14si.phoney_mod", "Si", "more than one projector"),
    ],
)
def test_files_that_come_with_abinit_and_are_refused(name: str, symbol: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_pseudopotential(symbol, {symbol: ABINIT_FILES / name})


# -- any bytes ------------------------------------------------------------------------------------------------------

GOOD = [
    text.encode()
    for text in (
        FORMAT_2, FORMAT_3, FORMAT_10, CP2K, "\n".join(psp1_lines()), "\n".join(psp5_lines()), "\n".join(psp8_lines()),
        upf1_text(), upf2_text(),
    )
]  # fmt: skip
NASTY = [b"", b"nan", b"inf", b"-1", b"0", b"1e308", b"-1e308", b"9" * 5000, b"1e-308", b"999999999", b"D", b"<", b">",
         b'"', b"\n", b"\0", b"\xff", b"</PP_R>", b"<PP_BETA.1 ", b"1D400", b"2001"]  # fmt: skip


def survives(content: bytes) -> None:
    """A pseudopotential or one sentence, within seconds of this process' own time."""
    start = time.process_time()
    for symbol in ("Si", "Mg"):
        try:
            ion = read_pseudopotential(Source.of_bytes(symbol, content, "file"))
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert 0 < ion.valence < 150
    assert time.process_time() - start < 5


@examples(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(content: bytes) -> None:
    survives(content)


@st.composite
def damaged(draw: Callable) -> bytes:
    """A good file with a few words or pieces of it replaced, cut out, repeated or shortened."""
    content = draw(st.sampled_from(GOOD))
    head = min(len(content), 1500)  # most of what decides stands there
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, head)) if draw(st.booleans()) else draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 12))
        content = content[:start] + draw(st.sampled_from(NASTY)) + content[start + length :]
    if draw(st.booleans()):
        content = content[: draw(st.integers(0, len(content)))]
    return content


@examples(max_examples=150, deadline=None)
@given(damaged())
def test_damaged_files(content: bytes) -> None:
    survives(content)


@pytest.mark.parametrize(
    "piece", [b"<PP_HEADER", b"<PP_HEADER x=", b"<PP_R ", b"H GTH-\n", b"1 2 3\n", b"\n", b" ", b'"'], ids=repr
)
def test_repetition_does_not_hang(piece: bytes) -> None:
    """A megabyte of what patterns begin with: everything is linear in the length."""
    survives(piece * (1_000_000 // len(piece)))
    survives(b"<PP_HEADER element='Si'>" + piece * (1_000_000 // len(piece)))
