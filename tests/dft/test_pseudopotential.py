"""GTH/HGH pseudopotentials: published numbers, Fourier transforms done by quadrature, slopes; the built-in table."""

from __future__ import annotations

from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from ase.data import atomic_numbers
from numpy.polynomial import Polynomial
from scipy.integrate import quad
from scipy.special import erf, gamma, spherical_jn

from cellfields.dft.pseudopotential import builtin_elements, builtin_pseudopotential, load_pseudopotential
from cellfields.dft.pseudopotential.gth import GTHChannel, GTHPseudopotential, hgh_coupling
from cellfields.errors import InputError
from tests.engines.planewave.problems import four_point

Q = np.array([0.3, 1.0, 2.7, 6.0])
ABINIT_FILES = Path("/usr/share/abinit/psp")

# Entries of CP2K's GTH_POTENTIALS (GTH-PADE), which lists HGH's table with eight digits and all h_ij written out.
CP2K: dict[str, tuple[float, float, float, tuple[tuple[float, tuple[float, ...]], ...]]] = {
    "Mg": (
        2,
        0.65181169,
        -2.86429746,
        ((0.55647814, (2.97095712, -0.51508390, 1.32994091)), (0.67756881, (1.04988101,))),
    ),
    "Al": (
        3,
        0.45000000,
        -8.49135116,
        ((0.46010427, (5.08833953, -1.03784325, 2.67969975)), (0.53674439, (2.19343827,))),
    ),
    "Si": (
        4,
        0.44000000,
        -7.33610297,
        ((0.42273813, (5.90692831, -1.26189397, 3.25819622)), (0.48427842, (2.72701346,))),
    ),
}


@pytest.mark.parametrize("symbol", CP2K)
def test_built_in_parameters_are_the_published_ones(symbol: str) -> None:
    valence, radius, c1, channels = CP2K[symbol]
    made = builtin_pseudopotential(symbol)
    assert made.symbol == symbol
    assert made.valence == valence
    # The table prints six decimals, CP2K eight: half a unit of the sixth.
    assert abs(made.radius - radius) < 6e-7
    assert np.allclose(made.coefficients, [c1], atol=6e-7)
    assert len(made.channels) == len(channels)
    for l, (channel, (r, numbers)) in enumerate(zip(made.channels, channels, strict=True)):
        assert channel.l == l
        assert abs(channel.radius - r) < 6e-7
        n = len(channel.coupling)
        assert np.allclose(channel.coupling[np.triu_indices(n)], numbers, atol=6e-7)
        assert np.array_equal(channel.coupling, channel.coupling.T)


@pytest.mark.parametrize(
    ("l", "upper"),
    [
        (0, [3.01664046, -1.00040646, 0.79478164, 2.58303836, -2.05211737, 3.25763534]),  # Fe, 8 electrons
        (1, [1.17252682, 0.35023609, 0.00887640, -0.82880986, -0.02100539, 0.02985728]),  # La, 11 electrons
        (2, [-3.42007573, 0.44975502, -1.01994852]),  # Ag, 11 electrons
    ],
    ids=["s", "p", "d"],
)
def test_off_diagonal_couplings(l: int, upper: list[float]) -> None:
    """HGH eq. 20–27 against elements of CP2K's GTH-PADE table, which writes the off-diagonal h_ij out."""
    n = 3 if len(upper) == 6 else 2
    expected = np.zeros((n, n))
    expected[np.triu_indices(n)] = upper
    expected = expected + np.triu(expected, 1).T
    assert np.allclose(hgh_coupling(l, tuple(np.diag(expected))), expected, atol=1e-7)  # eight printed digits


@pytest.mark.parametrize("l", range(4))
def test_projectors_are_normalised(l: int) -> None:
    """∫ p_i(q)² q² dq = 8π³ (Parseval with this transform's 4π) for ∫ p_i(r)² r² dr = 1."""
    channel = GTHChannel(l, 0.6, np.eye(3))
    for i in range(3):
        integral, _ = quad(lambda q, i=i: float(channel.radial(np.array(q))[i] * q**l) ** 2 * q**2, 0, 40, limit=200)
        assert abs(integral / (8 * pi**3) - 1) < 1e-10


@pytest.mark.parametrize("l", range(4))
def test_projectors_are_the_bessel_transforms_of_hghs_gaussians(l: int) -> None:
    """p_i(r) = √2 r^{l+2i−2} e^{−r²/2r_l²} / (r_l^n √Γ(n)), n = l + (4i−1)/2 (HGH eq. 3);  p(q) = 4π ∫ r² j_l p."""
    radius = 0.6
    channel = GTHChannel(l, radius, np.eye(3))
    for i in (1, 2, 3):
        power = l + (4 * i - 1) / 2
        scale = sqrt(2) / (radius**power * sqrt(gamma(power)))

        def integrand(r: float, q: float, i: int = i, scale: float = scale) -> float:
            gaussian = r ** (l + 2 * (i - 1)) * np.exp(-0.5 * (r / radius) ** 2)
            return 4 * pi * r**2 * scale * gaussian * spherical_jn(l, q * r)

        expected = [quad(integrand, 0, 12, args=(q,), epsabs=1e-12, limit=200)[0] for q in Q]
        assert np.allclose(channel.radial(Q)[i - 1] * Q**l, expected, atol=1e-9)


@pytest.mark.parametrize("l", range(4))
def test_slope_of_projectors(l: int) -> None:
    channel = GTHChannel(l, 0.6, np.eye(3))
    numeric = [[four_point(lambda t, q=q, i=i: channel.radial(np.array(q + t))[i]) / q for q in Q] for i in range(3)]
    assert np.allclose(channel.radial_slope(Q), numeric, rtol=1e-8, atol=1e-8)
    # Finite at q = 0, where f'/q tends to f''(0) = lim 2 (f(q) − f(0))/q².
    zero, small = channel.radial(np.array(0.0)), channel.radial(np.array(1e-3))
    assert np.allclose(channel.radial_slope(np.array(0.0)), 2 * (small - zero) / 1e-6, rtol=1e-4)


def artificial() -> GTHPseudopotential:
    """All four local coefficients at once."""
    return GTHPseudopotential("Li", 3, 0.4, (-14.0, 9.6, -1.8, 0.08), ())


@pytest.mark.parametrize("made", [*map(builtin_pseudopotential, CP2K), artificial()], ids=lambda p: p.symbol)
class TestLocal:
    def test_is_the_transform_of_the_local_potential(self, made: GTHPseudopotential) -> None:
        """v(r) = −Z/r erf(r/√2 r_loc) + e^{−x²/2}(C₁ + C₂x² + C₃x⁴ + C₄x⁶), x = r/r_loc (HGH eq. 1).

        The long-ranged part −Z erf(r/√2 w)/r, w = 2, is taken off and put back analytically.
        """
        width = 2.0
        polynomial = Polynomial(made.coefficients)

        def short(r: float) -> float:
            x = r / made.radius
            coulomb = made.valence * (erf(r / (sqrt(2) * width)) - erf(x / sqrt(2))) / max(r, 1e-12)
            return coulomb + np.exp(-0.5 * x**2) * polynomial(x**2)

        for q in Q:
            wave = lambda r, q=q: 4 * pi * r * short(r) * np.sin(q * r) / q  # noqa: E731
            smooth, _ = quad(wave, 1e-9, 30, limit=400, epsabs=1e-11)
            long = -4 * pi * made.valence / q**2 * np.exp(-0.5 * (q * width) ** 2)
            assert abs(float(made.local(np.array(q))) - smooth - long) < 1e-7

    def test_slope(self, made: GTHPseudopotential) -> None:
        numeric = [four_point(lambda t, q=q: float(made.local(np.array(q + t))), 1e-4 * q) / q for q in Q]
        assert np.allclose(made.local_slope(Q), numeric, rtol=1e-8, atol=1e-7)

    def test_average_is_the_limit(self, made: GTHPseudopotential) -> None:
        """α = lim v(q) + 4πZ/q²; the next term is of order q², so two points extrapolate to 1e-6."""
        q = np.array([2e-2, 1e-2])
        values = made.local(q) + 4 * pi * made.valence / q**2
        assert abs((4 * values[1] - values[0]) / 3 - made.local_average()) < 1e-6

    def test_coulomb_tail(self, made: GTHPseudopotential) -> None:
        q = 1e-3
        assert np.isclose(float(made.local(np.array(q))) * q**2 / (-4 * pi * made.valence), 1.0, rtol=1e-5)


def test_fingerprints_tell_ions_apart() -> None:
    every = [(s, f, v) for f in ("lda", "pbe") for s, valences in builtin_elements(f).items() for v in valences]
    prints = {builtin_pseudopotential(*key).fingerprint for key in every}
    assert len(prints) == len(every) > 200
    assert builtin_pseudopotential("Mg").fingerprint == builtin_pseudopotential("Mg").fingerprint
    base = GTHPseudopotential("Mg", 2, 0.65, (-2.86,), (GTHChannel(0, 0.5, np.eye(1)),))
    other = GTHPseudopotential("Mg", 2, 0.65, (-2.86,), (GTHChannel(0, 0.5, 1.0001 * np.eye(1)),))
    assert base.fingerprint != other.fingerprint


ASKED = ["H", "Li", "C", "N", "O", "Na", "Mg", "Al", "Si", "P", "Ca", "Ti", "Ga", "As", "Sr"]


@pytest.mark.parametrize("functional", ["lda", "pbe"])
def test_the_table_holds_at_least(functional: str) -> None:
    known = builtin_elements(functional)
    assert set(ASKED) <= set(known)
    for symbol, valences in known.items():
        assert len(set(valences)) == len(valences)
        for valence in valences:
            ion = builtin_pseudopotential(symbol, functional, valence)
            assert (ion.symbol, ion.valence, ion.functional) == (symbol, valence, functional)
            assert atomic_numbers[symbol] >= valence and (atomic_numbers[symbol] - valence) % 2 == 0
        assert builtin_pseudopotential(symbol, functional).valence == valences[0]


def test_default_valences() -> None:
    """With the semicore shell where bonding needs it, without where it would ask too much of plane waves."""
    lda, pbe = builtin_elements("lda"), builtin_elements("pbe")
    for symbol, valence in {"Li": 3, "Na": 1, "Mg": 2, "Ca": 10, "Ti": 12, "Ga": 3, "As": 5, "Sr": 10}.items():
        assert lda[symbol][0] == valence
        assert pbe[symbol][0] == (9 if symbol == "Na" else valence)  # there is no other for sodium
    assert set(lda["Mg"]) == set(pbe["Mg"]) == {2, 10}


# Entries of CP2K's GTH_POTENTIALS, as printed there: r_loc, C, then for each l its radius and the upper triangle of h.
GTH_PBE: dict[str, tuple[float, tuple[float, ...], tuple[tuple[float, tuple[float, ...]], ...]]] = {
    "O": (0.24455430, (-16.66721480, 2.48731132), ((0.22095592, (18.33745811,)),)),
    "Si": (
        0.44,
        (-6.26928833,),
        ((0.43563383, (8.95174150, -2.70627082, 3.49378060)), (0.49794218, (2.43127673,))),
    ),
    "Sr": (
        0.48,
        (6.81095035, -1.19610979),
        (
            (0.27588581, (21.28971943, -7.89903416, 10.19760926)),
            (0.28174086, (11.70905135, -10.96577673, 12.97488200)),
            (0.52108911, (0.36053906,)),
        ),
    ),
}


@pytest.mark.parametrize("symbol", GTH_PBE)
def test_pbe_parameters_are_the_published_ones(symbol: str) -> None:
    radius, coefficients, channels = GTH_PBE[symbol]
    ion = builtin_pseudopotential(symbol, "pbe")
    assert (ion.radius, ion.coefficients) == (radius, coefficients)
    for channel, (r, upper) in zip(ion.channels, channels, strict=True):
        assert channel.radius == r
        n = len(channel.coupling)
        assert tuple(channel.coupling[np.triu_indices(n)]) == upper
        assert np.array_equal(channel.coupling, channel.coupling.T)


@pytest.mark.skipif(not ABINIT_FILES.is_dir(), reason="abinit-data is not installed")
def test_every_lda_entry_is_that_of_abinits_files() -> None:
    count = 0
    for symbol, valences in builtin_elements("lda").items():
        for valence in valences:
            path = ABINIT_FILES / f"{atomic_numbers[symbol]}{symbol.lower()}.{valence}.hgh"
            theirs, ours = load_pseudopotential(symbol, {symbol: path}), builtin_pseudopotential(symbol, "lda", valence)
            assert np.allclose(theirs.local(Q), ours.local(Q), rtol=1e-14)
            assert [c.l for c in theirs.channels] == [c.l for c in ours.channels]
            for one, two in zip(theirs.channels, ours.channels, strict=True):
                assert np.array_equal(one.coupling, two.coupling)
                assert np.array_equal(one.radial(Q), two.radial(Q))
            count += 1
    assert count > 120


def test_elements_and_valences_that_are_not_there_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r'no built-in one for U and functional = "lda" \(built in: .*Mg.*\)'):
        builtin_pseudopotential("U")
    with pytest.raises(InputError, match="no built-in one for U"):
        load_pseudopotential("U", {})
    with pytest.raises(InputError, match=r"valences\.Ca = 7: the built-in pseudopotentials have 10, 2"):
        load_pseudopotential("Ca", {}, valences={"Ca": 7})
    assert load_pseudopotential("Ca", {}, valences={"Ca": 2}).valence == 2
    assert load_pseudopotential("Si", {}).fingerprint == builtin_pseudopotential("Si").fingerprint


@pytest.mark.parametrize("place", range(4))
def test_each_local_coefficient_has_its_transform(place: int) -> None:
    """V(r) = −Z/r erf(x/√2) + e^{−x²/2} Σ C_i x^{2(i−1)}, x = r/r_loc (GTH eq. 1): each C_i alone, by quadrature."""
    coefficients = tuple(1.7 if i == place else 0.0 for i in range(4))
    radius, valence = 0.6, 3
    ion = GTHPseudopotential("Al", valence, radius, coefficients, ())
    for q in Q:
        gaussian, _ = quad(
            lambda r, q=q: (
                4 * pi * r * np.sin(q * r) / q * 1.7 * (r / radius) ** (2 * place) * np.exp(-0.5 * (r / radius) ** 2)
            ),
            0,
            12 * radius,
            epsabs=1e-12,
            limit=200,
        )
        coulomb = -4 * pi * valence / q**2 * np.exp(-0.5 * (q * radius) ** 2)
        assert ion.local(np.array([q]))[0] == pytest.approx(coulomb + gaussian, abs=1e-9)
