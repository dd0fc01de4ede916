"""Files of analytic pseudopotentials: ABINIT's formats 2, 3 and 10, and CP2K's text, against what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.dft.pseudopotential import GTHPseudopotential, builtin_pseudopotential, load_pseudopotential
from cellfields.errors import InputError

FORMAT_2 = """Goedecker-Teter-Hutter
14  4   960531                     zatom,zion,pspdat
2   1   1    0    2001    0.       pspcod,pspxc,lmax,lloc,mmax,r2well
0.4400000 -6.9136286 0.0000000 0 0 rloc, c1, c2, c3, c4
.4243338 3.2081318 2.5888808       rs, h1s, h2s
.4853587 2.6562230                 rp, h1p
       1.713892 .5   0.72803805           rcutoff, rloc
"""
FORMAT_3 = """Hartwigsen-Goedecker-Hutter psp for Si
   14   4  010605 zatom,zion,pspdat
 3 1   1 0 2001 0  pspcod,pspxc,lmax,lloc,mmax,r2well
  0.440000   -7.336103    0.000000    0.000000   0.000000 rloc, c1, c2, c3, c4
  0.422738    5.906928    3.258196    0.000000          rs, h11s, h22s, h33s
  0.484278    2.727013    0.000000    0.000000          rp, h11p, h22p, h33p
              0.000373    0.014437    0.000000                          k11p, k22p, k33p
1.8060253  0.4227380  0.7264170
"""
F_CHANNELS = """  0.4   1.0   0.0   0.0   rd, h11d, h22d, h33d
  0.0   0.0   0.0   k11d, k22d, k33d
  0.4   1.0   0.1   0.0   rf, h11f, h22f, h33f: there is no rule for the second one's coupling
  0.0   0.0   0.0   k11f, k22f, k33f
"""
FORMAT_10 = """Goedecker pseudopotential for Sb
   51   5  070301 zatom,zion,pspdat
10 11  2 0 2001 0  pspcod,pspxc,lmax,lloc,mmax,r2well
     0.59000000    1     7.92852084                                                 rloc nloc c1
    3                                                                               nnonloc
     0.55613636    3     1.43047790     1.26142599    -0.92323353                   rs ns hs11 hs12 hs13
                                       -3.13013340     2.38377872                              hs22 hs23
                                                      -1.89206570                                   hs33
     0.62275507    2     0.56147233     0.30484522                                  rp np hp11 hp12
                                       -0.36069773                                             hp22
                         0.23747176    -0.10907432                                        kp11 kp12
                                        0.12905847                                             kp22
     0.88948576    1     0.27086864                                                 rd nd hd11
                         0.00696671                                                       kd11
"""
CP2K = """# A comment with Si GTH-PADE-q4 in it
Si GTH-PADE-q4 GTH-LDA-q4
    2    2
     0.44000000    1    -7.33610297
    2
     0.42273813    2     5.90692831    -1.26189397
                                        3.25819622
     0.48427842    1     2.72701346
#
Si GTH-PBE-q4
    2    2
     0.44    1    -6.26928833  # the rest on one line
    2   0.43563383    2     8.95174150    -2.70627082 3.49378060     0.49794218    1     2.43127673
Mg GTH-PADE-q10
    4    6
     0.21094954    2   -19.41900751     2.87133099
    2
     0.14154696    1    40.31662629
     0.10546915    1   -10.89111300
Mg GTH-PADE-q2
    2
     0.65181169    1    -2.86429746
    2
     0.55647814    2     2.97095712    -0.51508390
                                        1.32994091
     0.67756881    1     1.04988101
C GTH-NLCC-PBE-q4
    2    2
     0.31479   1   -7.24
    NLCC  1
     0.27  1   44.7
    0
H ALL-q1
    1
     0.2   0
    0
"""


def load(tmp_path: Path, symbol: str, text: str, **more: object) -> GTHPseudopotential:
    path = tmp_path / "ion"
    path.write_text(text, encoding="utf-8")
    ion = load_pseudopotential(symbol, {symbol: path}, **more)  # type: ignore[arg-type]
    assert isinstance(ion, GTHPseudopotential)
    return ion


def test_format_2_has_uncoupled_projectors(tmp_path: Path) -> None:
    ion = load(tmp_path, "Si", FORMAT_2)
    assert (ion.valence, ion.radius, ion.coefficients, ion.functional) == (4, 0.44, (-6.9136286,), "lda")
    assert [(c.l, c.radius) for c in ion.channels] == [(0, 0.4243338), (1, 0.4853587)]
    assert np.array_equal(ion.channels[0].coupling, np.diag([3.2081318, 2.5888808]))
    assert np.array_equal(ion.channels[1].coupling, [[2.656223]])


def test_format_3_is_the_built_in_table(tmp_path: Path) -> None:
    """The same numbers; the fingerprint is the table's own."""
    assert load(tmp_path, "Si", FORMAT_3).fingerprint == builtin_pseudopotential("Si").fingerprint


def test_format_10_writes_couplings_out(tmp_path: Path) -> None:
    ion = load(tmp_path, "Sb", FORMAT_10, functional="pbe")
    assert (ion.valence, ion.radius, ion.coefficients) == (5, 0.59, (7.92852084,))
    s, p, d = ion.channels
    assert np.array_equal(
        s.coupling,
        [
            [1.43047790, 1.26142599, -0.92323353],
            [1.26142599, -3.13013340, 2.38377872],
            [-0.92323353, 2.38377872, -1.89206570],
        ],
    )
    assert np.array_equal(p.coupling, [[0.56147233, 0.30484522], [0.30484522, -0.36069773]])
    assert (d.l, d.radius, d.coupling.tolist()) == (2, 0.88948576, [[0.27086864]])


def test_cp2k_entries_are_chosen_by_functional_and_valence(tmp_path: Path) -> None:
    lda, pbe = load(tmp_path, "Si", CP2K), load(tmp_path, "Si", CP2K, functional="pbe")
    assert lda.coefficients == (-7.33610297,)
    assert pbe.fingerprint == builtin_pseudopotential("Si", "pbe").fingerprint
    assert load(tmp_path, "Mg", CP2K, valences={"Mg": 2}).channels[0].coupling[0, 1] == -0.51508390
    assert load(tmp_path, "Mg", CP2K, valences={"Mg": 10}).radius == 0.21094954


@pytest.mark.parametrize(
    ("symbol", "text", "more", "words"),
    [
        ("Mg", CP2K, {}, r"several of Mg .*\(GTH-PADE-q10, GTH-PADE-q2\); choose one with valences\.Mg"),
        ("Mg", CP2K, {"valences": {"Mg": 8}}, r"none of Mg for functional = \"lda\" and valence 8, only GTH-PADE-q10"),
        ("Mg", CP2K, {"functional": "pbe"}, 'none of Mg for functional = "pbe", only GTH-PADE-q10, GTH-PADE-q2'),
        ("Al", CP2K, {}, "holds no pseudopotential of Al"),
        ("C", CP2K.replace("NLCC-PBE", "PBE"), {"functional": "pbe"}, "with CP2K's core correction, which is not supp"),
        ("C", CP2K, {"functional": "pbe"}, 'none of C for functional = "pbe", only GTH-NLCC-PBE-q4'),
        ("H", CP2K.replace("ALL-q1", "ALLELECTRON"), {}, "none of H"),
        ("Si", CP2K.replace("3.25819622", ""), {}, "not a complete CP2K GTH file"),
        ("Si", CP2K.replace("0.44000000    1", "0.44000000    7"), {}, "not a complete CP2K GTH file"),
        ("Si", FORMAT_3, {"valences": {"Si": 2}}, r"valences\.Si = 2: .*ion is for an ion of charge 4"),
        ("Si", FORMAT_3, {"local_channels": {"Si": 0}}, "has a local part of its own"),
        ("Si", FORMAT_3.replace("0.484278", "-0.484278"), {}, "not a complete ABINIT format-3 file"),
        ("Si", FORMAT_3.replace("-7.336103", "inf"), {}, "not a complete ABINIT format-3 file"),
        ("Si", FORMAT_3.replace("3 1   1 0", "3 1   7 0"), {}, "not a complete ABINIT format-3 file"),
        ("Si", FORMAT_3.replace("3 1   1 0", "3 1   3 0") + F_CHANNELS, {}, "not a complete ABINIT format-3 file"),
        ("Si", FORMAT_3[:200], {}, "not a complete ABINIT format-3 file"),
        ("Sb", FORMAT_10, {}, 'made for functional = "pbe", not for functional = "lda"'),
        ("Sb", FORMAT_10.replace("10 11", "10 18"), {}, "made for ABINIT's functional 18"),
        (
            "Sb",
            FORMAT_10.replace("    3       ", "    9       ", 1),
            {"functional": "pbe"},
            "not a complete ABINIT for",
        ),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, symbol: str, text: str, more: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path, symbol, text, **more)
    assert "\n" not in str(caught.value)
