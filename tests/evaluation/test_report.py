"""Figures and page: everything inside, everything escaped, and pictures of what they say they are."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from ase.build import bulk
from matplotlib import image

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import Evaluation
from cellfields.evaluation.baselines import BaselineEngine
from cellfields.evaluation.evaluate import evaluate
from cellfields.evaluation.figures import error_vs_strain_figure, parity_figure, position_error_figure, slice_figure
from cellfields.evaluation.figures.slices import plane_name
from cellfields.evaluation.report import ReportInput, duration, render_report
from cellfields.evaluation.summary import headline
from cellfields.evaluation.texts import number
from cellfields.state import CellState
from cellfields.units import ANGSTROM
from tests.toy import ToyEngine, magnesium


@dataclass(frozen=True)
class Failed:
    deformation: Deformation
    error: str
    message: str


@dataclass(frozen=True)
class Material:
    crystal: Crystal
    evaluation: Evaluation
    states: list[CellState]
    engine: BaselineEngine


def _material(crystal: Crystal) -> Material:
    toy = ToyEngine(crystal, field_cutoff=2.0)
    train = [
        toy.solve(strain) for strain in sample_deformations(crystal, 40, seed=1, stretch_sigma=0.02, angle_sigma=1.0)
    ]
    test = [
        toy.solve(strain) for strain in sample_deformations(crystal, 6, seed=2, stretch_sigma=0.02, angle_sigma=1.0)
    ]
    engines = {
        "surrogate": BaselineEngine.train(crystal, train, name="quadratic"),  # stands in: no training time
        "linear": BaselineEngine.train(crystal, train, name="linear"),
        "mean": BaselineEngine.train(crystal, train, name="mean"),
    }
    return Material(crystal, evaluate(engines, test), test, engines["surrogate"])


@pytest.fixture(scope="module")
def magnesium_material() -> Material:
    return _material(magnesium())


def _page(material: Material, **changes: object) -> ReportInput:
    specimen = material.states[material.evaluation.typical("surrogate")]
    table: dict[str, object] = {
        "crystal": material.crystal,
        "evaluation": material.evaluation,
        "specimen": specimen,
        "predicted": material.engine.solve(specimen.deformation),
        "settings": {"engine": {"cutoff": 2.0, "note": "<script>alert(1)</script>"}},
        "training_states": 40,
        "asked_for": (42, 6),
        "timings": {"training": 12.5},
    }
    return ReportInput(**(table | changes))  # type: ignore[arg-type]


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_self_contained(magnesium_material: Material) -> None:
    failures = [Failed(Deformation((1.1, 1, 1), (90, 90, 90)), "SCFNotConverged", "not <b>converged</b> & sad")]
    html = render_report(_page(magnesium_material, failures=failures))
    outline = _Outline()
    outline.feed(html)
    assert outline.open == []
    assert outline.scripts == 0
    assert len(outline.sources) == 4
    for source in outline.sources:
        prefix = "data:image/png;base64,"
        assert source.startswith(prefix)
        pixels = image.imread(io.BytesIO(base64.b64decode(source.removeprefix(prefix))), format="png")
        assert pixels.shape[1] > 800
        assert pixels[..., :3].std() > 0.05  # not blank
    text = re.sub(r"data:image/png;base64,[^\"]*", "", html)
    assert "http" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "not &lt;b&gt;converged&lt;/b&gt; &amp; sad" in text
    assert "40 of 42 asked for" in text
    mean = 1e3 * magnesium_material.evaluation.engines["surrogate"].summary("free_energy")["mean"]
    assert f"<td class=n>{number(mean)}</td>" in text


def test_figures_leave_matplotlib_as_it_was(magnesium_material: Material) -> None:
    before = dict(matplotlib.rcParams)
    evaluation = magnesium_material.evaluation
    parity = parity_figure(evaluation)
    assert [axis.get_title() for axis in parity.axes] == [
        "free energy F",
        "band energy U",
        "entropic energy −TS",
    ]
    series = {line.get_label(): line for line in parity.axes[0].lines}
    x, y = series["surrogate"].get_data()
    truth, predicted = evaluation.truth["free_energy"], evaluation.engines["surrogate"].predicted["free_energy"]
    np.testing.assert_allclose(np.asarray(y) - np.asarray(x), 1e3 * (predicted - truth), atol=1e-9)
    strain = error_vs_strain_figure(evaluation)
    assert len(strain.axes) == 4
    points = strain.axes[0].lines[-1].get_data()
    np.testing.assert_allclose(points[0], 100 * evaluation.volumetric_strain)
    np.testing.assert_allclose(points[1], 100 * evaluation.engines["surrogate"].errors["density.nrmse"])
    positions = position_error_figure(evaluation)
    for axis in positions.axes:
        assert sum(patch.get_height() for patch in axis.patches) == len(magnesium_material.states)  # type: ignore[attr-defined]
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("normal", [0, 1, 2])
def test_slices_show_the_field_where_it_is(magnesium_material: Material, normal: int) -> None:
    state = magnesium_material.states[0]
    figure = slice_figure(state, state, normal=normal)
    mesh = figure.axes[0].collections[0]
    points = mesh.get_coordinates().reshape(-1, 2)  # type: ignore[attr-defined]
    values = np.asarray(mesh.get_array()).ravel()
    # The plane's area is that of the deformed cell's face, whatever the drawing's orientation.
    a, b = (ANGSTROM * state.lattice[i] for i in range(3) if i != normal)  # axes are in Å
    extent = points.max(axis=0) - points.min(axis=0)
    longer = max(np.linalg.norm(a), np.linalg.norm(b))
    height = np.linalg.norm(np.cross(a, b)) / longer
    assert extent[1] == pytest.approx(height, rel=1e-9)
    assert longer * (1 - 1e-9) <= extent[0] < longer + height
    # The toy's density is largest on an atom: the plane passes through the first one, and a dot marks it.
    dots = [line.get_xydata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots
    brightest = points[values.argmax()]
    assert min(np.linalg.norm(brightest - dot) for dot in dots) < 0.2
    # Nothing differs from itself.
    assert np.abs(np.asarray(figure.axes[2].collections[0].get_array())).max() == 0


def test_slices_need_fields(magnesium_material: Material) -> None:
    state = magnesium_material.states[0]
    with pytest.raises(InputError, match="fields"):
        slice_figure(state, replace(state, fields=None))


def test_the_plane_has_a_name(magnesium_material: Material) -> None:
    state = magnesium_material.states[0]
    assert plane_name(state, normal=1, height=0.25) == "lattice plane of a and c, at fractional coordinate 0.25 along b"
    assert "through the first atom, at fractional coordinate" in plane_name(state)
    figure = slice_figure(state, state)
    assert any("(Å)" in axis.get_xlabel() for axis in figure.axes)
    assert not any("Bohr)" in axis.get_xlabel() for axis in figure.axes)


def test_strains_outside_are_listed_and_ringed(magnesium_material: Material) -> None:
    outside = np.array([False, True, False, False, True, False])
    evaluation = replace(magnesium_material.evaluation, outside=outside)
    html = render_report(_page(magnesium_material, evaluation=evaluation))
    for row in evaluation.deformations[outside]:
        assert ", ".join(f"{x:g}" for x in row) in html
    assert "2 of 6 test strains lie outside" in html and "Rings: strains outside" in html
    rings = [line for line in parity_figure(evaluation).axes[0].lines if line.get_label() == "_outside"]
    truth = evaluation.truth["free_energy"]
    assert len(rings) == 2  # linear regression and the surrogate
    for ring in rings:
        np.testing.assert_allclose(np.asarray(ring.get_xdata()), 1e3 * (truth - truth.mean())[outside])
    plain = render_report(_page(magnesium_material, evaluation=replace(evaluation, outside=~outside & outside)))
    assert "None: all test strains lie among" in plain and "Rings" not in plain


def test_an_insulator_has_no_panels_of_nothing(magnesium_material: Material) -> None:
    def without_entropy(state: CellState) -> CellState:
        assert state.fields is not None
        coefficients = dict(state.fields.coefficients)
        coefficients["entropy_density"] = 1e-13 * coefficients["entropy_density"]
        return replace(state, entropic_energy=0.0, fields=replace(state.fields, coefficients=coefficients))

    states = [without_entropy(state) for state in magnesium_material.states]
    evaluation = evaluate({"surrogate": magnesium_material.engine}, states)
    assert "entropy_density.nrmse" not in evaluation.spread
    assert [axis.get_title() for axis in parity_figure(evaluation).axes] == ["free energy F", "band energy U"]
    slices = slice_figure(states[0], states[0])
    labels = [axis.get_ylabel() for axis in slices.axes]
    assert not any("entropy" in label for label in labels) and sum("⊥" in label for label in labels) == 3
    html = render_report(_page(replace(magnesium_material, evaluation=evaluation, states=states)))
    assert "same in all test strains: entropic energy −TS and entropy density s." in html
    assert "The entropy density is zero everywhere" in html


def test_the_verdict_stands_first_and_is_told_in_words(magnesium_material: Material) -> None:
    text = re.sub(r"data:image/png;base64,[^\"]*", "", render_report(_page(magnesium_material)))
    assert text.index("Verdict: ") < text.index('class="card ') < text.index("Errors on unseen strains")
    assert "✓ good" in text and "best plain baseline: linear regression" in text
    assert "Whether the stress is the derivative of the energy at this cutoff was not checked." in text
    assert ">Mg: deformation in" in text and "Mg, 4 atoms in the cell." in text
    # Swapped, the baseline wins, and the page says so.
    engines = magnesium_material.evaluation.engines
    swapped = replace(
        magnesium_material.evaluation, engines={"surrogate": engines["linear"], "quadratic": engines["surrogate"]}
    )
    worse = render_report(_page(magnesium_material, evaluation=swapped))
    assert "✗ bad" in worse and "use quadratic regression there" in worse and "Do not rely on this surrogate" in worse


def test_a_crystal_without_internal_coordinates_and_with_60_degrees() -> None:
    html = render_report(_page(_material(Crystal.from_atoms(bulk("Al")))))
    assert html.count("data:image/png;base64,") == 3  # no atoms to relax
    assert "Relaxed atoms" not in html


def test_without_fields_there_are_no_field_figures(magnesium_material: Material) -> None:
    evaluation = magnesium_material.evaluation
    scalars = {name: s for name, s in evaluation.spread.items() if "." not in name}
    bare = replace(evaluation, spread=scalars)
    html = render_report(_page(replace(magnesium_material, evaluation=bare), specimen=None, predicted=None))
    assert html.count("data:image/png;base64,") == 2


def test_headline(magnesium_material: Material) -> None:
    columns, *rows = headline(magnesium_material.evaluation)
    assert columns == (
        "error in",
        "unit",
        "surrogate",
        "worst",
        "best plain baseline",
        "spread",
    )
    assert [row[0] for row in rows] == ["free energy F", "density ρ, relative L²", "atomic positions"]
    engines = magnesium_material.evaluation.engines
    means = {name: 1e3 * engines[name].errors["free_energy"].mean() for name in ("linear", "mean")}
    assert means["mean"] < means["linear"]  # of this toy, so it is the one to beat
    assert rows[0][4] == f"{number(means['mean'])} (mean)"
    assert headline(magnesium_material.evaluation, "not the derivative")[-1][:3] == ("stress", "GPa", "not judged")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.2345, "1.23"), (12.345, "12.3"), (1234.5, "1234"), (0.0123456, "0.0123"), (1.5e-5, "1.50e-05")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(75.0, "75.0 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
