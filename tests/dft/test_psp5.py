"""ABINIT format-5 files: a made-up ion with analytic potentials read back from its table, and refusals."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf, spherical_jn

from cellfields.dft.pseudopotential import builtin_pseudopotential, load_pseudopotential
from cellfields.dft.pseudopotential.loading import read_pseudopotential
from cellfields.dft.pseudopotential.source import Source
from cellfields.dft.pseudopotential.tabulated import TabulatedPseudopotential, local_part
from cellfields.errors import InputError
from tests.engines.planewave.problems import four_point

Q = np.array([0.05, 0.3, 1.0, 2.7, 6.0])
FIRST, STEP, POINTS = 1e-4, 0.012, 1080  # 1e-4 … 42 Bohr
GTH = builtin_pseudopotential("Mg")

# V_2 is the GTH local potential of Mg, so that the local part has a closed transform; V_0 and V_1 differ by Gaussians.
SHIFTS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    0: lambda r: 1.5 * np.exp(-(r**2)),
    1: lambda r: -0.8 * np.exp(-0.7 * r**2),
    2: lambda r: 0.0 * r,
}
WAVES: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    0: lambda r: 1.3 * r * np.exp(-0.5 * r**2),
    1: lambda r: 0.9 * r**2 * np.exp(-0.6 * r**2),
    2: lambda r: 0.5 * r**3 * np.exp(-0.6 * r**2),
}


def local_potential(r: np.ndarray) -> np.ndarray:
    x = r / GTH.radius
    return -2 / r * erf(x / np.sqrt(2)) + GTH.coefficients[0] * np.exp(-0.5 * x**2)


def file_lines(lloc: int = 2) -> list[str]:
    r = FIRST * np.exp(STEP * np.arange(POINTS))
    lines = ["made-up magnesium", "12.0 2.0 20240101 zatom zion date", f"5 7 2 {lloc} {POINTS} 0.0 pspcod pspxc …"]
    lines.append(f"{FIRST} {STEP} r1 al")
    for l in range(3):
        lines += [f"{l} 0.0 0.0 {int(l != lloc)} 2.0 l e99.0 e99.9 nproj rcpsp", "0.0 0.0 0.0 0.0 rms ekb1 ekb2 epsatm"]
    lines.append("0.0 0.0 0.0 rchrg fchrg qchrg")
    for l in range(3):
        lines += [f"{l} = l", *_rows(local_potential(r) + SHIFTS[l](r))]
    for l in range(3):
        if l != lloc:
            lines += [f"{l} = l", *_rows(WAVES[l](r))]
    return lines


def read(path: Path, local_channel: int | None = None) -> TabulatedPseudopotential:
    ion = read_pseudopotential(Source.of_file("Mg", path), local_channel=local_channel)
    assert isinstance(ion, TabulatedPseudopotential)
    return ion


def _rows(values: np.ndarray) -> list[str]:
    """Three numbers a line, one of the exponents in Fortran's way."""
    words = [f"{v:.15E}" for v in values]
    words[1] = words[1].replace("E", "D")
    return [" ".join(words[i : i + 3]) for i in range(0, len(words), 3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "mg.psp5"
    made.write_text("\n".join(file_lines()) + "\n", encoding="utf-8")
    return made


def test_local_part(path: Path) -> None:
    """Against the closed transform: quadrature and spline are good to 1e-6 Ha Bohr³ of some ten (5e-8 Ha in E_core)."""
    ion = read(path)
    assert (ion.symbol, ion.valence, ion.local_channel) == ("Mg", 2.0, 2)
    assert np.allclose(ion.local(Q), GTH.local(Q), atol=3e-6)
    assert abs(ion.local_average() - GTH.local_average()) < 3e-6
    numeric = [four_point(lambda t, q=q: float(ion.local(np.array([q + t]))[0]), 1e-4 * q) / q for q in Q]
    assert np.allclose(ion.local_slope(Q), numeric, rtol=1e-6, atol=1e-5)


def test_projectors_are_kleinman_and_bylanders(path: Path) -> None:
    """p = δV u / ‖δV u‖ and h = ⟨u|δV²|u⟩ / ⟨u|δV|u⟩, by quadrature."""
    ion = read(path)
    assert [channel.l for channel in ion.channels] == [0, 1]
    for channel in ion.channels:
        l, shift, wave = channel.l, SHIFTS[channel.l], WAVES[channel.l]
        square, _ = quad(lambda r, s=shift, u=wave: (s(r) * u(r)) ** 2, 0, 15)
        mean, _ = quad(lambda r, s=shift, u=wave: s(r) * u(r) ** 2, 0, 15)
        assert np.allclose(channel.coupling, [[square / mean]], rtol=1e-7)
        for q in Q:
            transform, _ = quad(
                lambda r, q=q, l=l, s=shift, u=wave: 4 * np.pi * r * spherical_jn(l, q * r) * s(r) * u(r), 0, 15
            )
            value = float(channel.radial(np.array([q]))[0, 0]) * q**l
            assert abs(value - transform / np.sqrt(square)) < 3e-6
        numeric = [four_point(lambda t, q=q, c=channel: float(c.radial(np.array([q + t]))[0, 0])) / q for q in Q[1:]]
        assert np.allclose(channel.radial_slope(Q[1:])[0], numeric, rtol=1e-5, atol=1e-6)


def test_another_local_channel_moves_the_rest(path: Path) -> None:
    one, other = read(path), read(path, local_channel=0)
    assert [channel.l for channel in other.channels] == [1]  # l = 2 has no wavefunction in this file
    assert other.fingerprint != one.fingerprint
    # V_0 − V_2 is a Gaussian: 1.5 π^{3/2} e^{−q²/4}.
    assert np.allclose(other.local(Q) - one.local(Q), 1.5 * np.pi**1.5 * np.exp(-(Q**2) / 4), atol=1e-6)


def test_loading_by_settings(path: Path) -> None:
    loaded = load_pseudopotential("Mg", {"Mg": path})
    assert loaded.fingerprint == read(path).fingerprint
    assert load_pseudopotential("Mg", {"Mg": path}, {"Mg": 1}).local_channel == 1  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"local_channels\.Si: the built-in"):
        load_pseudopotential("Si", {"Mg": path}, {"Si": 1})
    copy = pickle.loads(pickle.dumps(loaded))
    assert np.array_equal(copy.local(Q), loaded.local(Q))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[: len(lines) // 2], "not a complete ABINIT format-5 file"),
        (lambda lines: lines[:3], "not a complete ABINIT format-5 file"),
        (lambda lines: [], "not a pseudopotential file of a known format"),
        (lambda lines: ["<xml>", "no numbers here", *lines[2:]], "not a pseudopotential file of a known format"),
        (lambda lines: [*lines[:1], "13.0 3.0 20240101", *lines[2:]], r"for atomic number 13, not for Mg \(12\)"),
        (
            lambda lines: [*lines[:2], lines[2].replace("5 7", "8 7", 1), *lines[3:]],
            "not a complete ABINIT format-8 file",
        ),
        (
            lambda lines: [*lines[:2], lines[2].replace("5 7", "6 7", 1), *lines[3:]],
            "of ABINIT format 6; supported are",
        ),
        (lambda lines: [*lines[:3], f"{FIRST} {STEP} 2", *lines[4:]], "spin–orbit"),
        (lambda lines: [*lines[:12], lines[12].replace(lines[12][:20], "nan"), *lines[13:]], "not a complete"),
    ],
    ids=["half", "header", "empty", "xml", "element", "mistaken", "format", "spin-orbit", "nan"],
)
def test_unusable_files_are_refused_in_one_sentence(tmp_path: Path, change, words: str) -> None:
    path = tmp_path / "bad.psp5"
    path.write_text("\n".join(change(file_lines())) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"pseudopotentials.Mg: {path}")
    assert "\n" not in str(caught.value)


def test_core_charge(tmp_path: Path, path: Path) -> None:
    lines = file_lines()
    (tmp_path / "cored.psp5").write_text("\n".join([*lines[:10], "0.9 0.5 0.2 rchrg fchrg qchrg", *lines[11:]]))
    core = read(tmp_path / "cored.psp5").core_charge
    assert core is not None and core.radius == pytest.approx(2.7)
    assert core(np.array(0.0)) == pytest.approx(0.5)
    assert read(path).core_charge is None


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pseudopotentials\.Mg: .*nothing\.psp5 cannot be read"):
        read(tmp_path / "nothing.psp5")
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="cannot be read as a text file"):
        read(binary)


def test_missing_local_channel_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="local channel l = 3 is not in the file"):
        read(path, local_channel=3)


def test_the_ball_below_the_first_point_of_a_mesh_is_not_lost() -> None:
    """∫₀^{r₁} r (rV + Z) dr with V constant there: 1e-3 of the limit at q = 0 on a mesh that begins at 0.05 Bohr."""
    r = 0.05 + 2e-4 * np.arange(100_000)
    weights = np.full(len(r), 2e-4)
    weights[[0, -1]] /= 2
    potential = local_potential(np.maximum(r, 0.05))
    inner = np.linspace(0, 0.05, 2001)
    missing = np.trapezoid(inner * (inner * potential[0] + 2), inner)
    outer = ((r * (r * potential + 2)) * weights).sum()
    _, limit = local_part(r, potential, 2.0, weights)
    assert limit == pytest.approx(4 * np.pi * (outer + missing), rel=1e-6)
    assert abs(4 * np.pi * missing) > 1e-3 * abs(limit)
