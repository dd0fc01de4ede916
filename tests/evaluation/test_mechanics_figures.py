"""Figures of uniaxial tests, snapshots and Young's modulus show the numbers they are given."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import Bohr, GPa, Hartree

from cellfields.crystal.deformation import Deformation
from cellfields.errors import InputError
from cellfields.evaluation.figures import snapshot_figure, uniaxial_figure, youngs_modulus_figure
from cellfields.evaluation.figures.stress_strain import strains_with_gaps
from cellfields.evaluation.figures.style import image_bytes
from cellfields.mechanics import UniaxialTable, uniaxial_test
from tests.mechanics.engines import HEXAGONAL, HyperelasticEngine
from tests.toy import ToyEngine, magnesium


@pytest.fixture(scope="module")
def tables() -> list[UniaxialTable]:
    engine = HyperelasticEngine(magnesium())
    return [uniaxial_test(engine, direction, [-0.02, 0.02]).table() for direction in (1, 2, 3)]


def test_all_directions_and_several_engines(tables):
    figure = uniaxial_figure({"ML": tables, "DFT": tables, "published": tables}, as_marks=["DFT"], title="hcp Mg")
    assert len(figure.axes) == 4
    stress, *transverse = figure.axes
    drawn = [line for line in stress.lines if len(line.get_xdata()) == 3]
    assert len(drawn) == 9
    expected = tables[1].stress * Hartree / Bohr**3 / GPa
    assert any(np.allclose(line.get_ydata(), expected) for line in drawn)
    assert sum(line.get_linestyle() == "None" for line in drawn) == 3
    for direction, panel in enumerate(transverse):
        lines = [line.get_ydata() for line in panel.lines if len(line.get_xdata()) == 3]
        assert len(lines) == 6
        for other in {0, 1, 2} - {direction}:
            assert any(np.allclose(line, 100 * tables[direction].strains[:, other]) for line in lines)
    names = [text.get_text() for text in stress.get_legend().get_texts()]
    assert names == ["σ₁₁", "σ₂₂", "σ₃₃", "ML", "published", "DFT"]


def test_one_direction(tables):
    figure = uniaxial_figure({"model": [tables[2]]})
    assert len(figure.axes) == 2
    for kind, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert image_bytes(figure, kind).startswith(magic)
    with pytest.raises(InputError, match="at least one curve"):
        uniaxial_figure({})


def test_snapshots_mark_predicted_and_true_atoms():
    engine = ToyEngine(magnesium(), field_cutoff=2.0)
    names = {f"ε₂₂ = {e:+.2f}": Deformation((1.0, 1 + e, 1.0), (90, 90, 90)) for e in (-0.02, 0.0, 0.02)}
    predicted = {name: engine.solve(d) for name, d in names.items()}
    truth = {name: predicted[name] for name in list(names)[:2]}
    figure = snapshot_figure(predicted, truth)
    panels = figure.axes[:6]
    assert [panel.get_title() for panel in panels[:3]] == list(names)
    crosses = [[line for line in panel.lines if line.get_marker() == "x"] for panel in panels]
    plusses = [[line for line in panel.lines if line.get_marker() == "+"] for panel in panels]
    assert all(len(marks) >= 2 for marks in crosses)
    assert [bool(marks) for marks in plusses] == [True, True, False] * 2
    state = predicted["ε₂₂ = +0.00"]
    places = {tuple(np.round(line.get_xydata()[0], 6)) for line in crosses[1]}
    assert tuple(np.round((state.positions[1] @ state.lattice)[:2], 6)) in places
    windows = {tuple(np.round(np.ptp([panel.get_xlim(), panel.get_ylim()], axis=1), 9)) for panel in panels}
    assert len(windows) == 1  # one scale for all
    with pytest.raises(InputError, match="one list for each"):
        snapshot_figure(predicted, guides=[(0.5,)])
    with pytest.raises(InputError, match="density"):
        snapshot_figure({"bare": HyperelasticEngine(magnesium()).solve(names["ε₂₂ = +0.00"])})


def test_youngs_modulus_surface():
    figure = youngs_modulus_figure(HEXAGONAL)
    young = (Hartree / Bohr**3 / GPa) / np.diagonal(np.linalg.inv(HEXAGONAL))[:3]
    low, high = (float(x) for x in figure.axes[0].get_title().split(", ")[1].removesuffix(" GPa").split(" … "))
    assert low <= young.min() + 0.05 and young.max() - 0.05 <= high
    assert image_bytes(figure).startswith(b"\x89PNG")


def test_lines_end_at_jumps_and_marks_say_what_is_not_to_be_believed():
    """A curve that jumps between −4 and −5 %: no line across, a cross at the instability, circles outside."""
    strain = np.round(np.arange(-0.08, 0.0801, 0.01), 10)
    transverse = -0.3 * strain[:, None] * np.ones(3)
    transverse[strain < -0.045, 0] += 0.12
    table = UniaxialTable(2, strain, 2e-3 * strain, transverse)
    assert np.flatnonzero(np.isnan(strains_with_gaps(table))).tolist() == [4]
    far = strain > 0.06
    figure = uniaxial_figure({"model": [table]}, outside={"model": [far]}, instabilities=[(2, -0.045, -9e-5)])
    panel = figure.axes[0]
    assert np.isnan(panel.lines[0].get_ydata()[4]) and np.isfinite(np.delete(panel.lines[0].get_ydata(), 4)).all()
    np.testing.assert_allclose(panel.lines[1].get_xdata(), 100 * strain[far])
    assert panel.lines[2].get_marker() == "X" and panel.lines[2].get_xdata()[0] == pytest.approx(-4.5)
    assert {text.get_text() for text in panel.get_legend().get_texts()} >= {"extrapolated", "instability"}
    smooth = UniaxialTable(2, strain, 2e-3 * strain, -0.3 * strain[:, None] * np.ones(3))
    assert not np.isnan(strains_with_gaps(smooth)).any()
