"""ABINIT format 8 and UPF, versions 1 and 2: one made-up ion with Gaussian projectors written in all three; refusals.

The ion has two coupled projectors of l = 0 and one of l = 1 and 2, Magnesium's GTH local potential, and a core.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf, spherical_jn

from cellfields.dft.pseudopotential import builtin_pseudopotential, load_pseudopotential
from cellfields.errors import InputError
from tests.engines.planewave.problems import four_point

Q = np.array([0.05, 0.3, 1.0, 2.7, 6.0])
GTH = builtin_pseudopotential("Mg")
STEP, POINTS = 0.01, 601
MESH = STEP * np.arange(POINTS)
# l, r p(r), coupling
PROJECTORS: list[tuple[int, Callable[[np.ndarray], np.ndarray], float]] = [
    (0, lambda r: 1.3 * r * np.exp(-1.5 * r**2), 4.0),
    (0, lambda r: r * (1 - r**2) * np.exp(-1.2 * r**2), -0.7),
    (1, lambda r: 0.9 * r**2 * np.exp(-1.6 * r**2), 1.5),
    (2, lambda r: 0.5 * r**3 * np.exp(-1.6 * r**2), -2.0),
]


def local_potential(r: np.ndarray) -> np.ndarray:
    x = np.maximum(r, 1e-9) / GTH.radius
    return -2 / (x * GTH.radius) * erf(x / np.sqrt(2)) + GTH.coefficients[0] * np.exp(-0.5 * x**2)


def core(r: np.ndarray) -> np.ndarray:
    return 0.4 * np.exp(-0.7 * r**2)


def psp8_lines(functional: int = -1012, extension: int = 1, core_factor: float = 1.0) -> list[str]:
    lines = [
        "Mg    ONCVPSP-3.3.0  made up",
        "  12.0000  2.0000  171101    zatom,zion,pspd",
        f"  8  {functional}  2  4  {POINTS}  0    pspcod,pspxc,lmax,lloc,mmax,r2well",
        f"  5.90  {core_factor}  0.0    rchrg fchrg qchrg",
        "  2  1  1  0  0    nproj",
        f"  {extension}  1    extension_switch",
    ]
    for l in range(3):
        mine = [(p, e) for k, p, e in PROJECTORS if k == l]
        lines.append(f"{l} " + " ".join(f"{e:.13E}".replace("E", "D") for _, e in mine))
        lines += [
            f"{i + 1} {r:.13E} " + " ".join(f"{float(p(r)):.13E}".replace("E", "D") for p, _ in mine)
            for i, r in enumerate(MESH)
        ]
    lines.append("4")
    lines += [f"{i + 1} {r:.13E} {v:.13E}" for i, (r, v) in enumerate(zip(MESH, local_potential(MESH), strict=True))]
    if core_factor:
        lines += [
            f"{i + 1} {r:.13E} {4 * np.pi * c:.13E} 0 0" for i, (r, c) in enumerate(zip(MESH, core(MESH), strict=True))
        ]
    return lines


def _column(values: np.ndarray) -> str:
    return "\n".join(" ".join(f"{v:.14E}" for v in values[i : i + 4]) for i in range(0, len(values), 4))


def upf2_text(**header: str) -> str:
    """Version 2, with a line in PP_INFO that no XML parser would take."""
    attributes = {
        "element": "Mg", "pseudo_type": "NC", "is_ultrasoft": "F", "is_paw": "F", "is_coulomb": "F", "has_so": "F",
        "core_correction": "T", "functional": "PZ", "z_valence": "2.00", "number_of_proj": "4",
    } | header  # fmt: skip
    parts = ['<UPF version="2.0.1">', "<PP_INFO>", "a < b & c", "</PP_INFO>", "<PP_HEADER"]
    parts += [f'  {name}="{value}"' for name, value in attributes.items()] + ["/>"]
    parts += ["<PP_MESH>", f'<PP_R type="real" size="{POINTS}">', _column(MESH), "</PP_R>"]
    parts += ["<PP_RAB>", _column(np.full(POINTS, STEP)), "</PP_RAB>", "</PP_MESH>"]
    parts += ["<PP_NLCC>", _column(core(MESH)), "</PP_NLCC>"]
    parts += ["<PP_LOCAL>", _column(2 * local_potential(MESH)), "</PP_LOCAL>", "<PP_NONLOCAL>"]
    for i, (l, p, _) in enumerate(PROJECTORS, start=1):
        parts += [
            f'<PP_BETA.{i} type="real" angular_momentum="{l}" cutoff_radius_index="0">',
            _column(p(MESH)),
            f"</PP_BETA.{i}>",
        ]
    parts += [
        "<PP_DIJ>",
        _column(np.diag([2 * e for *_, e in PROJECTORS]).ravel()),
        "</PP_DIJ>",
        "</PP_NONLOCAL>",
        "</UPF>",
    ]
    return "\n".join(parts) + "\n"


def upf1_text(functional: str = "SLA  PZ  NOGX NOGC", kind: str = "NC") -> str:
    parts = ["<PP_INFO>", "made up", "</PP_INFO>", "<PP_HEADER>", "   0    Version Number", "  Mg    Element"]
    parts += [f"   {kind}    Norm - Conserving pseudopotential", "    T    Nonlinear Core Correction"]
    parts += [f" {functional}  Exchange-Correlation functional", "  2.0    Z valence", "  0.0    Total energy"]
    parts += [
        "  0.0  0.0    Suggested cutoff",
        "    2    Max angular momentum",
        f"  {POINTS}    Number of points in mesh",
    ]
    parts += ["    2    4    Number of Wavefunctions, Number of Projectors", "</PP_HEADER>"]
    parts += ["<PP_MESH>", "<PP_R>", _column(MESH), "</PP_R>"]
    parts += ["<PP_RAB>", _column(np.full(POINTS, STEP)), "</PP_RAB>", "</PP_MESH>"]
    parts += ["<PP_NLCC>", _column(core(MESH)), "</PP_NLCC>"]
    parts += ["<PP_LOCAL>", _column(2 * local_potential(MESH)), "</PP_LOCAL>", "<PP_NONLOCAL>"]
    for i, (l, p, _) in enumerate(PROJECTORS, start=1):
        parts += ["<PP_BETA>", f"  {i}  {l}    Beta    L", f"  {POINTS}", _column(p(MESH)), "</PP_BETA>"]
    rows = [f"  {i}  {i}  {2 * e:.14E}" for i, (*_, e) in enumerate(PROJECTORS, start=1)]
    parts += ["<PP_DIJ>", f"  {len(rows)}    Number of nonzero Dij", *rows, "</PP_DIJ>", "</PP_NONLOCAL>"]
    return "\n".join(parts) + "\n"


WRITERS: dict[str, Callable[[], str]] = {"psp8": lambda: "\n".join(psp8_lines()), "upf2": upf2_text, "upf1": upf1_text}


@pytest.fixture(params=WRITERS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = tmp_path / "mg"
    made.write_text(WRITERS[request.param](), encoding="utf-8")
    return made


def test_local_part_has_its_closed_transform(path: Path) -> None:
    ion = load_pseudopotential("Mg", {"Mg": path})
    assert (ion.symbol, ion.valence, ion.functional) == ("Mg", 2.0, "lda")
    assert np.allclose(ion.local(Q), GTH.local(Q), atol=1e-6)
    assert abs(ion.local_average() - GTH.local_average()) < 1e-8
    numeric = [four_point(lambda t, q=q: float(ion.local(np.array([q + t]))[0]), 1e-4 * q) / q for q in Q]
    assert np.allclose(ion.local_slope(Q), numeric, rtol=1e-6, atol=1e-5)


def test_projectors(path: Path) -> None:
    ion = load_pseudopotential("Mg", {"Mg": path})
    assert [(channel.l, len(channel.coupling)) for channel in ion.channels] == [(0, 2), (1, 1), (2, 1)]
    for channel in ion.channels:
        mine = [(p, e) for l, p, e in PROJECTORS if l == channel.l]
        assert np.allclose(channel.coupling, np.diag([e for _, e in mine]), rtol=1e-12)
        values, slopes = channel.radial(Q), channel.radial_slope(Q)
        assert values.shape == slopes.shape == (len(mine), len(Q))
        for i, (p, _) in enumerate(mine):
            for j, q in enumerate(Q):
                exact, _ = quad(lambda r, q=q, p=p, l=channel.l: 4 * np.pi * r * spherical_jn(l, q * r) * p(r), 0, 6)
                assert abs(values[i, j] * q**channel.l - exact) < 1e-7
            numeric = [
                four_point(lambda t, q=q, i=i, c=channel: float(c.radial(np.array([q + t]))[i, 0])) / q for q in Q[1:]
            ]
            assert np.allclose(slopes[i, 1:], numeric, rtol=1e-5, atol=1e-6)


def test_core_charge(path: Path) -> None:
    charge = load_pseudopotential("Mg", {"Mg": path}).core_charge
    assert charge is not None and 5 < charge.radius < 6  # psp8 says 5.9, of UPF it is where 1e-9 is left
    r = np.linspace(0, 5, 41)
    assert np.allclose(charge(r), core(r), atol=1e-9)


def test_they_travel_to_other_processes(path: Path) -> None:
    ion = load_pseudopotential("Mg", {"Mg": path})
    copy = pickle.loads(pickle.dumps(ion))
    assert copy.fingerprint == ion.fingerprint
    assert np.array_equal(copy.channels[0].radial(Q), ion.channels[0].radial(Q))


def test_upf_couplings_need_not_be_diagonal(tmp_path: Path) -> None:
    matrix = np.diag([2 * e for *_, e in PROJECTORS])
    matrix[0, 1] = matrix[1, 0] = 0.3
    old = _column(np.diag([2 * e for *_, e in PROJECTORS]).ravel())
    path = tmp_path / "mg.upf"
    path.write_text(upf2_text().replace(old, _column(matrix.ravel())))
    assert np.allclose(load_pseudopotential("Mg", {"Mg": path}).channels[0].coupling, [[4, 0.15], [0.15, -0.7]])


def test_betas_end_where_they_say(tmp_path: Path) -> None:
    path = tmp_path / "mg.upf"
    path.write_text(upf2_text().replace('cutoff_radius_index="0"', 'cutoff_radius_index="1"'))
    assert np.abs(load_pseudopotential("Mg", {"Mg": path}).channels[0].radial(Q)).max() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n".join(psp8_lines(extension=2)), "spin–orbit projectors"),
        ("\n".join(psp8_lines(extension=3)), "spin–orbit projectors"),
        ("\n".join(psp8_lines(functional=11)), 'made for functional = "pbe", not for functional = "lda"'),
        ("\n".join(psp8_lines(functional=-116133)), "made for ABINIT's functional -116133, not for"),
        ("\n".join(psp8_lines()[:-2]), "not a complete ABINIT format-8 file"),
        ("\n".join(psp8_lines()).replace("\n11 1.0000000000000E-01", "\n11 1.1000000000000E-01"), "not a complete"),
        ("\n".join(psp8_lines()).replace("  2  4  601", "  2  9000000  601"), "not a complete ABINIT format-8 file"),
        ("\n".join(psp8_lines()).replace("12.0000", "13.0000"), r"for atomic number 13, not for Mg \(12\)"),
        (upf2_text(pseudo_type="PAW", is_paw="T"), "PAW method; only norm-conserving"),
        (upf2_text(is_paw="true"), "PAW method; only norm-conserving"),
        (upf2_text(pseudo_type="US", is_ultrasoft="T"), "is ultrasoft; only"),
        (upf2_text(pseudo_type="USPP"), "is ultrasoft; only"),
        (upf2_text(pseudo_type="SL"), "semilocal potentials without Kleinman–Bylander projectors; only"),
        (upf2_text(number_of_proj="0") + "<PP_SEMILOCAL>", "semilocal potentials without Kleinman–Bylander projectors"),
        (upf2_text(is_coulomb=".true."), "an all-electron Coulomb potential; only"),
        (upf2_text(pseudo_type="GHOST"), 'of the type "GHOST"; only'),
        (upf2_text(has_so="T"), "spin–orbit projectors"),
        (upf2_text(functional="SLA-PW-PBX-PBC"), 'made for functional = "pbe", not for functional = "lda"'),
        (upf2_text(functional="PBESOL"), 'the functional "PBESOL", not for'),
        (upf2_text(element="Al"), "is for Al, not for Mg"),
        (upf2_text(z_valence="-1"), "not a complete UPF file"),
        (upf2_text(number_of_proj="5"), "not a complete UPF file"),
        (upf2_text().replace("</PP_LOCAL>", ""), "not a complete UPF file"),
        (upf2_text().replace("z_valence", "z_violence"), "not a complete UPF file"),
        ("\n".join(psp8_lines(functional=8)), "made for ABINIT's functional 8, not for"),  # exchange alone
        ("\n".join(psp8_lines(functional=-1002)), "made for ABINIT's functional -1002, not for"),  # Wigner
        (upf1_text(functional="SLA PW PBX PBC PBE"), 'made for functional = "pbe"'),
        (upf1_text(kind="US"), "is ultrasoft; only"),
        (upf1_text(functional="SLA  PW  PBX  PBC"), 'made for functional = "pbe"'),
        (upf1_text() + "<PP_ADDINFO>", "spin–orbit projectors"),
    ],
)
def test_unusable_files_are_refused_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        load_pseudopotential("Mg", {"Mg": path})
    assert str(caught.value).startswith(f"pseudopotentials.Mg: {path}")
    assert "\n" not in str(caught.value)


def test_the_functional_asked_for_decides(tmp_path: Path) -> None:
    path = tmp_path / "mg.psp8"
    path.write_text("\n".join(psp8_lines(functional=11)))
    assert load_pseudopotential("Mg", {"Mg": path}, functional="pbe").functional == "pbe"
    path.write_text(upf2_text(functional=" SLA  PW   PBE  PBE"))
    assert load_pseudopotential("Mg", {"Mg": path}, functional="pbe").functional == "pbe"


def upf2_of_psp8(text: str) -> str:
    """A format-8 file of Si with two projectors of each l ≤ 2 and a core, rewritten as UPF, version 2."""
    lines = text.replace("D", "E").splitlines()
    points = int(lines[2].split()[4])
    row, betas, energies = 6, [], []
    columns = lambda first: np.array([line.split() for line in lines[first : first + points]], dtype=float)  # noqa: E731
    for l in range(3):
        energies += [float(x) for x in lines[row].split()[1:]]
        table = columns(row + 1)
        betas += [(l, table[:, 2]), (l, table[:, 3])]
        row += 1 + points
    local, charge = columns(row + 1), columns(row + 1 + points)
    mesh = local[:, 1]
    parts = ['<UPF version="2.0.1">', '<PP_HEADER element="Si" pseudo_type="NC" functional="PBE" z_valence="4.0"']
    parts += ['number_of_proj="6" core_correction=".true."/>', f"<PP_R>{_column(mesh)}</PP_R>"]
    parts += [f"<PP_RAB>{_column(np.full(points, mesh[1]))}</PP_RAB>"]
    parts += [
        f"<PP_NLCC>{_column(charge[:, 2] / (4 * np.pi))}</PP_NLCC>",
        f"<PP_LOCAL>{_column(2 * local[:, 2])}</PP_LOCAL>",
    ]
    for i, (l, beta) in enumerate(betas, start=1):
        parts += [f'<PP_BETA.{i} angular_momentum="{l}">{_column(beta)}</PP_BETA.{i}>']
    parts += [f"<PP_DIJ>{_column(np.diag(2 * np.array(energies)).ravel())}</PP_DIJ>"]
    return "\n".join(parts)
