"""Figures of uniaxial tests, snapshots and Young's modulus show the numbers they are given."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import Bohr, GPa, Hartree

from cellfields.deformation import Deformation
from cellfields.errors import InputError
from cellfields.evaluation.figures import snapshot_figure, uniaxial_figure, youngs_modulus_figure
from cellfields.evaluation.figures._style import image_bytes
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
